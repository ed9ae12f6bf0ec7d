"""Writing the rows of a token automaton, by walks of tries of one token a class, or of one key for all classes that some states
cannot tell apart; see `lift`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.tokens.trie import Trie
from dgemma_constrain.tokens.walk import move

TOGETHER = 256  # states that walk at a time: their vectors, and the ends of their rows, stay in the processor's cache
CHUNK = 8  # times as many transitions as those can have: what is never written takes no memory


class Walk(NamedTuple):
    """States (int32[n]) that walk a trie of keys, and the key of each class, int64[C]."""

    states: np.ndarray
    trie: Trie
    key: np.ndarray


class Steps(NamedTuple):
    """Transitions to row `target`, int32[n], from row rows[g, source], where `source`, uint8[n], tells the states that walk
    together in group g apart. Of these, those by key k are ends[g, k]:ends[g, k+1]; int32[m, TOGETHER] and int64[m, K+1]. The
    key of each class is `key`."""

    rows: np.ndarray
    source: np.ndarray
    target: np.ndarray
    ends: np.ndarray
    key: np.ndarray


def walk_rows(columns, byte_class, walks: list[Walk], number, height: int, left, right, max_work: int):
    """All transitions by keys; the hash of each class's column (0: it has no transitions), and the status."""
    found: list[Steps] = []
    sums = np.zeros(len(walks[0].key), np.uint64)
    work = 0
    for states, trie, key in walks:
        if not len(states):
            continue
        keys = int(trie.first[-1])
        hashes = np.zeros(keys, np.uint64)
        chunk = CHUNK * min(TOGETHER, len(states)) * keys
        done = 0
        while done < len(states):
            source, target = np.empty(chunk, np.uint8), np.empty(chunk, np.int32)
            rows, ends, more = _walk_some(
                columns, byte_class, states[done:], number, tuple(trie)[:5], height, left, right, source, target, hashes
            )
            found.append(Steps(rows, source, target, ends, key))
            done += TOGETHER * len(ends)
            work += more
            if work > max_work:
                return found, sums, 2
        sums += hashes[key]
    return found, sums, 0


def write_rows(found: list[Steps], classes: np.ndarray, rows: int):
    """(offsets, symbols, targets) over some of the classes, renumbered from 0."""
    offsets = np.zeros(rows + 1, np.int64)
    keys = [steps.key[classes] for steps in found]
    for (places, source, _, ends, _), key in zip(found, keys):
        _count(offsets, places, source, ends, key)
    np.cumsum(offsets, out=offsets)
    at = offsets.copy()
    symbols, targets = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    for (places, source, target, ends, _), key in zip(found, keys):
        _fill(at, places, source, target, ends, key, symbols, targets)
    return offsets, symbols, targets


@kernel
def _walk_some(columns, byte_class, starts, number, trie, height, left, right, source, target, sums):
    """Write the transitions of the first states, as many as there is room for, by the keys in a trie, and add to the hash
    of each key's column. Returns the rows of those that walk together, where theirs end, and the work."""
    byte, depth, skip, first, last = trie
    keys = len(sums)
    states, origins = np.empty((height + 1, TOGETHER + 1), np.int32), np.empty((height + 1, TOGETHER + 1), np.uint8)
    counts, last_class = np.zeros(height + 1, np.int64), np.empty(height + 2, np.int64)  # as in `discover`
    weights = np.empty(TOGETHER, np.uint64)
    most = -(-len(starts) // TOGETHER)
    all_ends, rows = np.empty((most, keys + 1), np.int64), np.empty((most, TOGETHER), np.int32)
    work = np.int64(0)
    used = groups = 0
    while groups < len(all_ends) and used + min(TOGETHER, len(starts)) * keys <= len(source):
        ends, names = all_ends[groups], rows[groups]
        begin = groups * TOGETHER
        groups += 1
        counts[0] = min(TOGETHER, len(starts) - begin)
        for i in range(counts[0]):
            s = starts[begin + i]
            states[0, i], origins[0, i] = s, i
            names[i], weights[i] = number[s], left[s]
        done = k = 0
        last_class[1] = -1
        while k < len(byte):
            d = depth[k]
            c = np.int64(byte_class[byte[k]])
            if c != last_class[d]:
                last_class[d] = c
                work += counts[d - 1]
                counts[d] = move(columns, c, states, origins, d, counts[d - 1])
            n = counts[d]
            if n == 0:
                k = skip[k]
                continue
            last_class[d + 1] = -1
            if last[k] > first[k]:
                while done <= first[k]:
                    ends[done] = used
                    done += 1
                total = np.uint64(0)
                for j in range(n):
                    t = states[d, j]
                    source[used], target[used] = origins[d, j], number[t]
                    total += weights[origins[d, j]] * right[t]
                    used += 1
                sums[first[k]] += total
            k += 1
        while done <= keys:
            ends[done] = used
            done += 1
    return rows[:groups], all_ends[:groups], work


@kernel
def _count(offsets, rows, source, all_ends, key):
    """Add the number of transitions of each row at the place after it."""
    times = np.zeros(all_ends.shape[1], np.int64)
    for k in key:
        times[k] += 1
    count = np.zeros(TOGETHER, np.int64)
    for g in range(len(rows)):
        ends = all_ends[g]
        for k in range(len(ends) - 1):
            for e in range(ends[k], ends[k + 1]):
                count[source[e]] += times[k]
        for i in range(TOGETHER):
            if count[i] > 0:
                offsets[rows[g, i] + 1] += count[i]
                count[i] = 0


@kernel
def _fill(at, rows, source, target, all_ends, key, symbols, targets):
    """Write the transitions, class by class, where the rows have got to."""
    for g in range(len(rows)):
        ends, names = all_ends[g], rows[g]
        for c in range(len(key)):
            for e in range(ends[key[c]], ends[key[c] + 1]):
                row = names[source[e]]
                place = at[row]
                at[row] = place + 1
                symbols[place], targets[place] = c, target[e]
