"""From logits [L, V] to one number a class [L, K], in one pass over memory, and back.

A row of 262,144 floats (1 MB) is read from memory once and stays in cache while it is normalised and reduced. The
loops are written so that the compiler vectorises them: an exponential of elementary operations instead of a library
call, maxima over integers that sort like the floats they stand for, class members in contiguous index lists. Rows are
shared among threads; the kernels hold no lock.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import float32, njit

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.canvas.dynamic import FREE

_INFINITY = np.int32(0x7F800000)  # the bits of +inf; those of every NaN, sign aside, are larger
_LOWEST = np.int32(-(2**31))
MAX, SUM = 0, 1
BLOCK = 4096


class Classes(NamedTuple):
    """The classes of a canvas: those of the token automaton, then end and pad.

    of int32[V] (-1: in no class), and the ids of class c as members[offsets[c]:offsets[c+1]], ascending.

    A class is read in *blocks*: class c has blocks blocks[c]:blocks[c+1]. A block is 4,096 of its members, but for the
    largest class (`dense`, -1 if none is large), whose blocks are ranges of 4,096 ids, of which `mask` uint8[V] says
    which are members: reading them all in order is faster than picking most of them.
    """

    of: np.ndarray
    offsets: np.ndarray
    members: np.ndarray
    blocks: np.ndarray
    dense: int
    mask: np.ndarray


def make_classes(of: np.ndarray, offsets: np.ndarray, members: np.ndarray) -> Classes:
    sizes = np.diff(offsets)
    dense = int(sizes.argmax()) if sizes.max(initial=0) > len(of) // 8 else -1
    counts = -(-sizes // BLOCK)
    if dense >= 0:
        counts[dense] = -(-len(of) // BLOCK)
    mask = (of == dense).astype(np.uint8) if dense >= 0 else np.zeros(0, np.uint8)
    return Classes(of, offsets, members, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), dense, mask)


@njit(inline="always")
def _exp2(t):
    """2^t for float32 t ≤ 0, relative error 1e-7 (a minimax polynomial on [-½, ½]); about 1e-38 for all t below -126."""
    t = t if t > float32(-126.0) else float32(-126.0)
    k = np.int32(t - float32(0.5))
    f = t - float32(k)
    y = float32(0.00132764719)
    y = y * f + float32(0.009675541334)
    y = y * f + float32(0.05550713274)
    y = y * f + float32(0.2402211972)
    y = y * f + float32(0.6931469671)
    y = y * f + float32(1.000000072)
    return y * np.int32((k + np.int32(127)) << np.int32(23)).view(np.float32)


_vector = njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})


@kernel
def _scan(bits):
    """The largest float of a row given as int32 bits, as a sortable integer; and the largest magnitude, as bits."""
    top, magnitude = _LOWEST, np.int32(0)
    for j in range(len(bits)):
        b = bits[j]
        top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)))
        magnitude = max(magnitude, np.int32(b & 0x7FFFFFFF))
    return top, magnitude


@kernel
def _largest_masked(bits, mask):
    """The largest float where the mask is 1, as a sortable integer."""
    top = _LOWEST
    for j in range(len(bits)):
        b = bits[j]
        top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)) if mask[j] else _LOWEST)
    return top


@kernel
def _largest_of(bits, members):
    """The largest float among some members of a row, as a sortable integer."""
    top = _LOWEST
    for j in range(len(members)):
        b = bits[members[j]]
        top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)))
    return top


@kernel
def _float(sortable):
    """The float that a sortable integer stands for; -inf for none."""
    if sortable == _LOWEST:
        return -np.inf
    bits = np.empty(1, np.int32)
    bits[0] = np.int32(sortable ^ np.int32((sortable >> 31) & 0x7FFFFFFF))
    return np.float64(bits.view(np.float32)[0])


@_vector
def _sum_exp(row, top, scale):
    """Σ e^((row - top)·scale)."""
    part = float32(0)
    scale = scale * float32(1.44269504)
    for j in range(len(row)):
        part += _exp2((row[j] - top) * scale)
    return np.float64(part)


@_vector
def _exponentials(row, top, scale, out):
    """out = e^((row - top)·scale), and its sum."""
    part = float32(0)
    scale = scale * float32(1.44269504)
    for j in range(len(row)):
        e = _exp2((row[j] - top) * scale)
        out[j] = e
        part += e
    return np.float64(part)


@_vector
def _sum_masked(values, mask):
    part = float32(0)
    for j in range(len(values)):
        part += values[j] * float32(mask[j])
    return np.float64(part)


@_vector
def _sum_of(values, members):
    part = float32(0)
    for j in range(len(members)):
        part += values[members[j]]
    return np.float64(part)


@kernel
def _block(classes, c, block):
    """What block number `block` of class c covers, as (first, past) in the ids or in the members."""
    of, offsets, members, blocks, dense, mask = classes
    if c == dense:
        return block * BLOCK, min((block + 1) * BLOCK, len(of))
    first = offsets[c] + block * BLOCK
    return first, min(first + BLOCK, offsets[c + 1])


@kernel
def _careful_sum(row, classes, c, scale, partial):
    """The log of a class's sum where it is far below the row's maximum, in float64 from the class's own maximum."""
    of, offsets, members, blocks, dense, mask = classes
    top = -np.inf
    for k in range(offsets[c], offsets[c + 1]):
        top = max(top, np.float64(row[members[k]]))
    total = 0.0
    for block in range(blocks[c + 1] - blocks[c]):
        first, past = _block(classes, c, block)
        part = 0.0
        for k in range(first, past):
            t = k if c == dense else members[k]
            if (c != dense or mask[k]) and top > -np.inf:
                part += np.exp((np.float64(row[t]) - top) * scale)
        partial[blocks[c] + block] = part
        total += part
    return top * scale + np.log(total) if total > 0.0 else -np.inf


