"""The stacks of a GLR parser's parses, and what a terminal makes of one: linked lists of LR states, hash-consed.

Parses that have become equal are one row of a heap (the graph-structured stack of Tomita 1985, but shared from the bottom only:
where two stacks come to the same state over different ones they stay two). A reduction pops a stack by following its links and
pushes the state that the table has for what was reduced, so what a terminal leads to depends on the stack alone and is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, Heap, intern, remember, roomier
from dgemma_constrain.automata.kernels import bare
from dgemma_constrain.infill.lexer import STATE
from dgemma_constrain.infill.tables import ACCEPT, REDUCE, SHIFT

LIMIT = -3  # more parses than a text warrants
LONGEST = 64  # characters of an open token that are tried with more


class Work(NamedTuple):
    """What a run works in. Rows of the heap: of 2, a stack (state, the one below or -1); of 3, an item (stack, place, scanner);
    longer, a scanner's state, or -2-stack and an open token, which `mark` says whether it can be continued.

    mark int32, as long as the heap's items; known int32, as long: where in `kept` it stands what an item led to, 0 nowhere; kept
    int32[K]: of an item the run, the place behind the last character that was looked at, how many items it led to, and those; of
    (stack, terminal), which heap.keys knows, how many stacks there are behind it, and those; kept[0] is how much there is; order,
    parent, todo int32[M]: the items of a run, what each came from, and which are left; opened int32[K]: items that the end of the
    text leaves open; fed int32[2, F]: stacks behind a terminal, and on the way to it; saved, room uint8: the scanner's state before
    and after a token; row, probe int32; trail int32[2 + 2T]: how many items the last text's parse was down to one after the other,
    each alone, the place behind the last character that must be the same for the next text to begin with the last of them, and for
    each the item and that place.
    """

    heap: Heap
    mark: np.ndarray
    known: np.ndarray
    kept: np.ndarray
    order: np.ndarray
    parent: np.ndarray
    todo: np.ndarray
    opened: np.ndarray
    fed: np.ndarray
    saved: np.ndarray
    room: np.ndarray
    row: np.ndarray
    probe: np.ndarray
    trail: np.ndarray


def new_work(length: int) -> Work:
    items, slots, some = 1 << 16, 1 << 14, 4 * length + 4096
    heap = Heap(
        np.empty(items, np.int32), np.full(2 * slots, -1, np.int32), np.full(slots, -1, np.int64), np.empty(slots, np.int32), np.zeros(3, np.int64),
    )  # fmt: skip
    kept = np.zeros(1 << 16, np.int32)
    kept[0] = 1
    return Work(
        heap, *(np.zeros(items, np.int32) for _ in range(2)), kept, *(np.empty(some, np.int32) for _ in range(3)), np.empty(1024, np.int32),
        np.empty((2, 1024), np.int32), np.zeros(STATE, np.uint8), np.zeros(STATE, np.uint8), np.empty(STATE + 8, np.int32),
        np.empty(LONGEST + 8, np.int32), np.zeros(2050, np.int32),
    )  # fmt: skip


def emptied(work: Work) -> Work:
    """With nothing in it; in the same arrays, which the system need not hand out again."""
    used, heap = int(work.heap.size[0]), work.heap
    for array in (heap.table, heap.keys):
        array.fill(-1)
    for array in (heap.size, work.mark[:used], work.known[:used], work.trail[:2]):
        array.fill(0)
    work.kept[0] = 1
    return work


def enlarged(work: Work) -> Work:
    """With more room of that which is short."""
    heap, kept = work.heap, work.kept
    if kept[0] > len(kept) - 2 * STATE:
        return work._replace(kept=np.concatenate([kept, np.zeros(3 * len(kept), np.int32)]))
    used, rows, results = heap.size.tolist()
    if used < len(heap.items) - 2 * STATE and 2 * rows < len(heap.table) - 2 and 2 * results < len(heap.keys) - 2:
        more = (np.empty(2 * len(work.order), np.int32) for _ in range(3))
        return work._replace(**dict(zip(("order", "parent", "todo"), more)))
    heap = roomier(heap)
    mark, known = np.zeros(len(heap.items), np.int32), np.zeros(len(heap.items), np.int32)
    mark[:used], known[:used] = work.mark[:used], work.known[:used]
    return work._replace(heap=heap, mark=mark, known=known)


@bare
def _stack(work, state, below):
    work.row[0] = state
    work.row[1] = below
    return intern(work.heap, work.row, np.int64(2))


@bare
def _shifted(t, work, node, symbol, keyword):
    """How many stacks there are behind a terminal, in work.fed[0], -1 for the whole text's end. FULL, LIMIT."""
    items, to, way = work.heap.items, work.fed[0], work.fed[1]
    count, top, i = np.int64(0), np.int64(1), np.int64(0)
    way[0] = node
    while i < top:
        now = np.int64(way[i])
        i += 1
        state = items[now + 1]
        at = t.table[state, symbol]
        if at == 0 and keyword and not t.reserved[t.modes[state, 2], symbol]:
            at = t.table[state, t.capture]  # a keyword that can't stand here is a word
        if at == 0:
            continue
        for a in range(t.starts[at], t.starts[at + 1]):
            kind, target = t.actions[a, 0], t.actions[a, 1]
            new = np.int64(-1)
            if kind == REDUCE:
                new = _reduced(t, work, now, target, t.actions[a, 2])
                if new == FULL:
                    return new
                if new >= 0:
                    if top == len(way):
                        return np.int64(LIMIT)
                    j = 0
                    way[top] = new
                    while way[j] != new:
                        j += 1
                    top += j == top
            elif kind == SHIFT or kind == ACCEPT:
                if kind == SHIFT:
                    new = _stack(work, target, now) if target else now
                    if new == FULL:
                        return new
                if count == len(to):
                    return np.int64(LIMIT)
                j = 0
                to[count] = new
                while to[j] != new:
                    j += 1
                count += j == count
    return count


@bare
def _moved(t, work, node, symbol, keyword):
    """Where in work.kept it stands how many stacks there are behind a terminal, and which. FULL, LIMIT."""
    heap, kept = work.heap, work.kept
    count = _shifted(t, work, node, symbol, keyword)
    if count < 0:
        return count
    k = np.int64(kept[0])
    if k + count + 1 > len(kept):
        return np.int64(FULL)
    kept[k] = count
    for j in range(count):
        kept[k + 1 + j] = work.fed[0, j]
    if remember(heap, node, 2 * symbol + keyword, k) == FULL:
        return np.int64(FULL)
    kept[0] = k + 1 + count
    return k


@bare
def _reduced(t, work, node, symbol, length):
    """The stack after a reduction, or -1. FULL."""
    items = work.heap.items
    for _ in range(length):
        if node >= 0:
            node = np.int64(items[node + 2])
    if node < 0:
        return np.int64(-1)
    target = t.table[items[node + 1], symbol]
    if target == 0:
        return np.int64(-1)
    return _stack(work, target, node)


@bare
def new_item(work, node, at, scanner):
    """An item's place in the heap. FULL."""
    row = work.row
    row[0] = node
    row[1] = at
    row[2] = scanner
    return intern(work.heap, row, np.int64(3))
