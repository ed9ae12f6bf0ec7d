"""States that are copies of others, as far as texts stay among them.

Ten properties that are strings are ten copies of one automaton, which differ in where the closing quote leads. Take a
set W of states, and let the *leaving* bytes be those by which some state of W leaves W. Call two states of W alike if
they are bisimilar by all other bytes. Let s be in a connected component of W (by other bytes) in which no two states are
alike, and r be a state like s. Where two tokens without leaving bytes lead r to one place, they lead s to places that
are alike, so, in one component, to one place. Hence what tells tokens without leaving bytes apart in s does so in r, too: if all tokens are walked
from r, it is enough to walk those with a leaving byte from s, and to keep them apart from all others.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.encodings import ByteDFA
from dgemma_constrain.automata.kernels import grouped, kernel, mix, random_words
from dgemma_constrain.automata.minimize import equivalent_states

ROUNDS = 12  # bytes, at least, of the longest escape, a surrogate pair; W may be any set


def find_copies(dfa: ByteDFA, first_class: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states that are copies of others, bool[S], and the leaving bytes, bool[256]. W is the states of the region,
    bool[S], and those from which every walk comes into it (inside an escape, say). No class before `first_class`, int32[S],
    leads on from a state."""
    within = _coming(dfa.table, first_class, region)
    number = np.where(within, np.cumsum(within) - 1, -1).astype(np.int32)
    hashes, leaving = _columns(dfa.table, number)
    _, columns = np.unique(hashes, return_index=True)
    columns = columns[~leaving[columns]]
    offsets, targets, weights = _among(dfa.table, columns, number, random_words(len(columns)))
    copy = np.zeros(len(dfa.table), bool)
    labels = np.arange(len(weights), dtype=np.int32)
    block, blocks = equivalent_states(offsets, labels, targets, copy[within], weights)
    copy[within] = _copies(offsets, targets, block, blocks)
    return copy, leaving[dfa.classes]


@kernel
def _coming(table, first_class, region):
    """bool[S]: the region, and states that lead to such states only."""
    within, at = region.copy(), first_class.copy()  # at: the classes before are looked at
    todo = np.empty(len(table), np.int32)
    count = 0
    for s in range(len(table) - 1, -1, -1):
        todo[count] = s
        count += np.int64(not within[s])
    for _ in range(ROUNDS):
        left = 0
        for i in range(count):
            s = todo[i]
            c = at[s]
            while c < table.shape[1] and (table[s, c] < 0 or within[table[s, c]]):
                c += 1
            at[s] = c
            within[s] = c == table.shape[1]
            todo[left] = s
            left += np.int64(not within[s])
        if left == count:
            break
        count = left
    return within


@kernel
def _columns(table, number):
    """A hash of every column of the rows of numbered states, and bool[K]: the columns by which these lead to others."""
    hashes, leaving = np.zeros(table.shape[1], np.uint64), np.zeros(table.shape[1], np.bool_)
    for s in range(len(table)):
        if number[s] >= 0:
            for c in range(table.shape[1]):
                hashes[c] += mix((np.int64(s) << 32) | np.int64(table[s, c] + 1))
            for c in range(table.shape[1]):
                if table[s, c] >= 0 and number[table[s, c]] < 0:
                    leaving[c] = True
    return hashes, leaving


@kernel
def _among(table, columns, number, words):
    """The transitions among numbered states by some columns, in rows (offsets, targets, weights): one for all columns by which
    a state leads to another, as heavy as their words."""
    states = number.max() + 1
    room = states * len(columns)
    offsets, targets, weights = np.zeros(states + 1, np.int64), np.empty(room, np.int32), np.empty(room, np.uint64)
    place = np.full(states, -1, np.int64)
    used = 0
    for s in range(len(table)):
        if number[s] >= 0:
            begin = used
            for i in range(len(columns)):
                t = table[s, columns[i]]
                if t >= 0:
                    t = number[t]
                    if place[t] < begin:
                        place[t], targets[used], weights[used] = used, t, np.uint64(0)
                        used += 1
                    weights[place[t]] += words[i]
            offsets[number[s] + 1] = used
    return offsets, targets[:used].copy(), weights[:used].copy()


@kernel
def _root(parent, s):
    while parent[s] != s:
        parent[s] = parent[parent[s]]
        s = parent[s]
    return s


@kernel
def _copies(offsets, targets, block, blocks):
    """bool[n]: the states of those components that have no two states in one block, and of each block one in an earlier
    component that is not of these."""
    n = len(block)
    parent = np.arange(n).astype(np.int32)
    for s in range(n):
        for e in range(offsets[s], offsets[s + 1]):
            a, b = _root(parent, np.int32(s)), _root(parent, targets[e])
            parent[max(a, b)] = min(a, b)
    root = np.empty(n, np.int32)
    for s in range(n):
        root[s] = _root(parent, np.int32(s))
    begins, order = grouped(root, n)
    walked = np.zeros(blocks, np.bool_)
    seen = np.full(blocks, -1, np.int32)
    copy = np.zeros(n, np.bool_)
    for component in range(n):
        copied = True
        for i in range(begins[component], begins[component + 1]):
            b = block[order[i]]
            if seen[b] == component or not walked[b]:
                copied = False
            seen[b] = component
        for i in range(begins[component], begins[component + 1]):
            if copied:
                copy[order[i]] = True
            else:
                walked[block[order[i]]] = True
    return copy
