"""The first walk of the trie in a lift: from which byte states tokens lead where; see `lift`."""

from __future__ import annotations

import numpy as np
from numba import njit

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.tokens.region import OUTSIDE, STAY

TOGETHER_DEPTH = 2  # bytes from the root
TOGETHER = 1 << 15  # states that walk at a time: the more, the more of them meet


@njit(inline="always")
def move(columns, c, states, origins, d, count):
    """Move the `count` states at depth d-1 along one column of the table to depth d; how many live on."""
    n = 0
    for j in range(count):
        t = columns[c, states[d - 1, j]]
        states[d, n] = t
        origins[d, n] = origins[d - 1, j]
        n += np.int64(t >= 0)
    return n


@njit(inline="always")
def _move_together(columns, c, states, weights, d, count, place):
    """The same with weights, of which those add up that are in one state now. `place` is -1 throughout, and is left so."""
    n = 0
    for j in range(count):
        t = columns[c, states[d - 1, j]]
        if t >= 0:
            if place[t] < 0:
                place[t] = n
                states[d, n] = t
                weights[d, n] = np.uint64(0)
                n += 1
            weights[d, place[t]] += weights[d - 1, j]
    for j in range(n):
        place[states[d, j]] = -1
    return n


@njit(inline="always")
def add(column, mark, at, value):
    if mark[at] == 0:
        mark[at] = 1
        column[at] = np.uint64(0)
    column[at] += value


@kernel
def _lasting(table, byte_class, kind):
    """The kinds of bytes (see `KIND`) of which all lead from a state to itself, uint64[S]."""
    kinds = np.zeros(table.shape[1], np.uint64)
    for b in range(256):
        kinds[byte_class[b]] |= np.uint64(1) << kind[b]
    lasting = np.empty(len(table), np.uint64)
    for s in range(len(table)):
        changing = np.uint64(0)
        for c in range(len(kinds)):
            if table[s, c] != s:
                changing |= kinds[c]
        lasting[s] = ~changing
    return lasting


@kernel
def _walk(
    columns,
    byte_class,
    lasting,
    trie,
    k,
    end,
    states,
    weights,
    counts,
    place,
    right,
    column,
    mark,
    known,
    found,
    count,
    max_work,
    moved,
):
    """Walk nodes k:end of a trie, where node k has depth 1, from states[0, :counts[0]]; or from states[1, :counts[1]], to which
    the bytes of class `moved` have led (-1: none). `weights` are the sums of `left` over the states they began in. Adds to the
    states in `found`; returns how many those are, and the work. Adds to the hashes of the sorted tokens, of which `column`
    has the differences: what is at a position counts from there on. Where `mark` is 0 nothing is, whatever `column` says.

    Many states soon lead to one (of a hundred names that are not to be written, most tokens are none), and the hash is
    linear in `left`: so near the root, where it pays most, those that have met walk on as one. Siblings by one class of bytes
    are reached in one go. And most tokens go on with letters in a state that letters do not change: where all bytes below
    a node are such bytes, all its tokens lead to where it does, and its nodes are passed over.
    """
    byte, depth, skip, first, last, below = trie
    work = np.int64(0)
    last_class = np.full(len(counts) + 1, -1, np.int64)  # by which its last sibling was reached
    last_class[1] = moved
    while k < end and work <= max_work:
        d = depth[k]
        c = np.int64(byte_class[byte[k]])
        if c != last_class[d]:
            last_class[d] = c
            work += counts[d - 1]
            if d <= TOGETHER_DEPTH and counts[d - 1] > 1:
                counts[d] = _move_together(columns, c, states, weights, d, counts[d - 1], place)
            else:
                counts[d] = move(columns, c, states, weights, d, counts[d - 1])
        n = counts[d]
        if n == 0:
            k = skip[k]
            continue
        whole = True
        for j in range(n):
            if below[k] & ~lasting[states[d, j]] != np.uint64(0):
                whole = False
                break
        if whole or last[k] > first[k]:
            total = np.uint64(0)
            for j in range(n):
                total += weights[d, j] * right[states[d, j]]
            if count < len(known):
                for j in range(n):
                    t = states[d, j]
                    found[count] = t
                    count += np.int64(not known[t])
                    known[t] = True
            add(column, mark, first[k], total)
            add(column, mark, first[skip[k]] if whole else last[k], np.uint64(0) - total)
        last_class[d + 1] = -1
        k = skip[k] if whole else k + 1
    return count, work


