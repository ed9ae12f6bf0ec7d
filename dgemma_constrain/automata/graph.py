"""Fragments as the arcs of a small graph: for orders and options that a tree of combinators would copy."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from dgemma_constrain.automata.nfa import NFA, _assemble, _together


def graph(joints: int, arcs: Sequence[tuple[int, NFA, int]]) -> NFA:
    """All ways from joint 0 to joint `joints - 1`; an arc (i, fragment, j) reads the fragment on the way from i to j.

    Each arc is laid down once, however many ways lead through it.
    """
    free, edges, jumps, charsets, starts, accepts = _together([part for _, part, _ in arcs], joints - 1)
    place = np.append(np.arange(joints - 1), free)  # the last joint is the accepting state, so it comes last
    jumps.append(np.stack([place[[i for i, _, _ in arcs]], starts], 1))
    jumps.append(np.stack([accepts, place[[j for _, _, j in arcs]]], 1))
    return _assemble(free + 1, edges, jumps, charsets)
