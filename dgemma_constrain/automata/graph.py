"""Fragments as the arcs of a graph: for orders, options and parts of parts that a tree of combinators would copy again and
again."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from dgemma_constrain.automata.nfa import NFA, side_by_side

END = -1  # the accepting state


class Assembly:
    """An automaton in the making: states, with fragments between them that are copied once, when all are there.

    `states` have been given out so far; 0 is the start.
    """

    def __init__(self, states: int = 1):
        self.states = states
        self._parts: list[NFA] = []
        self._starts: list[int] = []
        self._jumps: list[int] = []  # source, target, source, …

    def state(self) -> int:
        """A new one."""
        self.states += 1
        return self.states - 1

    def jump(self, source: int, target: int) -> None:
        self._jumps += (source, target)

    def lay(self, part: NFA, source: int) -> int:
        """A fragment that is read from a state on. Gives the state after it."""
        self._jumps += (source, self.states)
        return self.beside(part) + part.states - 1

    def beside(self, part: NFA) -> int:
        """A fragment that nothing leads to. Gives its first state; the others follow."""
        self._parts.append(part)
        self._starts.append(self.states)
        self.states += part.states
        return self.states - part.states

    def nfa(self) -> NFA:
        """All ways from the start to END."""
        jumps = np.array(self._jumps, np.int32).reshape(-1, 2)
        jumps[jumps == END] = self.states
        if not self._parts:
            return NFA(self.states + 1, np.zeros((0, 3), np.int32), jumps, ())
        edges, more, charsets = side_by_side(self._parts, np.array(self._starts, np.int32))
        return NFA(self.states + 1, edges, np.concatenate([more, jumps]), charsets)


def graph(joints: int, arcs: Sequence[tuple[int, Sequence[NFA], int]]) -> NFA:
    """All ways from joint 0 to joint `joints - 1`; an arc (i, fragments, j) reads the fragments one after the other
    on the way from i to j.

    Each arc is laid down once, however many ways lead through it.
    """
    made = Assembly(joints - 1)
    for source, word, target in arcs:
        at = END if source == joints - 1 else source
        for part in word:
            at = made.lay(part, at)
        made.jump(at, END if target == joints - 1 else target)
    return made.nfa()