@kernel
def _children(byte, skip):
    """The node of each first byte, int64[256], or -1."""
    child = np.full(256, -1, np.int64)
    k = 0
    while k < len(byte):
        child[byte[k]] = k
        k = skip[k]
    return child


@kernel
def discover(
    table,
    columns,
    byte_class,
    tries,
    sums,
    marks,
    way,
    enters,
    picky,
    kind,
    height,
    left,
    right,
    all_bytes,
    max_states,
    max_work,
):
    """Walk from every byte state that stands between two tokens. Returns those states in order of discovery, and a
    status. With `all_bytes`, tokens of single bytes, those are all states, so none need be discovered first. The tries:
    those of each way, and those to `enter` the region; `sums` and `marks`, of each, are as in `_walk`."""
    last_trie = len(tries) - 1
    trie, enter = tries[0], tries[last_trie]
    lasting = _lasting(table, byte_class, kind)
    total = columns.shape[1]
    found = np.empty(total + 1, np.int32)  # one more, for the writes that don't count
    known = np.zeros(total, np.bool_)
    width = min(TOGETHER, total)
    states, weights = np.empty((height + 1, width + 1), np.int32), np.empty((height + 1, width + 1), np.uint64)
    place = np.full(total, -1, np.int32)
    counts = np.zeros(height + 1, np.int64)
    outside = np.empty(width + 1, np.int32)
    met, met_weights = np.empty(width, np.int32), np.empty(width, np.uint64)  # where a class of bytes leads from there
    child, enter_child = _children(trie[0], trie[2]), _children(enter[0], enter[2])
    found[0] = 0
    known[0] = True
    count, begin = np.int64(1), 0
    if all_bytes:
        for state in range(total):
            found[state] = state
            known[state] = True
        count = np.int64(total)
    work = np.int64(0)
    while begin < count:
        past = min(count, begin + width)
        outsiders = 0
        for i in range(begin, past):
            outside[outsiders] = found[i]
            outsiders += np.int64(way[found[i]] == OUTSIDE)
        for w in range(STAY, len(tries) - 1):
            n = 0
            for i in range(begin, past):
                if way[found[i]] == w:
                    states[0, n], weights[0, n] = found[i], left[found[i]]
                    n += 1
            counts[0] = n
            if n:
                count, steps = _walk(columns, byte_class, lasting, tries[w], np.int64(0), len(tries[w][0]), states, weights,
                                     counts, place, right, sums[w], marks[w], known, found, count, max_work - work,
                                     np.int64(-1))  # fmt: skip
                work += steps
        begin = past
        for c in range(len(columns) if outsiders else 0):
            n = 0
            for i in range(outsiders):
                t = columns[c, outside[i]]
                if t >= 0:
                    if place[t] < 0:
                        place[t], met[n], met_weights[n] = n, t, np.uint64(0)
                        n += 1
                    met_weights[place[t]] += left[outside[i]]
            for i in range(n):
                place[met[i]] = -1
            work += outsiders
            for b in range(256):
                if n == 0 or byte_class[b] != c or child[b] < 0:
                    continue
                for entering in range(2):
                    counts[1] = 0
                    for i in range(n):
                        states[1, counts[1]], weights[1, counts[1]] = met[i], met_weights[i]
                        enter_here = enter_child[b] >= 0 and enters[met[i], np.int64(picky[b])]
                        counts[1] += np.int64(enter_here == (entering == 1))
                    if counts[1]:
                        w, node = (last_trie, enter_child[b]) if entering else (0, child[b])
                        count, steps = _walk(columns, byte_class, lasting, tries[w], node, np.int64(tries[w][2][node]),
                                             states, weights, counts, place, right, sums[w], marks[w], known, found,
                                             count, max_work - work, np.int64(c))  # fmt: skip
                        work += steps
        if count > max_states:
            return found[:count].copy(), 1
        if work > max_work:
            return found[:count].copy(), 2
    return found[:count].copy(), 0
