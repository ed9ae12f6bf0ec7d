"""From classes back to tokens: the members of a path, masks, marginals of [L, V]."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.canvas.emissions import block_range


@kernel
def best_members(rows, classes, path, pinned, partial, known):
    """The largest token of each position's class (the pinned one where pinned; of all of V for the wild class).

    partial, known: what `reduce_rows` found out, by BEST.
    """
    of, offsets, members, blocks, dense, mask = classes
    ids = np.empty(len(path), np.int64)
    for i in range(len(path)):
        c = path[i]
        if pinned[i] >= 0:
            ids[i] = pinned[i]
        elif c == len(offsets) - 1:
            ids[i] = rows[i].argmax()
        elif known[i, 0, c] >= 0:
            ids[i] = known[i, 0, c]
        else:
            block = partial[i, blocks[c] : blocks[c + 1]].argmax()
            best = -np.inf
            first, past = block_range(classes, c, block)
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
            first, past = block_range(classes, c, block)
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
def expand_mask(used, classes, pinned, out):
    """bool[n, K+1] over classes (the last one wild), pinned int64[n] (ids, or -1) → bool[n, V] over tokens, zeros at first.

    Most rows differ little from the one before, so they are copied, and what differs is written.
    """
    of, offsets, members = classes.of, classes.offsets, classes.members
    wild = used.shape[1] - 1
    last = -1  # the row that was written last
    for i in range(len(out)):
        if pinned[i] >= 0:
            for c in range(wild + 1):
                out[i, pinned[i]] |= used[i, c]
            continue
        differing = len(of) * (used[i, wild] or (last >= 0 and used[last, wild]))
        for c in range(wild):
            differing += (offsets[c + 1] - offsets[c]) * (used[i, c] != (last >= 0 and used[last, c]))
        if differing > len(of) // 4:
            for t in range(len(of)):
                out[i, t] = used[i, wild] or (of[t] >= 0 and used[i, of[t]])
        else:
            if last >= 0:
                for t in range(len(of)):
                    out[i, t] = out[last, t]
            for c in range(wild):
                if used[i, c] != (last >= 0 and used[last, c]):
                    for k in range(offsets[c], offsets[c + 1]):
                        out[i, members[k]] = used[i, c]
        last = i


@intrinsic
def _blank_line(typing, address):
    """Write -inf over the 64 bytes at an address that 64 divides, past the caches: nobody reads them soon."""

    def code(context, builder, signature, arguments):
        line = ir.VectorType(ir.FloatType(), 16)
        value = ir.Constant(line, [ir.Constant(ir.FloatType(), -math.inf)] * 16)
        store = builder.store(value, builder.inttoptr(arguments[0], line.as_pointer()), align=64)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.uintp), code


@kernel
def _blank(row):
    """row = -inf, without reading what is overwritten."""
    start = row.ctypes.data
    whole = min(np.int64(-start % 64) // 4, len(row))  # floats before the first whole line
    for t in range(whole):
        row[t] = -np.inf
    while whole + 16 <= len(row):
        _blank_line(np.uintp(start + 4 * whole))
        whole += 16
    for t in range(whole, len(row)):
        row[t] = -np.inf


@kernel
def _keep_only(row, used, offsets, members):
    """Blank a row but for the members of the used classes; few, or this is slow."""
    size = 0
    for c in range(len(offsets) - 1):
        size += (offsets[c + 1] - offsets[c]) * used[c]
    kept = np.empty(size, np.float32)
    for writing in (False, True):
        k = 0
        for c in range(len(offsets) - 1):
            if used[c]:
                for j in range(offsets[c], offsets[c + 1]):
                    if writing:
                        row[members[j]] = kept[k]
                    else:
                        kept[k] = row[members[j]]
                    k += 1
        if not writing:
            _blank(row)


@kernel
def forbid(used, classes, pinned, rows):
    """Write -inf into float32 rows [n, V] wherever bool[n, K+1] over classes (or the pin) does not allow the token."""
    of, offsets, members = classes.of, classes.offsets, classes.members
    wild = used.shape[1] - 1
    allowed = np.empty(len(of), np.bool_)
    current = -1  # the row whose classes `allowed` was made for
    classless = np.flatnonzero(of < 0)
    for i in range(len(rows)):
        some = False
        count = 0
        for c in range(wild):
            some |= used[i, c]
            count += (offsets[c + 1] - offsets[c]) * used[i, c]
        if pinned[i] >= 0:
            kept = rows[i, pinned[i]] if some or used[i, wild] else -np.inf
            _blank(rows[i])
            rows[i, pinned[i]] = kept
        elif used[i, wild]:
            continue
        elif count < len(of) // 16:
            _keep_only(rows[i], used[i], offsets, members)
        elif len(of) - count < len(of) // 16:
            for t in classless:
                rows[i, t] = -np.inf
            for c in range(wild):
                if not used[i, c]:
                    for j in range(offsets[c], offsets[c + 1]):
                        rows[i, members[j]] = -np.inf
        else:
            same = current >= 0
            for c in range(wild):
                same = same and used[i, c] == used[current, c]
            if not same:
                for t in range(len(of)):
                    allowed[t] = of[t] >= 0 and used[i, of[t]]
                current = i
            for t in range(len(of)):
                if not allowed[t]:
                    rows[i, t] = -np.inf


@kernel
def expand_marginals(rows, of, posterior, emission, normaliser, pinned, scale, out):
    """Log-probabilities of classes → of tokens, float32[n, V]: log P(class) + log p(token) - log p(class).

    An unread tail holds whatever the model likes: log P(unread) + log p(token). Both shift the same logit, so their sum is
    one shift a class.
    """
    wild = posterior.shape[1] - 1
    shift = np.empty(wild + 1, np.float32)
    for i in range(len(out)):
        if pinned[i] >= 0:
            for t in range(len(of)):
                out[i, t] = -np.inf
            out[i, pinned[i]] = 0.0
            continue
        unread = posterior[i, wild] - normaliser[i]
        shift[wild] = unread  # also what of[t] = -1 reads
        for c in range(wild):
            alive = posterior[i, c] > -np.inf
            one = posterior[i, c] - emission[i, c] - normaliser[i] if alive else -np.inf
            top = max(one, unread)
            shift[c] = top + np.log(np.exp(one - top) + np.exp(unread - top)) if top > -np.inf else -np.inf
        for t in range(len(of)):
            out[i, t] = rows[i, t] * np.float32(scale) + shift[of[t]]
