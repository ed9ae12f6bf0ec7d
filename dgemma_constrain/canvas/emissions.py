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


class Classes(NamedTuple):
    """The classes of a canvas: those of the token automaton, then end and pad.

    of int32[V] (-1: in no class), and the ids of class c as members[offsets[c]:offsets[c+1]].
    """

    of: np.ndarray
    offsets: np.ndarray
    members: np.ndarray


@njit(inline="always")
def _exp(x):
    """e^x for float32 x ≤ 0 within 2 units in the last place (Cephes' expf); about 1e-38 for all x below -87."""
    x = x if x > float32(-87.0) else float32(-87.0)
    k = np.int32(x * float32(1.44269504) - float32(0.5))
    n = float32(k)
    r = x - n * float32(0.693359375) + n * float32(2.12194440e-4)
    y = float32(1.9875691500e-4)
    y = y * r + float32(1.3981999507e-3)
    y = y * r + float32(8.3334519073e-3)
    y = y * r + float32(4.1665795894e-2)
    y = y * r + float32(1.6666665459e-1)
    y = y * r + float32(5.0000001201e-1)
    y = y * r * r + r + float32(1.0)
    return y * np.int32((k + np.int32(127)) << np.int32(23)).view(np.float32)


_vector = njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})


@kernel
def _largest(bits):
    """The largest float of a row given as int32 bits, as a sortable integer; and the largest magnitude, as bits."""
    top = _LOWEST
    magnitude = np.int32(0)
    for j in range(len(bits)):
        b = bits[j]
        top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)))
        magnitude = max(magnitude, np.int32(b & 0x7FFFFFFF))
    return top, magnitude


@kernel
def _largest_of(bits, members):
    """The same over some members of a row."""
    top = _LOWEST
    for j in range(len(members)):
        b = bits[members[j]]
        top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)))
    return top


@kernel
def _float(sortable):
    """The float that a sortable integer stands for."""
    bits = np.empty(1, np.int32)
    bits[0] = np.int32(sortable ^ np.int32((sortable >> 31) & 0x7FFFFFFF))
    return np.float64(bits.view(np.float32)[0])


@_vector
def _exponentials(row, top, scale, out):
    """out = e^((row - top)·scale), and its sum."""
    total = 0.0
    for start in range(0, len(row), 8192):
        part = float32(0)
        for j in range(start, min(start + 8192, len(row))):
            e = _exp((row[j] - top) * scale)
            out[j] = e
            part += e
        total += part
    return total


@_vector
def _sum_of(values, members):
    part = float32(0)
    for j in range(len(members)):
        part += values[members[j]]
    return np.float64(part)


@_vector
def _exponential_sum_of(row, members, top, scale):
    total = 0.0
    for j in range(len(members)):
        total += np.exp((np.float64(row[members[j]]) - top) * scale)
    return total


@kernel
def reduce_rows(rows, classes, pinned, pins, wanted, mode, scale, emission, normaliser):
    """Fill emission float64[n, K] (all columns but the wild one) and normaliser float64[n]. Returns the first bad row, or -1.

    rows float32[n, V]; pinned int64[n]: pinned ids, or -1; pins int32[n]: their classes; wanted bool[n, K];
    mode MAX or SUM: what is kept of a class; scale: 1 / temperature.
    """
    of, offsets, members = classes
    bits = rows.view(np.int32)
    exps = np.empty(rows.shape[1], np.float32)
    wild = len(offsets) - 1
    for i in range(len(rows)):
        emission[i, :] = -np.inf
        emission[i, wild] = 0.0
        row = rows[i]
        sortable, magnitude = _largest(bits[i])
        if magnitude > _INFINITY or sortable >= _INFINITY:
            return i
        top = np.float32(_float(sortable))
        if top == -np.inf:
            normaliser[i] = 0.0  # nothing is possible here: every emission stays at -inf
            continue
        total = _exponentials(row, top, np.float32(scale), exps)
        normaliser[i] = np.float64(top) * scale + np.log(total)
        if pins[i] != FREE:
            if pins[i] >= 0:
                emission[i, pins[i]] = np.float64(row[pinned[i]]) * scale - normaliser[i]
            continue
        for c in range(wild):
            if not wanted[i, c]:
                continue
            group = members[offsets[c] : offsets[c + 1]]
            if mode == MAX:
                emission[i, c] = _float(_largest_of(bits[i], group)) * scale - normaliser[i]
                continue
            weight = _sum_of(exps, group)
            if weight > 1e-20:
                emission[i, c] = np.log(weight / total)
            else:  # far below the row's maximum, where float32 has no digits left: once more from the class's own
                highest = _float(_largest_of(bits[i], group))
                if highest > -np.inf:
                    weight = _exponential_sum_of(row, group, highest, scale)
                    emission[i, c] = highest * scale + np.log(weight) - normaliser[i]
    return -1


