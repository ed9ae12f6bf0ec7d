"""Fragments as the arcs of a small graph: for orders and options that a tree of combinators would copy."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.nfa import EPSILON, NFA, _assemble, _together


def graph(
    joints: int,
    arcs: Sequence[tuple[int, Sequence[NFA], int]],
    end: int = -1,
    steps: np.ndarray | None = None,
    labels: tuple[Charset, ...] = (),
) -> NFA:
    """All ways from joint 0 to joint `end`, the last by default; an arc (i, fragments, j) reads the fragments one after the
    other on the way from i to j, and a row (i, k, j) of `steps` one character out of labels[k].

    Each arc is laid down once, however many ways lead through it.
    """
    words = [word or [EPSILON] for _, word, _ in arcs]
    free, edges, jumps, charsets, starts, accepts = _together([part for word in words for part in word], joints - 1)
    place = np.append(np.arange(joints - 1), free)  # the end is the accepting state, so it comes last
    place[[end, -1]] = place[[-1, end]]
    past = np.cumsum([len(word) for word in words])
    first = np.append(0, past[:-1])
    jumps.append(np.stack([place[[i for i, _, _ in arcs]], starts[first]], 1))
    jumps.append(np.stack([accepts[past - 1], place[[j for _, _, j in arcs]]], 1))
    on = np.delete(np.arange(past[-1]), first)  # fragments with another before them
    jumps.append(np.stack([accepts[on - 1], starts[on]], 1))
    if steps is not None:
        table = {charset: k for k, charset in enumerate(charsets)}
        known = np.array([table.setdefault(label, len(table)) for label in labels], np.int32)
        edges.append(np.stack([place[steps[:, 0]], known[steps[:, 1]], place[steps[:, 2]]], 1))
        charsets = tuple(table)
    return _assemble(free + 1, edges, jumps, charsets)
