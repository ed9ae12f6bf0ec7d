"""The automaton of all runs of a text: its words (or characters) from anywhere to anywhere.

The suffix automaton of Blumer et al. (1985), built online in linear time, over *units*: words and the gaps between
them, or single characters. All paths into one of its states end with the same unit, so it is enough to begin with a
word and to accept in the states that end with one. Spelt in characters it then stays deterministic.
"""

from __future__ import annotations

import re

import numpy as np

from dgemma_constrain.automata.alphabet import alphabet_of
from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, minimal
from dgemma_constrain.automata.kernels import grouped, kernel, mix
from dgemma_constrain.automata.limits import Limits

_UNIT = re.compile(r"\w+|[^\w\s]|\s+")


def factors(source: str, unit: str, limits: Limits = Limits()) -> DFA:
    """All non-empty runs of the source's words (unit "word"; gaps only inside a run) or characters ("char")."""
    limits.check(2 * len(source) > limits.states, f"the runs of a source of {len(source):,} characters")
    pieces = _UNIT.findall(source) if unit == "word" else list(source)
    units = sorted(set(pieces))
    number = {piece: n for n, piece in enumerate(units)}
    edges, last = suffix_automaton(np.fromiter((number[p] for p in pieces), np.int32, len(pieces)))
    gap = np.array([unit == "word" and piece.isspace() for piece in units])
    edges = edges[~((edges[:, 0] == 0) & gap[edges[:, 1]])]
    points = np.frombuffer("".join(units).encode("utf-32-le"), np.int32)
    ends = np.cumsum([0, *map(len, units)]).astype(np.int64)
    alphabet = alphabet_of([Charset.ranges([(p, p)]) for p in np.unique(points).tolist()])
    rows, accept = _spell(_sorted(edges, len(last)), alphabet.of(points), ends, (last >= 0) & ~gap[last])
    rows = _sorted(rows, len(accept))
    offsets = np.searchsorted(rows[:, 0], np.arange(len(accept) + 1))
    return minimal(alphabet, offsets, rows[:, 1].copy(), rows[:, 2].copy(), accept)


def _sorted(rows: np.ndarray, states: int) -> np.ndarray:
    """Edges (source, label, target) by source, then label: two counting sorts."""
    rows = rows[grouped(rows[:, 1].copy(), int(rows[:, 1].max(initial=0)) + 1)[1]]
    return rows[grouped(rows[:, 0].copy(), states)[1]]


def _spell(edges, labels, ends, accept):
    """Sorted edges (source, unit, target) as edges (source, character, target), and which states accept.

    Unit u is spelt labels[ends[u]:ends[u+1]]. The units that leave a state become a trie below it. Where one of them
    ends inside another ("the" in "then") the inner state stands in for the target: it copies the target's edges and
    acceptance. That keeps the result deterministic, since units are the longest runs of their kind of character: what
    follows "the" never begins with a letter.
    """
    rows, doubles, states = _tries(edges, labels, ends, len(accept))
    inner, target = doubles.T
    offsets, order = grouped(rows[:, 0].copy(), states)
    sizes = offsets[target + 1] - offsets[target]
    copied = np.repeat(offsets[target] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    copies = rows[order[copied]]
    copies[:, 0] = np.repeat(inner, sizes)
    accepting = np.zeros(states, bool)
    accepting[: len(accept)] = accept
    accepting[inner] = accept[target]
    return np.concatenate([rows, copies]), accepting


@kernel
def _tries(edges, labels, ends, states):
    """The edges of the tries, pairs (inner state, the state it stands in for), and how many states there are."""
    size = longest = np.int64(0)
    for k in range(len(edges)):
        length = ends[edges[k, 1] + 1] - ends[edges[k, 1]]
        size += length
        longest = max(longest, length)
    rows = np.empty((size, 3), np.int32)
    doubles = np.empty((len(edges), 2), np.int32)
    path = np.empty(longest + 1, np.int32)  # states along the current unit
    used = found = 0
    before = past = np.int64(0)  # where the previous unit of the same state is spelt
    for k in range(len(edges)):
        start, stop = ends[edges[k, 1]], ends[edges[k, 1] + 1]
        path[0] = edges[k, 0]
        shared = 0
        if k and edges[k - 1, 0] == edges[k, 0]:
            while before + shared < past and labels[before + shared] == labels[start + shared]:
                shared += 1
            if before + shared == past:
                doubles[found, 0], doubles[found, 1] = states, rows[used - 1, 2]
                found += 1
                rows[used - 1, 2] = path[shared] = states
                states += 1
        for i in range(start + shared, stop):
            rows[used, 0], rows[used, 1], rows[used, 2] = path[i - start], labels[i], states
            path[i - start + 1] = states
            states += 1
            used += 1
        states -= 1  # the last character leads to the target instead
        rows[used - 1, 2] = edges[k, 2]
        before, past = start, stop
    return rows[:used], doubles[:found], states


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
    count, used, current = 1, 0, np.int64(0)
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
            p = np.int64(link[p])
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
                    p = np.int64(link[p])
                link[q] = link[new] = clone
        current = new
    return edges[:used].copy(), last[:count].copy()
