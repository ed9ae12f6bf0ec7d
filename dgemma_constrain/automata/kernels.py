"""Small pieces that the kernels share: growing arrays, hashing, searching, counting sorts, distances."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit

# One decorator for all: numba compiles its own helpers (np.empty, …) once for each set of options. What costs most to
# compile is avoided too: slice assignments, reductions and fancy indexing (loops, or numpy outside of kernels, instead);
# and counters that a kernel passes on begin as np.int64, since a literal makes numba compile the callee for the literal.
ROOM = 3  # a kernel's status where an array is too short: see `determinize`
kernel = njit(cache=True, nogil=True, boundscheck=False, no_cfunc_wrapper=True)
# For what makes no array: references aren't counted, which costs 5 ns whenever an array is taken out of a tuple.
bare = njit(cache=True, nogil=True, boundscheck=False, no_cfunc_wrapper=True, _nrt=False)


@kernel
def grown(array, needed):
    """`array`, or a copy twice as long as needed when it is too short."""
    if needed <= len(array):
        return array
    bigger = np.empty(2 * needed, array.dtype)
    for i in range(len(array)):  # a slice assignment would take numba ten times as long to compile
        bigger[i] = array[i]
    return bigger


@kernel
def grown_rows(rows, needed):
    """As `grown`, by the first axis."""
    if needed <= len(rows):
        return rows
    return grown(rows.ravel(), needed * rows.shape[1]).reshape(-1, rows.shape[1])


@bare
def mix(value):
    """A good 64-bit hash of an integer (the finaliser of splitmix64)."""
    x = np.uint64(value) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def random_words(count: int) -> np.ndarray:
    """uint64[count], the same ones each time."""
    return _words(1 << max(count - 1, 255).bit_length())[:count]


@lru_cache(maxsize=32)
def _words(count: int) -> np.ndarray:
    return np.random.default_rng(0x5EED).integers(1, 2**64, count, np.uint64)


@bare
def slot_of(keys, key):
    """Where `key` is, or belongs, in an open-addressing table; -1 marks an empty place."""
    mask = len(keys) - 1
    slot = np.int64(mix(key) & np.uint64(mask))
    while keys[slot] >= 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def position(values, lo, hi, wanted):
    """Where `wanted` is in values[lo:hi], which ascend, or -1."""
    while lo < hi:
        middle = (lo + hi) >> 1
        if values[middle] == wanted:  # leaving early is what makes the compiler branch, which is faster than to select
            return middle
        if values[middle] < wanted:
            lo = middle + 1
        else:
            hi = middle
    return np.int64(-1)


@kernel
def sort(values):
    """Sort in place; insertion sort, since most lists are tiny or nearly in order, while that takes few moves."""
    n = len(values)
    moves = 8 * n
    for i in range(1, n):
        v = values[i]
        j = i - 1
        while j >= 0 and values[j] > v:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = v
        moves -= i - 1 - j
        if moves < 0:
            break
    else:
        return
    root = n // 2  # heapsort: make a heap, then take the largest from it again and again
    while n > 1:
        if root > 0:
            root -= 1
        else:
            n -= 1
            values[0], values[n] = values[n], values[0]
        _sift(values, root, n)


@kernel
def _sift(values, root, n):
    v = values[root]
    child = 2 * root + 1
    while child < n:
        if child + 1 < n and values[child + 1] > values[child]:
            child += 1
        if values[child] <= v:
            break
        values[root] = values[child]
        root = child
        child = 2 * root + 1
    values[root] = v


@kernel
def grouped(keys, size):
    """Counting sort: (offsets int64[size+1], order int32[n]) with order[offsets[k]:offsets[k+1]] the i of key k."""
    offsets = np.zeros(size + 1, np.int64)
    for key in keys:
        offsets[key + 1] += 1
    for k in range(size):
        offsets[k + 1] += offsets[k]
    place = offsets.copy()
    order = np.empty(len(keys), np.int32)
    for i in range(len(keys)):
        order[place[keys[i]]] = i
        place[keys[i]] += 1
    return offsets, order


@kernel
def distances(offsets, targets, seeds):
    """Fewest transitions from one of the seeds (bool[S]) to each state, int32[S]; breadth-first. -1: no way there."""
    distance = np.full(len(seeds), -1, np.int32)
    queue = np.empty(len(seeds), np.int32)
    head = tail = 0
    for s in range(len(seeds)):
        if seeds[s]:
            distance[s] = 0
            queue[tail] = s
            tail += 1
    while head < tail:
        s = queue[head]
        head += 1
        for e in range(offsets[s], offsets[s + 1]):
            t = targets[e]
            if distance[t] < 0:
                distance[t] = distance[s] + 1
                queue[tail] = t
                tail += 1
    return distance


def reversed_rows(offsets, targets):
    """The transitions into each state, as rows (offsets, sources)."""
    into, order = grouped(targets, len(offsets) - 1)
    return into, sources(offsets)[order]


def sources(offsets):
    """The source of every transition of a table in rows, int32[T]."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
