"""Many candidates in one call of a kernel: in an order in which those that begin alike follow each other, each is written behind
the text left of the hole and run from where it first differs from the one before."""

from __future__ import annotations

import numpy as np
from numba import carray

from dgemma_constrain.automata.interning import FULL, Heap
from dgemma_constrain.automata.kernels import bare, kernel
from dgemma_constrain.infill.lexer import BEHIND, GAP, pointer
from dgemma_constrain.infill.recogniser import ALIVE, WHOLE, run
from dgemma_constrain.infill.stacks import Work, new_item
from dgemma_constrain.infill.tables import Tables

SEPARATOR = b"\xff"  # between candidates: no byte of UTF-8


@kernel
def check_at(where, data, answers, goal, first, stamp):
    """`check`, given where all else lies, as `lying` says it: to hand over each array costs a call 0.1 us, and there are forty."""
    t = Tables(
        _many(where, 0), _few(where, 1), _many(where, 2), _many(where, 3), _few(where, 4),
        carray(pointer(where[5, 0]), (where[5, 1], where[5, 2]), np.bool_), carray(pointer(where[6, 0]), (where[6, 1],), np.int64),
        where[7, 0], (),
    )  # fmt: skip
    heap = Heap(
        _few(where, 8), _few(where, 9), carray(pointer(where[10, 0]), (where[10, 1],), np.int64), _few(where, 11),
        carray(pointer(where[12, 0]), (where[12, 1],), np.int64),
    )  # fmt: skip
    work = Work(
        heap, _few(where, 13), _few(where, 14), _few(where, 15), _few(where, 16), _few(where, 17), _few(where, 18), _few(where, 19),
        _many(where, 20), _bytes(where, 21), _bytes(where, 22), _few(where, 23), _few(where, 24), _few(where, 25),
    )  # fmt: skip
    block = carray(pointer(where[27, 0]), (where[27, 1],), np.int64)
    return check(
        t, _many(where, 26), block, _few(where, 28), work, _many(where, 29), goal, where[32, 0], where[33, 0], where[31, 1], data, answers,
        first, stamp, _few(where, 31), _few(where, 30),
    )  # fmt: skip


@kernel
def _few(where, k):
    return carray(pointer(where[k, 0]), (where[k, 1],), np.int32)


@kernel
def _many(where, k):
    return carray(pointer(where[k, 0]), (where[k, 1], where[k, 2]), np.int32)


@kernel
def _bytes(where, k):
    return carray(pointer(where[k, 0]), (where[k, 1],), np.uint8)


def lying(t: Tables, work: Work, *rest: np.ndarray | int) -> np.ndarray:
    """int64[N, 3]: where arrays lie and their shape, or a number; those of the tables, of the work, the rest in order."""
    found = []
    for one in (*t[:-1], *work.heap, *work[1:], *rest):
        found.append((one.ctypes.data, *one.shape, 0)[:3] if isinstance(one, np.ndarray) else (one, 0, 0))
    return np.array(found, np.int64)


