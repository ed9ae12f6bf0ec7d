"""Fragments as the arcs of a small graph: for orders and options that a tree of combinators would copy."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from dgemma_constrain.automata.nfa import EPSILON, NFA, _assemble, _together


def graph(joints: int, arcs: Sequence[tuple[int, Sequence[NFA], int]]) -> NFA:
    """All ways from joint 0 to joint `joints - 1`; an arc (i, fragments, j) reads the fragments one after the other
    on the way from i to j.

    Each arc is laid down once, however many ways lead through it.
    """
    words = [word or [EPSILON] for _, word, _ in arcs]
    free, edges, jumps, charsets, starts, accepts = _together([part for word in words for part in word], joints - 1)
    place = np.append(np.arange(joints - 1), free)  # the last joint is the accepting state, so it comes last
    past = np.cumsum([len(word) for word in words])
    first = np.append(0, past[:-1])
    jumps.append(np.stack([place[[i for i, _, _ in arcs]], starts[first]], 1))
    jumps.append(np.stack([accepts[past - 1], place[[j for _, _, j in arcs]]], 1))
    on = np.delete(np.arange(past[-1]), first)  # fragments with another before them
    jumps.append(np.stack([accepts[on - 1], starts[on]], 1))
    return _assemble(free + 1, edges, jumps, charsets)
