"""The walk of the trie that tells what every token does in a network, and so which tokens do the same: see `lift_network`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import UNKNOWN, intern, new_heap, recall, remember, roomy
from dgemma_constrain.automata.kernels import kernel, mix, sort
from dgemma_constrain.automata.pushdown import PLACE, POP, PUSH

FRAMES = 64  # that one token may pop, and push
WAYS = 512  # effects of one token at one place, at most


class Bytes(NamedTuple):
    """A network over bytes. table int32[S, K]: a state, or -1; from `first` to `past` a branch: the nodes
    branches[branch_offsets[b - first]: …]. A node's step: kind, a (the frame) and b (the node after it; of POP the ways
    pop_frames and pop_nodes[pop_offsets[b]:pop_offsets[b+1]]). A PLACE is the state b; the end of a text is the state S."""

    table: np.ndarray
    first: int
    past: int
    branch_offsets: np.ndarray
    branches: np.ndarray
    kind: np.ndarray
    a: np.ndarray
    b: np.ndarray
    pop_offsets: np.ndarray
    pop_frames: np.ndarray
    pop_nodes: np.ndarray


@kernel
def settle(network, state, known, start, pushes, pops, work, heap, out, n):
    """Add to out[n:] what comes of `state` (maybe a branch) with known[start:] as pushes and then pops; how many there are
    now, or -1 if there are too many. `work` int32[., 2·FRAMES+3]: (node, pushes, pops, the frames pushed, those popped)."""
    first, past = network.first, network.past
    row = work[len(work) - 1]
    if state < first or state >= past:
        row[0], row[1] = state, pushes
        for i in range(pushes + pops):
            row[2 + i] = known[start + i]
        out[n] = intern(heap, row, np.int64(2 + pushes + pops))
        return n + 1
    waiting = 0
    for k in range(network.branch_offsets[state - first], network.branch_offsets[state - first + 1]):
        here = work[waiting]
        here[0], here[1], here[2] = network.branches[k], pushes, pops
        for i in range(pushes):
            here[3 + i] = known[start + i]
        for i in range(pops):
            here[3 + FRAMES + i] = known[start + pushes + i]
        waiting += 1
    while waiting > 0:
        here = work[waiting - 1]
        node = here[0]
        kind = network.kind[node]
        if kind == PUSH:
            if here[1] == FRAMES:
                return np.int64(-1)
            here[3 + here[1]] = network.a[node]
            here[1] += 1
            here[0] = network.b[node]
        elif kind == POP:
            waiting -= 1
            lo, hi = network.pop_offsets[network.b[node]], network.pop_offsets[network.b[node] + 1]
            if waiting + hi - lo > WAYS or here[2] == FRAMES:
                return np.int64(-1)
            held, top = here[1] > 0, here[3 + max(here[1] - 1, 0)]
            size, popped = here[1], here[2]
            for i in range(size):
                row[i] = here[3 + i]
            for i in range(popped):
                row[FRAMES + i] = here[3 + FRAMES + i]
            for k in range(lo, hi):
                if held and network.pop_frames[k] != top:
                    continue
                there = work[waiting]
                there[0], there[1], there[2] = network.pop_nodes[k], size, popped
                for i in range(size):
                    there[3 + i] = row[i]
                for i in range(popped):
                    there[3 + FRAMES + i] = row[FRAMES + i]
                if held:
                    there[1] -= 1
                else:
                    there[3 + FRAMES + popped] = network.pop_frames[k]
                    there[2] += 1
                waiting += 1
        else:
            if n == WAYS:
                return np.int64(-1)
            waiting -= 1
            size, popped = here[1], here[2]
            row[0], row[1] = network.b[node] if kind == PLACE else len(network.table), size
            for i in range(size):
                row[2 + i] = here[3 + i]
            for i in range(popped):
                row[2 + size + i] = here[3 + FRAMES + i]
            out[n] = intern(heap, row, np.int64(2 + size + popped))
            n += 1
    return n


@kernel
def _after(network, heap, effects, column, work, known, out):
    """The set of effects after one more byte: its row, -1 if it is empty, -4 if it has too many. For which there is room."""
    items, n = heap.items, np.int64(0)
    for i in range(items[effects]):
        at = items[effects + 1 + i]
        if items[at + 1] == len(network.table):
            continue
        state = network.table[items[at + 1], column]
        if state < 0:
            continue
        size = items[at]
        for j in range(size):
            known[j] = items[at + 1 + j]
        n = settle(
            network,
            np.int64(state),
            known,
            np.int64(2),
            np.int64(known[1]),
            np.int64(size - 2 - known[1]),
            work,
            heap,
            out,
            n,
        )
        if n < 0 or n > WAYS - 2:
            return np.int64(-4)
    if n == 0:
        return np.int64(-1)
    sort(out[:n])
    m = np.int64(1)
    for i in range(1, n):
        if out[i] != out[m - 1]:
            out[m] = out[i]
            m += 1
    return intern(heap, out, m)


@kernel
def walk(network, byte_class, trie, height, start, writing, seeds, max_states, max_work):
    """What every token does from `start` and from every state that stands between two tokens.

    Writing: rows (state, first token, set of effects), int32[n, 3]; otherwise a hash for each node of the trie. Returns the
    states, the rows, the hashes, the heap that the sets are in, and a status.
    """
    byte, depth, skip, first, last = trie
    total = len(network.table)
    heap = new_heap()
    work = np.empty((WAYS + 1, 2 * FRAMES + 3), np.int32)
    known, out = np.empty(2 * FRAMES + 3, np.int32), np.empty(WAYS + 1, np.int32)
    found, met = np.empty(total + 1, np.int32), np.zeros(total + 1, np.bool_)
    hashes = np.zeros(len(byte), np.uint64)
    rows = np.empty((1024, 3), np.int32)
    used = np.int64(0)
    at = np.empty(height + 1, np.int64)
    found[0] = start
    met[start] = True
    count, done, steps = 1, 0, np.int64(0)
    while done < count:
        state = found[done]
        done += 1
        heap = roomy(heap, np.int64(8), np.int64(2), np.int64(2))
        known[0], known[1] = state, 0
        out[0] = intern(heap, known, np.int64(2))
        at[0] = intern(heap, out, np.int64(1))
        k = 0
        while k < len(byte):
            d = depth[k]
            steps += 1
            column = np.int64(byte_class[byte[k]])
            after = recall(heap.keys, heap.values, at[d - 1], column)
            if after == UNKNOWN:
                steps += 100
                heap = roomy(heap, np.int64(WAYS * 2 * FRAMES), np.int64(WAYS + 2), np.int64(2))
                after = _after(network, heap, at[d - 1], column, work, known, out)
                if after == -4:
                    return found[:count], rows[:used], hashes, heap, 3
                remember(heap, at[d - 1], column, after)
            if after < 0:
                k = skip[k]
                continue
            at[d] = after
            if last[k] > first[k]:
                for i in range(heap.items[after]):
                    there = heap.items[heap.items[after + 1 + i] + 1]
                    if not met[there] and there < total:
                        met[there] = True
                        found[count] = there
                        count += 1
                if writing:
                    if used == len(rows):
                        more = np.empty((2 * used, 3), np.int32)
                        for i in range(used):
                            more[i, 0], more[i, 1], more[i, 2] = rows[i, 0], rows[i, 1], rows[i, 2]
                        rows = more
                    rows[used, 0], rows[used, 1], rows[used, 2] = state, first[k], after
                    used += 1
                else:
                    hashes[k] += seeds[state] * (mix(after) | np.uint64(1))
            k += 1
        if count > max_states:
            return found[:count], rows[:used], hashes, heap, 1
        if steps > max_work:
            return found[:count], rows[:used], hashes, heap, 2
    return found[:count].copy(), rows[:used].copy(), hashes, heap, 0