@kernel
def best_members(rows, classes, path, pinned):
    """The largest token of each position's class (the pinned one where pinned; of all of V for the wild class)."""
    of, offsets, members = classes
    ids = np.empty(len(path), np.int64)
    for i in range(len(path)):
        if pinned[i] >= 0:
            ids[i] = pinned[i]
        elif path[i] == len(offsets) - 1:
            ids[i] = rows[i].argmax()
        else:
            group = members[offsets[path[i]] : offsets[path[i] + 1]]
            best = group[0]
            for t in group:
                if rows[i, t] > rows[i, best]:
                    best = t
            ids[i] = best
    return ids


@kernel
def drawn_members(rows, classes, path, pinned, scale, uniform):
    """A token of each position's class in proportion to its probability; uniform float64[L] in [0, 1)."""
    of, offsets, members = classes
    ids = np.empty(len(path), np.int64)
    for i in range(len(path)):
        if pinned[i] >= 0:
            ids[i] = pinned[i]
            continue
        wild = path[i] == len(offsets) - 1
        n = rows.shape[1] if wild else offsets[path[i] + 1] - offsets[path[i]]
        first = 0 if wild else offsets[path[i]]
        top = -np.inf
        for j in range(n):
            top = max(top, np.float64(rows[i, j if wild else members[first + j]]))
        total = 0.0
        for j in range(n):
            total += np.exp((rows[i, j if wild else members[first + j]] - top) * scale)
        left = uniform[i] * total
        for j in range(n):
            t = j if wild else members[first + j]
            w = np.exp((rows[i, t] - top) * scale)
            if w > 0.0:
                ids[i] = t
                left -= w
                if left < 0.0:
                    break
    return ids


@kernel
def expand_mask(used, of, out):
    """bool[n, K+1] over classes (the last one wild) → bool[n, V] over tokens."""
    wild = used.shape[1] - 1
    for i in range(len(out)):
        if i and (used[i] == used[i - 1]).all():
            out[i] = out[i - 1]
        elif used[i, wild]:
            out[i] = True
        else:
            for t in range(len(of)):
                out[i, t] = of[t] >= 0 and used[i, of[t]]


@kernel
def expand_marginals(rows, of, posterior, emission, normaliser, pinned, scale, out):
    """Log-probabilities of classes → of tokens, float32[n, V]: log P(class) + log p(token) - log p(class)."""
    wild = posterior.shape[1] - 1
    shift = np.empty(wild + 1, np.float32)
    for i in range(len(out)):
        if pinned[i] >= 0:
            out[i] = -np.inf
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


def _threads() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def in_threads(work, rows: int) -> list:
    """work(slice) over `rows` rows cut among threads; the results in order."""
    cuts = np.linspace(0, rows, min(_threads(), max(1, rows // 4)) + 1).astype(int)
    pieces = [slice(a, b) for a, b in zip(cuts, cuts[1:])]
    return [work(pieces[0])] if len(pieces) == 1 else list(_pool().map(work, pieces))
