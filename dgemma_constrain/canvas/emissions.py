"""From logits [L, V] to one number a class [L, K], in one pass over memory.

A row of 262,144 floats (1 MB) is read from memory once and stays in cache while it is normalised and reduced. The
loops are written so that the compiler vectorises them: an exponential of elementary operations instead of a library
call, maxima over integers that sort like the floats they stand for, class members in contiguous index lists.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, njit, types
from numba.extending import intrinsic

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


_ROUND = np.float32(1.5 * 2**23)  # added to a float32 it leaves the nearest integer in the lowest bits


@njit(cache=True, nogil=True, fastmath={"contract"})  # reassociation would fold the rounding away
def _exp2(t):
    """2^t for float32 t below 64, relative error 1e-7 (a minimax polynomial on [-½, ½]); about 1e-38 for all below -126."""
    t = t if t > float32(-126.0) else float32(-126.0)
    rounded = t + _ROUND
    f = t - (rounded - _ROUND)
    y = float32(0.00132764719)
    y = y * f + float32(0.009675541334)
    y = y * f + float32(0.05550713274)
    y = y * f + float32(0.2402211972)
    y = y * f + float32(0.6931469671)
    y = y * f + float32(1.000000072)
    exponent = np.int32(np.float32(rounded).view(np.int32) << np.int32(23))
    return np.int32(np.float32(y).view(np.int32) + exponent).view(np.float32)


@intrinsic
def long_vectors(typing):
    """In a kernel: compile it by itself and with the longest vectors of the machine; LLVM prefers 256 bits of AVX-512."""

    def code(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        set.add(
            builder.function.attributes, '"prefer-vector-width"="512"'
        )  # llvmlite's own add knows no such attribute
        return context.get_dummy_value()

    return types.void(), code


_vector = njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})


@_vector
def _read(row, bits, reference, scale):
    """Σ e^((row - reference)·scale), the row's largest float as a sortable integer, and the bits of its largest magnitude:
    all in one loop, so that reading memory and calculating overlap."""
    long_vectors()
    part, top, magnitude = float32(0), _LOWEST, np.int32(0)
    scale = scale * float32(1.44269504)
    for j in range(len(row)):
        b = bits[j]
        top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)))
        magnitude = max(magnitude, np.int32(b & 0x7FFFFFFF))
        part += _exp2((row[j] - reference) * scale)
    return np.float64(part), top, magnitude


@_vector
def _exponentials(row, reference, scale, out):
    """out = e^((row - reference)·scale)."""
    long_vectors()
    scale = scale * float32(1.44269504)
    for j in range(len(row)):
        out[j] = _exp2((row[j] - reference) * scale)


@kernel
def _read_row(row, bits, scale, exps):
    """exps = e^((row - reference)·scale). Returns (fine, reference, log of their sum, largest float).

    An exponential needs something to be relative to before the maximum is known: the largest of a few entries will do,
    unless it is too far from the maximum; then the row, in cache by now, is read again.
    """
    size = len(row)
    reference = row[0]
    for j in range(0, size, max(1, size // 64)):
        reference = max(reference, row[j])
    while True:
        total, top, magnitude = 0.0, _LOWEST, np.int32(0)
        for first in range(0, size, BLOCK):
            past = min(first + BLOCK, size)
            part, largest, wildest = _read(row[first:past], bits[first:past], reference, scale)
            if len(exps) > 0:
                _exponentials(row[first:past], reference, scale, exps[first:past])
            total += part
            magnitude = max(magnitude, wildest)
            top = max(top, largest)
        highest = _float(top)
        fine = magnitude <= _INFINITY and top < _INFINITY
        if not fine or highest == -np.inf or abs(highest - reference) * scale < 40.0:
            return fine, np.float64(reference), np.log(total), highest
        reference = np.float32(highest)


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
def block_range(classes, c, block):
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
        first, past = block_range(classes, c, block)
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
    for i in range(len(rows)):
        for c in range(wild):
            emission[i, c] = -np.inf
        emission[i, wild] = 0.0
        row = rows[i]
        fine, reference, log_sum, highest = _read_row(row, bits[i], np.float32(scale), exps)
        if not fine:
            return i
        if highest == -np.inf:
            normaliser[i] = 0.0  # nothing is possible here: every emission stays at -inf
            continue
        normaliser[i] = reference * scale + log_sum
        if pins[i] != FREE:
            if pins[i] >= 0:
                emission[i, pins[i]] = np.float64(row[pinned[i]]) * scale - normaliser[i]
            continue
        for c in range(wild):
            if not wanted[i, c]:
                continue
            best, weight = -np.inf, 0.0
            for block in range(blocks[c + 1] - blocks[c]):
                first, past = block_range(classes, c, block)
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
                emission[i, c] = np.log(weight) - log_sum
            else:
                emission[i, c] = _careful_sum(row, classes, c, scale, partial[i]) - normaliser[i]
    return -1
