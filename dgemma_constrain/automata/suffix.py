"""The automaton of all runs of a text: its words (or characters) from anywhere to anywhere.

The suffix automaton of Blumer et al. (1985), built online in linear time, over *units*: words and the gaps between
them, or single characters. All paths into one of its states end with the same unit, so it is enough to begin with a word
and to accept in the states that end with one. Spelling the units in characters gives an NFA whose determinisation is
local, since units that leave one state differ somewhere.
"""

from __future__ import annotations

import re

import numpy as np

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.kernels import kernel, mix
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA

_UNIT = re.compile(r"\w+|[^\w\s]|\s+")


def factors(source: str, unit: str, limits: Limits = Limits()) -> DFA:
    """All non-empty runs of the source's words (unit "word"; gaps only inside a run) or characters ("char")."""
    limits.check(2 * len(source) > limits.states, f"the runs of a source of {len(source):,} characters")
    pieces = _UNIT.findall(source) if unit == "word" else list(source)
    names = {piece: n for n, piece in enumerate(dict.fromkeys(pieces))}
    sequence = np.fromiter((names[p] for p in pieces), np.int32, len(pieces))
    edges, last = suffix_automaton(sequence)
    gap = np.array([unit == "word" and piece.isspace() for piece in names])
    edges = edges[~((edges[:, 0] == 0) & gap[edges[:, 1]])]
    accept = (last >= 0) & ~gap[last]
    points, ends = _spelling(list(names))
    distinct, labels = np.unique(points, return_inverse=True)
    rows, states = _spell(edges, labels.astype(np.int32), ends, len(last))
    accepting = np.flatnonzero(accept)
    jumps = np.stack([accepting, np.full_like(accepting, states)], 1).astype(np.int32)
    charsets = tuple(Charset.ranges([(p, p)]) for p in distinct.tolist())
    return compile_nfa(NFA(states + 1, rows, jumps, charsets), limits)


def _spelling(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    points = np.frombuffer("".join(texts).encode("utf-32-le"), np.int32)
    return points, np.cumsum([0, *map(len, texts)]).astype(np.int64)


@kernel
def _spell(edges, labels, ends, states):
    """Unit edges (source, unit, target) as chains of character edges through fresh states."""
    size = 0
    for k in range(len(edges)):
        size += ends[edges[k, 1] + 1] - ends[edges[k, 1]]
    rows = np.empty((size, 3), np.int32)
    used = 0
    for k in range(len(edges)):
        at = edges[k, 0]
        first, stop = ends[edges[k, 1]], ends[edges[k, 1] + 1]
        for i in range(first, stop):
            rows[used, 0] = at
            rows[used, 1] = labels[i]
            if i + 1 == stop:
                at = edges[k, 2]
            else:
                at = states
                states += 1
            rows[used, 2] = at
            used += 1
    return rows, states


@kernel
def _find(table, source, symbol, edges):
    """Where the edge (source, symbol) is, or belongs, in a hash table of edge numbers."""
    mask = len(table) - 1
    slot = np.int64(mix((np.int64(source) << 32) | np.int64(symbol)) & np.uint64(mask))
    while table[slot] >= 0 and (edges[table[slot], 0] != source or edges[table[slot], 1] != symbol):
        slot = (slot + 1) & mask
    return slot


@kernel
def suffix_automaton(sequence):
    """Edges int32[E, 3] (source, symbol, target) of the suffix automaton of int32[n], and each state's last symbol."""
    n = len(sequence)
    edges = np.empty((3 * n + 3, 3), np.int32)
    older = np.full(3 * n + 3, -1, np.int32)  # the edge of the same source made before this one
    newest = np.full(2 * n + 2, -1, np.int32)  # … and the last one made
    link, length = np.full(2 * n + 2, -1, np.int32), np.zeros(2 * n + 2, np.int32)
    last = np.full(2 * n + 2, -1, np.int32)
    size = 1 << 10
    while size < 8 * n:
        size *= 2
    table = np.full(size, -1, np.int32)
    count, used, current = 1, 0, 0
    for i in range(n):
        c = sequence[i]
        new = count
        count += 1
        length[new] = length[current] + 1
        last[new] = c
        p = current
        slot = _find(table, p, c, edges)
        while p >= 0 and table[slot] < 0:
            edges[used, 0], edges[used, 1], edges[used, 2] = p, c, new
            table[slot] = used
            older[used] = newest[p]
            newest[p] = used
            used += 1
            p = link[p]
            if p >= 0:
                slot = _find(table, p, c, edges)
        if p < 0:
            link[new] = 0
        else:
            q = edges[table[slot], 2]
            if length[q] == length[p] + 1:
                link[new] = q
            else:
                clone = count
                count += 1
                length[clone] = length[p] + 1
                last[clone] = c
                link[clone] = link[q]
                e = newest[q]
                while e >= 0:
                    at = _find(table, clone, edges[e, 1], edges)
                    edges[used, 0], edges[used, 1], edges[used, 2] = clone, edges[e, 1], edges[e, 2]
                    table[at] = used
                    older[used] = newest[clone]
                    newest[clone] = used
                    used += 1
                    e = older[e]
                while p >= 0:
                    at = _find(table, p, c, edges)
                    if table[at] < 0 or edges[table[at], 2] != q:
                        break
                    edges[table[at], 2] = clone
                    p = link[p]
                link[q] = link[new] = clone
        current = new
    return edges[:used].copy(), last[:count].copy()