@kernel
def reduce_rows(rows, classes, pinned, pins, wanted, mode, scale, emission, normaliser, partial):
    """Fill emission float64[n, K+1], normaliser float64[n] and partial float64[n, blocks]; the first bad row, or -1.

    rows float32[n, V]; pinned int64[n]: pinned ids, or -1; pins int32[n]: their classes; wanted bool[n, K+1];
    mode MAX or SUM: what is kept of a class, and of each of its blocks in `partial`; scale: 1 / temperature.
    """
    of, offsets, members, blocks, dense, mask = classes
    bits = rows.view(np.int32)
    exps = np.empty(rows.shape[1] if mode == SUM else 0, np.float32)
    wild = len(offsets) - 1
    size = rows.shape[1]
    for i in range(len(rows)):
        for c in range(wild):
            emission[i, c] = -np.inf
        emission[i, wild] = 0.0
        row = rows[i]
        sortable, magnitude = _scan(bits[i])
        if magnitude > _INFINITY or sortable >= _INFINITY:
            return i
        top = np.float32(_float(sortable))
        if top == -np.inf:
            normaliser[i] = 0.0  # nothing is possible here: every emission stays at -inf
            continue
        free = pins[i] == FREE
        total = 0.0
        for first in range(0, size, BLOCK):
            past = min(first + BLOCK, size)
            if mode == SUM and free:
                total += _exponentials(row[first:past], top, np.float32(scale), exps[first:past])
            else:
                total += _sum_exp(row[first:past], top, np.float32(scale))
        normaliser[i] = np.float64(top) * scale + np.log(total)
        if not free:
            if pins[i] >= 0:
                emission[i, pins[i]] = np.float64(row[pinned[i]]) * scale - normaliser[i]
            continue
        for c in range(wild):
            if not wanted[i, c]:
                continue
            best, weight = -np.inf, 0.0
            for block in range(blocks[c + 1] - blocks[c]):
                first, past = _block(classes, c, block)
                if mode == SUM:
                    value = (
                        _sum_masked(exps[first:past], mask[first:past])
                        if c == dense
                        else _sum_of(exps, members[first:past])
                    )
                    weight += value
                else:
                    if c == dense:
                        value = _float(_largest_masked(bits[i, first:past], mask[first:past]))
                    else:
                        value = _float(_largest_of(bits[i], members[first:past]))
                    best = max(best, value)
                partial[i, blocks[c] + block] = value
            if mode == MAX:
                emission[i, c] = best * scale - normaliser[i]
            elif weight > 1e-20:
                emission[i, c] = np.log(weight / total)
            else:
                emission[i, c] = _careful_sum(row, classes, c, scale, partial[i]) - normaliser[i]
    return -1


@kernel
def best_members(rows, classes, path, pinned, partial):
    """The largest token of each position's class (the pinned one where pinned; of all of V for the wild class)."""
    of, offsets, members, blocks, dense, mask = classes
    ids = np.empty(len(path), np.int64)
    for i in range(len(path)):
        c = path[i]
        if pinned[i] >= 0:
            ids[i] = pinned[i]
        elif c == len(offsets) - 1:
            ids[i] = rows[i].argmax()
        else:
            block = partial[i, blocks[c] : blocks[c + 1]].argmax()
            best = -np.inf
            first, past = _block(classes, c, block)
            for k in range(first, past):
                t = k if c == dense else np.int64(members[k])
                if (c != dense or mask[k]) and rows[i, t] > best:
                    best = rows[i, t]
                    ids[i] = t
    return ids