@bare
def check(t, words, block, text, work, items, goal, memo, cursor, behind, data, answers, first, stamp, changed, room):
    """Each candidate from the `first` on, in their order. Where there is no room left it says which.

    data: the candidates (UTF-8), each with SEPARATOR behind it. text: what is left of the hole up to `cursor`, room for candidates, and from
    `behind` on, what is right of it. changed int32[behind]: of each place the last run that changed what stands there or
    before it. items int32[K, 3]: what is open at the cursor. answers int8[N]. room int32[4 * N + K + behind - cursor + 8], kept until all are done.
    """
    k, count, trail = len(items), len(answers), work.trail
    begins, order, todo = room[: count + 1], room[count + 1 : 2 * count + 1], room[2 * count + 1 : 4 * count + 4]
    starts, codes = room[4 * count + 4 : 4 * count + k + 5], room[4 * count + k + 5 :]
    if first == 0:
        _sorted(data, begins, order, todo)
    for j in range(k):
        item = new_item(work, np.int64(items[j, 0]), cursor - items[j, 1], np.int64(items[j, 2]))
        if item == FULL:
            return first
        starts[j] = item
    last, said, settled = np.int64(-1), np.int8(0), np.int64(0)
    for i in range(first, count):
        which = np.int64(order[i])
        n = _decoded(data, np.int64(begins[which]), np.int64(begins[which + 1] - 1), codes, goal == ALIVE)
        if n < 0:
            answers[which] = 0
            continue
        same = np.int64(0)
        while same < n and text[cursor + same] == codes[same]:
            same += 1
        if same == n and n == last:
            answers[which] = said
            continue
        settled = min(settled, same)  # so far `changed` doesn't descend
        now = np.int64(changed[cursor + settled - 1]) if settled else np.int64(0)
        for j in range(settled, n):
            if text[cursor + j] != codes[j]:
                now = stamp + i - first + 1
                text[cursor + j] = codes[j]
            now = max(now, np.int64(changed[cursor + j]))
            changed[cursor + j] = now
        settled = n
        at = np.int64(trail[0])
        while at and trail[2 * at + 1] > cursor + same:
            at -= 1
        if at:  # the parse was down to one item when it had read no further than what is the same
            starts[k] = trail[2 * at]
            trail[0], trail[1] = at - 1, trail[2 * at + 1]
        else:
            trail[0] = trail[1] = 0
        begun = starts[k:] if at else starts[:k]
        view = text if goal == WHOLE else text[: cursor + n]
        block[GAP] = cursor + n
        block[BEHIND] = behind
        answer = run(t, words, block, view, work, begun, goal, memo, stamp + i - first + 1, changed)
        if answer == FULL:
            return i
        last, said = n, np.int8(answer)
        answers[which] = said
    return np.int64(count)


@bare
def _sorted(data, begins, order, todo):
    """Where candidates begin, and their order by bytes: multikey quicksort (Bentley and Sedgewick 1997).

    todo: the runs that are not in order yet, each of at least two, and how many bytes all in it have in common.
    """
    count, at = len(order), np.int64(0)
    for i in range(count):
        order[i] = i
        begins[i] = at
        while data[at] != 0xFF:
            at += 1
        at += 1
    begins[count] = at
    top = _run(todo, np.int64(0), np.int64(0), np.int64(count), np.int64(0))
    while top:
        top -= 1
        low, high, depth = np.int64(todo[3 * top]), np.int64(todo[3 * top + 1]), np.int64(todo[3 * top + 2])
        pivot = data[begins[order[(low + high) >> 1]] + depth]
        less, i, more = low, low, high
        while i < more:
            which = order[i]
            one = data[begins[which] + depth]
            if one < pivot:
                order[i] = order[less]
                order[less] = which
                less += 1
                i += 1
            elif one > pivot:
                more -= 1
                order[i] = order[more]
                order[more] = which
            else:
                i += 1
        top = _run(todo, top, low, less, depth)
        top = _run(todo, top, more, high, depth)
        if pivot != 0xFF:
            top = _run(todo, top, less, more, depth + 1)


@bare
def _run(todo, top, low, high, depth):
    if high - low < 2:
        return top
    todo[3 * top] = low
    todo[3 * top + 1] = high
    todo[3 * top + 2] = depth
    return top + 1


@bare
def _decoded(data, at, stop, codes, partly):
    """How many characters the UTF-8 data[at:stop] has, which go into `codes`; -1 if it isn't UTF-8. partly: the last may be cut."""
    n = np.int64(0)
    while at < stop:
        one = np.int64(data[at])
        if one < 0x80:
            codes[n] = one
            n += 1
            at += 1
            continue
        more = np.int64(one >= 0xC2) + np.int64(one >= 0xE0) + np.int64(one >= 0xF0)
        if 0x80 <= one < 0xC2 or one > 0xF4:
            return np.int64(-1)
        code = one & 0x3F >> more
        for i in range(more):
            at += 1
            if at == stop:
                return n if partly else np.int64(-1)
            one = np.int64(data[at])
            code = code << 6 | one & 0x3F
            least = 0x20 if more == 2 else 0x10
            if (
                one >> 6 != 2
                or i == 0
                and (more > 1 and code < least or more == 2 and 0x360 <= code < 0x380 or more == 3 and code > 0x10F)
            ):
                return np.int64(-1)
        codes[n] = code
        n += 1
        at += 1
    return n
