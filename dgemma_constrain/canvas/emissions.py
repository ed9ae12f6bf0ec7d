"""From logits [L, V] to one number a class [L, K], in one pass over memory.

A row of 262,144 floats (1 MB) is read from memory once and stays in cache while it is normalised and reduced. The
loops are written so that the compiler vectorises them: an exponential of elementary operations instead of a library
call, maxima over integers that sort like the floats they stand for, class members in contiguous index lists.

For the best string only the largest member of each class counts, and to go through the members of all large classes costs
several times what it costs to read the row. But some 250 entries of a row are at least as large as the largest of a
sample of 1,024. A class that has one of these has its largest member among them, so they are given to their classes on the
way, and only the classes that got none, small ones nearly always, are gone through (BEST).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.automata.vectors import exp2, long_vectors, vector
from dgemma_constrain.canvas.dynamic import FREE

_INFINITY = np.int32(0x7F800000)  # the bits of +inf; those of every NaN, sign aside, are larger
_LOWEST = np.int32(-(2**31))
BEST, MAX, SUM = 0, 1, 2
BLOCK = 4096
LANES = 256  # entries of a block that are looked at together; every 256th of them
SAMPLE = 1024
PAYS = 4  # it does not pay to look for large entries where the members to be picked are fewer than a quarter of all ids
MANY = 16  # a sample tells nothing if one in so many entries is as large as all of it


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


@vector
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
        part += exp2((row[j] - reference) * scale)
    return np.float64(part), top, magnitude


@vector
def _exponentials(row, reference, scale, out):
    """out = e^((row - reference)·scale)."""
    long_vectors()
    scale = scale * float32(1.44269504)
    for j in range(len(row)):
        out[j] = exp2((row[j] - reference) * scale)


@kernel
def _float(sortable):
    """The float that a sortable integer stands for; -inf for none."""
    if sortable == _LOWEST:
        return -np.inf
    return np.float64(np.int32(sortable ^ np.int32((sortable >> 31) & 0x7FFFFFFF)).view(np.float32))


@vector
def _lane_tops(bits, tops):
    """The largest of every 256th float of a whole block, as sortable integers: int32[4096] → int32[256]."""
    long_vectors()
    for j in range(LANES):
        top = _LOWEST
        for first in range(0, BLOCK, LANES):
            b = bits[first + j]
            top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)))
        tops[j] = top


@kernel
def _above(row, bits, first, past, at, lanes, found):
    """Write the ids in [first, past) of entries no smaller than row[at] into found int64[4096]; how many there are.

    Without branches, which nobody could foresee: every candidate is written, and the next one over it unless it counts.
    """
    count = 0
    if past - first < BLOCK:
        for t in range(first, past):
            found[count] = t
            count += row[t] >= row[at]
        return count
    tops, chosen = lanes
    _lane_tops(bits[first:past], tops)
    least = np.int32(bits[at] ^ np.int32((bits[at] >> 31) & 0x7FFFFFFF))
    some = 0
    for lane in range(LANES):
        chosen[some] = lane
        some += tops[lane] >= least
    for k in range(some):
        for t in range(first + chosen[k], past, LANES):
            found[count] = t
            count += row[t] >= row[at]
    return count


@kernel
def _read_row(row, bits, scale, exps, of, best, ids):
    """exps = e^((row - reference)·scale), if there is room. Returns (fine, reference, log of their sum, largest float).

    With room for it, best float32[K] is the largest member of every class that has one among the few entries as large as
    the sample, and -inf of the others; or of all, where these entries are many. ids int32[2, K]: where it stands, and where
    the second largest does, -1 if that is not among them.

    An exponential needs something to be relative to before the maximum is known: the largest of a few entries will do,
    unless it is too far from the maximum; then the row, in cache by now, is read again.
    """
    size = len(row)
    at = 0
    for j in range(0, size, max(1, size // SAMPLE)):
        at = j if row[j] > row[at] else at
    reference = row[at]
    lanes = np.empty(LANES, np.int32), np.empty(LANES + 1, np.int64)
    found = np.empty(BLOCK + 1, np.int64)
    given = 0
    best[:] = -np.inf
    ids[1] = -1
    while True:
        total, top, magnitude = 0.0, _LOWEST, np.int32(0)
        for first in range(0, size, BLOCK):
            past = min(first + BLOCK, size)
            part, largest, wildest = _read(row[first:past], bits[first:past], reference, scale)
            if len(exps) > 0:
                _exponentials(row[first:past], reference, scale, exps[first:past])
            if len(best) > 0 and given <= size // MANY and row[at] > -np.inf:
                count = _above(row, bits, first, past, at, lanes, found)
                given += count
                for t in found[:count]:
                    c = of[t]
                    if c >= 0 and (row[t] > best[c] or (row[t] == best[c] and t < ids[0, c])):
                        ids[1, c] = ids[0, c] if best[c] > -np.inf else -1
                        best[c], ids[0, c] = row[t], t
                    elif c >= 0 and t != ids[0, c] and (ids[1, c] < 0 or row[t] > row[ids[1, c]]):
                        ids[1, c] = t
            total += part
            magnitude = max(magnitude, wildest)
            top = max(top, largest)
        highest = _float(top)
        fine = magnitude <= _INFINITY and top < _INFINITY
        if not fine or highest == -np.inf or abs(highest - reference) * scale < 40.0:
            if given > size // MANY:
                best[:] = -np.inf
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
def _largest_of(bits, members, first, past):
    """The largest float among members[first:past] of a row, as a sortable integer."""
    top = _LOWEST
    for j in range(first, past):
        b = bits[members[j]]
        top = max(top, np.int32(b ^ np.int32((b >> 31) & 0x7FFFFFFF)))
    return top


@vector
def _sum_masked(values, mask):
    part = float32(0)
    for j in range(len(values)):
        part += values[j] * float32(mask[j])
    return np.float64(part)


@vector
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
def block_maxima(row, classes, c, partial):
    """The largest entry of each block of class c, into its part of partial float64[blocks]."""
    of, offsets, members, blocks, dense, mask = classes
    bits = row.view(np.int32)
    for block in range(blocks[c + 1] - blocks[c]):
        first, past = block_range(classes, c, block)
        partial[blocks[c] + block] = _float(
            _largest_masked(bits[first:past], mask[first:past]) if c == dense else _largest_of(bits, members, first, past)
        )


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
def reduce_rows(rows, classes, pinned, pins, wanted, mode, scale, emission, normaliser, partial, ids):
    """Fill emission float64[n, K+1] and normaliser float64[n]; the first bad row, or -1.

    rows float32[n, V]; pinned int64[n]: pinned ids, or -1; pins int32[n]: their classes; wanted bool[n, K+1];
    scale: 1 / temperature. mode MAX or SUM: what is kept of a class, and of each of its blocks in partial float64[n, blocks].
    BEST: the maximum, and in ids int32[n, 2, K+1] where it and the second largest stand, or -1; with NaN in `partial`, for
    the first block, or the maxima of the blocks if ids doesn't tell.
    """
    of, offsets, members, blocks, dense, mask = classes
    bits = rows.view(np.int32)
    exps = np.empty(rows.shape[1] if mode == SUM else 0, np.float32)
    wild = len(offsets) - 1
    top, top_ids = np.empty(wild, np.float32), np.empty((2, wild), np.int32)
    ids[:] = -1
    for i in range(len(rows)):
        for c in range(wild):
            emission[i, c] = -np.inf
        emission[i, wild] = 0.0
        row, row_bits = rows[i], bits[i]
        size = 0  # of the classes whose members would have to be picked
        for c in range(wild):
            size += (offsets[c + 1] - offsets[c]) * (wanted[i, c] and c != dense)
        few = mode == BEST and pins[i] == FREE and size > len(of) // PAYS
        fine, reference, log_sum, highest = _read_row(
            row, row_bits, np.float32(scale), exps, of, top if few else top[:0], top_ids
        )
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
            if few and top[c] > -np.inf:
                emission[i, c] = np.float64(top[c]) * scale - normaliser[i]
                ids[i, 0, c], ids[i, 1, c] = top_ids[0, c], top_ids[1, c]
                if blocks[c] < blocks[c + 1]:
                    partial[i, blocks[c]] = np.nan
                continue
            best, weight = -np.inf, 0.0
            for block in range(blocks[c + 1] - blocks[c]):
                first, last = (0, len(of)) if c == dense else (offsets[c], offsets[c + 1])
                first += block * BLOCK
                past = min(first + BLOCK, last)
                if mode == SUM:
                    value = (
                        _sum_masked(exps[first:past], mask[first:past])
                        if c == dense
                        else _sum_of(exps, members[first:past])
                    )
                    weight += value
                else:
                    top_bits = (
                        _largest_masked(row_bits[first:past], mask[first:past])
                        if c == dense
                        else _largest_of(row_bits, members, first, past)
                    )
                    value = _float(top_bits)
                    best = max(best, value)
                partial[i, blocks[c] + block] = value
            if mode != SUM:
                emission[i, c] = best * scale - normaliser[i]
            elif weight > 1e-20:
                emission[i, c] = np.log(weight) - log_sum
            else:
                emission[i, c] = _careful_sum(row, classes, c, scale, partial[i]) - normaliser[i]
    return -1
