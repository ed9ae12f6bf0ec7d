"""A heap for kernels: rows of integers, hash-consed, and a memory of what was computed of them.

A kernel cannot lengthen an array that its caller holds. So where there is no room it says FULL, its caller makes room
(`roomier`) and calls again; what was interned so far is found again. There is one heap for rows of all kinds, since
passing an array from kernel to kernel costs about 10 ns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import bare, grown, kernel, mix, slot_of

FULL = -2
UNKNOWN = -9


class Heap(NamedTuple):
    """items  int32, a row is known by its place k: items[k] is its length n, and items[k+1:k+1+n] is what is in it
    table  int32, the places of rows, open-addressing, -1 where empty
    keys   int64, (a, b) → value, open-addressing, -1 where empty; a is a row, b a number under 2^20
    values int32
    size   int64[3]: how many items, rows, and results there are
    """

    items: np.ndarray
    table: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    size: np.ndarray


@kernel
def new_heap():
    table, keys = np.full(4096, -1, np.int32), np.full(4096, -1, np.int64)
    return Heap(np.empty(8192, np.int32), table, keys, np.empty(4096, np.int32), np.zeros(3, np.int64))


@bare
def _hash(row, start, n):
    key = np.uint64(n)
    for i in range(start, start + n):
        key = mix(np.int64(key ^ np.uint64(row[i])))
    return key


@bare
def intern(heap, row, n):
    """The row row[:n] (int32), or FULL."""
    items, table, size = heap.items, heap.table, heap.size
    mask = len(table) - 1
    slot = np.int64(_hash(row, np.int64(0), n) & np.uint64(mask))
    while table[slot] >= 0:
        known = np.int64(table[slot])
        if items[known] == n:
            i = 0
            while i < n and items[known + 1 + i] == row[i]:
                i += 1
            if i == n:
                return known
        slot = (slot + 1) & mask
    at = size[0]
    if at + 1 + n > len(items) or 2 * (size[1] + 1) > len(table):
        return np.int64(FULL)
    items[at] = n
    for i in range(n):
        items[at + 1 + i] = row[i]
    table[slot] = at
    size[0] = at + 1 + n
    size[1] += 1
    return at


@kernel
def number_rows(heap, places):
    """Make places of rows their numbers, which are in the order of first sight."""
    number = np.empty(heap.size[0], np.int32)
    at = n = np.int64(0)
    while at < heap.size[0]:
        number[at] = n
        n += 1
        at += 1 + heap.items[at]
    for i in range(len(places)):
        places[i] = number[places[i]]


@bare
def recall(keys, values, a, b):
    """What was remembered of (a, b), or UNKNOWN."""
    key = np.int64(a) << 20 | np.int64(b)
    slot = slot_of(keys, key)
    return np.int64(values[slot]) if keys[slot] == key else np.int64(UNKNOWN)


@bare
def remember(heap, a, b, value):
    """The value itself, or FULL."""
    keys = heap.keys
    if 2 * (heap.size[2] + 1) > len(keys):
        return np.int64(FULL)
    key = np.int64(a) << 20 | np.int64(b)
    slot = slot_of(keys, key)
    if keys[slot] < 0:
        heap.size[2] += 1
    keys[slot] = key
    heap.values[slot] = value
    return np.int64(value)


@kernel
def roomy(heap, items_more, rows_more, results_more):
    """The heap, or a larger copy: there is room for so many more."""
    items, table, keys, values, size = heap
    items = grown(items, size[0] + items_more)
    wide = np.int64(len(table))
    while 2 * (size[1] + rows_more) > wide:
        wide *= 4
    if wide > len(table):
        table = np.full(wide, -1, np.int32)
        at = np.int64(0)
        while at < size[0]:
            slot = np.int64(_hash(items, at + 1, np.int64(items[at])) & np.uint64(wide - 1))
            while table[slot] >= 0:
                slot = (slot + 1) & (wide - 1)
            table[slot] = at
            at += 1 + items[at]
    wide = np.int64(len(keys))
    while 2 * (size[2] + results_more) > wide:
        wide *= 4
    if wide > len(keys):
        old, old_values = keys, values
        keys, values = np.full(wide, -1, np.int64), np.empty(wide, np.int32)
        for i in range(len(old)):
            if old[i] >= 0:
                slot = slot_of(keys, old[i])
                keys[slot], values[slot] = old[i], old_values[i]
    return Heap(items, table, keys, values, size)


def roomier(heap: Heap) -> Heap:
    """With room for as much again of what there is, and more."""
    return roomy(heap, heap.size[0] + 4096, heap.size[1] + 16, heap.size[2] + 16)
