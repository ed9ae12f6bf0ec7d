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
    for i in range(len(array)):  # a slice assignment would take numba ten times as long to compile
        bigger[i] = array[i]
    return bigger


@kernel
def mix(value):
    """A good 64-bit hash of an integer (the finaliser of splitmix64)."""
    x = np.uint64(value) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def sort_first(values, n):
    """Sort values[:n] in place; insertion sort, since most lists are tiny or nearly in order, while that takes few moves."""
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
    for root in range(n // 2 - 1, -1, -1):  # heapsort
        _sift(values, root, n)
    for last in range(n - 1, 0, -1):
        values[0], values[last] = values[last], values[0]
        _sift(values, 0, last)


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
