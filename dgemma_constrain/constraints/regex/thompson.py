"""Thompson's construction: the NFA of a pattern, in which an assertion is one symbol, its marker."""

from __future__ import annotations

from itertools import groupby
from typing import Mapping, Sequence

import numpy as np

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import EPSILON, NFA, NOTHING, concat, copies_of, repeat, symbol, union
from dgemma_constrain.constraints.regex.syntax import Alt, Cat, Chars, Group, Node, Repeat
from dgemma_constrain.errors import LimitExceeded

MANY = 8  # copies
COUNTED = Limits(states=100_000, seconds=0.3)


def thompson(node: Node, marks: Mapping[Node, int] = {}) -> NFA:
    """The fragment of a node; `marks` numbers the assertions."""
    if isinstance(node, Chars):
        return symbol(node.charset)
    if isinstance(node, Alt):
        return union([thompson(part, marks) for part in node.parts])
    if isinstance(node, Repeat):
        body = thompson(node.body, marks)
        if node.most is None and node.least > 0:
            return concat([repeat(body, node.least - 1, node.least - 1), _plus(body)])
        if node.most is None or node.most < MANY or isinstance(node.body, Chars):
            return repeat(body, node.least, node.most)
        return _deterministic(body, node.least, node.most)
    if isinstance(node, Group):
        return thompson(node.body, marks)
    if isinstance(node, Cat):
        parts = []
        for plain, run in groupby(node.parts, lambda part: isinstance(part, Chars)):
            parts.extend([_row([p.charset for p in run])] if plain else [thompson(p, marks) for p in run])
        return concat(parts)
    return symbol(Charset.marker(marks[node]))


def _deterministic(part: NFA, least: int, most: int) -> NFA:
    """A bounded repeat whose copies may overlap, with a state for each count (see `determinize`), if that is not too much."""
    nfa = repeat(part, least, most)
    try:
        return compile_nfa(nfa, COUNTED, copies_of(part, least, most)).nfa()
    except LimitExceeded:
        return nfa


def _plus(part: NFA) -> NFA:
    """Once or more, with one copy: X X* in X X* in X X* … would double at every level."""
    end = part.states + 1
    extra = np.array([(0, 1), (end - 1, 1), (end - 1, end)], np.int32)
    edges = part.edges + np.array([1, 0, 1], np.int32)
    return NFA(end + 1, edges, np.concatenate([part.jumps + 1, extra]), part.charsets)


def _row(charsets: Sequence[Charset]) -> NFA:
    """One character after the other, in one piece."""
    distinct = {c: i for i, c in enumerate(dict.fromkeys(charsets))}
    if not all(distinct):
        return NOTHING
    steps = np.arange(len(charsets), dtype=np.int32)
    labels = np.array([distinct[c] for c in charsets], np.int32)
    return NFA(len(charsets) + 1, np.stack([steps, labels, steps + 1], 1), EPSILON.jumps, tuple(distinct))