@kernel
def _draw(weights, n, uniform):
    """An index below n in proportion to its weight, and what of `uniform` is left for a further draw."""
    total = weights[:n].sum()
    left = uniform * total
    choice = 0
    for k in range(n):
        if weights[k] > 0.0:
            choice = k
            if left < weights[k]:
                break
            left -= weights[k]
    return choice, min(max(left / weights[choice], 0.0), 1.0 - 1e-16)


@kernel
def drawn_members(rows, classes, path, pinned, scale, partial, uniform):
    """A token of each position's class in proportion to its probability; uniform float64[L] in [0, 1)."""
    of, offsets, members, blocks, dense, mask = classes
    ids = np.empty(len(path), np.int64)
    weights = np.empty(len(of))
    for i in range(len(path)):
        c = path[i]
        if pinned[i] >= 0:
            ids[i] = pinned[i]
            continue
        wild = c == len(offsets) - 1
        left = uniform[i]
        first, past = 0, len(of)
        if not wild:
            block, left = _draw(partial[i, blocks[c] : blocks[c + 1]], blocks[c + 1] - blocks[c], left)
            first, past = _block(classes, c, block)
        by_id = wild or c == dense
        top = -np.inf
        for k in range(first, past):
            if wild or c != dense or mask[k]:
                top = max(top, np.float64(rows[i, k if by_id else members[k]]))
        for k in range(first, past):
            inside = wild or c != dense or mask[k]
            x = np.float64(rows[i, k if by_id else members[k]])
            weights[k - first] = np.exp((x - top) * scale) if inside else 0.0
        choice, _ = _draw(weights, past - first, left)
        ids[i] = first + choice if by_id else members[first + choice]
    return ids


@kernel
def expand_mask(used, of, out):
    """bool[n, K+1] over classes (the last one wild) → bool[n, V] over tokens."""
    wild = used.shape[1] - 1
    for i in range(len(out)):
        same = i > 0
        for c in range(wild + 1):
            same = same and used[i, c] == used[i - 1, c]
        if same:
            for t in range(len(of)):
                out[i, t] = out[i - 1, t]
        else:
            for t in range(len(of)):
                out[i, t] = used[i, wild] or (of[t] >= 0 and used[i, of[t]])


@kernel
def forbid(used, of, pinned, rows):
    """Write -inf into float32 rows [n, V] wherever bool[n, K+1] over classes (or the pin) does not allow the token."""
    wild = used.shape[1] - 1
    allowed = np.empty(len(of), np.bool_)
    for i in range(len(rows)):
        if pinned[i] >= 0:
            kept = rows[i, pinned[i]] if used[i].any() else -np.inf
            for t in range(len(of)):
                rows[i, t] = -np.inf
            rows[i, pinned[i]] = kept
        elif not used[i, wild]:
            same = i > 0 and pinned[i - 1] < 0
            for c in range(wild + 1):
                same = same and used[i, c] == used[i - 1, c]
            if not same:
                for t in range(len(of)):
                    allowed[t] = of[t] >= 0 and used[i, of[t]]
            for t in range(len(of)):
                if not allowed[t]:
                    rows[i, t] = -np.inf


@kernel
def expand_marginals(rows, of, posterior, emission, normaliser, pinned, scale, out):
    """Log-probabilities of classes → of tokens, float32[n, V]: log P(class) + log p(token) - log p(class)."""
    wild = posterior.shape[1] - 1
    shift = np.empty(wild + 1, np.float32)
    for i in range(len(out)):
        if pinned[i] >= 0:
            for t in range(len(of)):
                out[i, t] = -np.inf
            out[i, pinned[i]] = 0.0
            continue
        shift[wild] = -np.inf  # also what of[t] = -1 reads
        for c in range(wild):
            alive = posterior[i, c] > -np.inf
            shift[c] = posterior[i, c] - emission[i, c] - normaliser[i] if alive else -np.inf
        for t in range(len(of)):
            out[i, t] = rows[i, t] * np.float32(scale) + shift[of[t]]
        if posterior[i, wild] > -np.inf:  # an unread tail holds whatever the model likes
            base = posterior[i, wild] - normaliser[i]
            for t in range(len(of)):
                a, b = np.float64(out[i, t]), rows[i, t] * scale + base
                a, b = max(a, b), min(a, b)
                out[i, t] = a + np.log1p(np.exp(b - a)) if a > -np.inf else a


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_threads(), thread_name_prefix="dgemma-canvas")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _threads() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def in_threads(work, rows: int) -> list:
    """work(slice) over `rows` rows cut among threads; the results in order."""
    cuts = np.linspace(0, rows, min(_threads(), max(1, rows // 4)) + 1).astype(int)
    pieces = [slice(a, b) for a, b in zip(cuts, cuts[1:])]
    return [work(pieces[0])] if len(pieces) == 1 else list(_pool().map(work, pieces))
