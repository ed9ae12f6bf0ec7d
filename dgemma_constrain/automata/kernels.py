"""Small pieces that the kernels share: growing arrays, hashing, counting sorts, reachability."""

from __future__ import annotations

import numpy as np
from numba import njit

kernel = njit(cache=True, nogil=True, boundscheck=False)


@kernel
def grown(array, needed):
    """`array`, or a copy twice as long as needed when it is too short."""
    if needed <= len(array):
        return array
    bigger = np.empty(2 * needed, array.dtype)
    bigger[: len(array)] = array
    return bigger


@kernel
def mix(value):
    """A good 64-bit hash of an integer (the finaliser of splitmix64)."""
    x = np.uint64(value) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


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
def reachable(offsets, targets, seeds):
    """The states that can be reached from `seeds` (bool[S]), themselves included."""
    seen = seeds.copy()
    stack = np.empty(len(seen), np.int32)
    top = 0
    for s in range(len(seen)):
        if seen[s]:
            stack[top] = s
            top += 1
    while top:
        top -= 1
        s = stack[top]
        for e in range(offsets[s], offsets[s + 1]):
            t = targets[e]
            if not seen[t]:
                seen[t] = True
                stack[top] = t
                top += 1
    return seen


@kernel
def sources(offsets):
    """The source of every transition of a table in rows, int32[T]."""
    result = np.empty(offsets[-1], np.int32)
    for s in range(len(offsets) - 1):
        for e in range(offsets[s], offsets[s + 1]):
            result[e] = s
    return result
