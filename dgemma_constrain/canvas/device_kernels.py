"""Triton kernels for one denoising step on the device that holds the logits: what `emissions`, `arcs`, `dynamic` and `expand`
are for host memory. `device.py` calls them, in the order in which they stand here.

Index lists in rows (CSR) of very different lengths are everywhere: members of classes, classes of labels, arcs of states.
They are sorted by length; a program takes one long list (there are `big` of these), WIDE entries at a time, or BS short
ones, BW entries of each at a time, so that its lists are about equally long and no lane waits for a long one.

Every sum is relative to a maximum that is found on the way (Milakov and Gimelshein 2018), so nothing under- or overflows.
Values of the dynamic program are float64, since they add up over a canvas; only differences are ever exponentiated, in float32.
"""

from __future__ import annotations

import triton
import triton.language as tl

NONE = tl.constexpr(2147483647)
NEVER = tl.constexpr(-(2.0**100))  # as in `posterior`


@triton.jit
def _finite(x):
    """x, or 0 for -inf: what a sum may be relative to."""
    return tl.where(x == float("-inf"), 0.0, x)


# Reading the logits ------------------------------------------------------------------------------------------------------


@triton.jit
def _four(x0, x1, x2, x3, base, lane, top, total, arg, BLOCK: tl.constexpr):
    m = tl.maximum(tl.maximum(x0, x1), tl.maximum(x2, x3))
    j = tl.where(x0 == m, 0, tl.where(x1 == m, BLOCK, tl.where(x2 == m, 2 * BLOCK, 3 * BLOCK)))
    arg = tl.where(m > top, base + j + lane, arg)
    higher = tl.maximum(top, m)
    ref = _finite(higher)
    total = total * tl.exp(top - ref) + ((tl.exp(x0 - ref) + tl.exp(x1 - ref)) + (tl.exp(x2 - ref) + tl.exp(x3 - ref)))
    return higher, total, arg


@triton.jit
def _finish(top, total, arg):
    """From lanes to one maximum, where it is (the first place), and the log of the sum."""
    best = tl.max(top, 0)
    ref = _finite(best)
    total = tl.sum(total * tl.exp(top - ref), 0)
    return best, tl.min(tl.where(top == best, arg, NONE), 0), ref + tl.log(total)


@triton.jit(do_not_specialize=["columns", "wild", "dense"])
def read_rows(logits, scale, mask, size, stride, columns, wild, dense, top_out, arg_out, sum_out, norm_out, best_out,
              DENSE: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """One pass over a row of logits: its largest entry and normaliser, and top, arg and sum of the largest class (`mask`).

    What stands in an unread tail weighs nothing, so the weight of `wild` beside logits that are not normalised is the normaliser.
    """
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    never = float("-inf")
    top = tl.full([BLOCK], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    arg = tl.full([BLOCK], NONE, tl.int32)
    top_d = tl.full([BLOCK], float("-inf"), tl.float32)
    total_d = tl.zeros([BLOCK], tl.float32)
    arg_d = tl.full([BLOCK], NONE, tl.int32)
    source = logits + row * stride
    for base in range(0, size, 4 * BLOCK):
        t0 = base + lane
        t1 = t0 + BLOCK
        t2 = t1 + BLOCK
        t3 = t2 + BLOCK
        x0 = tl.load(source + t0, mask=t0 < size, other=never).to(tl.float32) * scale
        x1 = tl.load(source + t1, mask=t1 < size, other=never).to(tl.float32) * scale
        x2 = tl.load(source + t2, mask=t2 < size, other=never).to(tl.float32) * scale
        x3 = tl.load(source + t3, mask=t3 < size, other=never).to(tl.float32) * scale
        top, total, arg = _four(x0, x1, x2, x3, base, lane, top, total, arg, BLOCK)
        if DENSE:
            x0 = tl.where(tl.load(mask + t0, mask=t0 < size, other=0) != 0, x0, never)
            x1 = tl.where(tl.load(mask + t1, mask=t1 < size, other=0) != 0, x1, never)
            x2 = tl.where(tl.load(mask + t2, mask=t2 < size, other=0) != 0, x2, never)
            x3 = tl.where(tl.load(mask + t3, mask=t3 < size, other=0) != 0, x3, never)
            top_d, total_d, arg_d = _four(x0, x1, x2, x3, base, lane, top_d, total_d, arg_d, BLOCK)
    best, where, norm = _finish(top, total, arg)
    norm = _finite(norm)
    at = row * columns + wild
    tl.store(best_out + row, best)
    tl.store(norm_out + row, norm)
    tl.store(top_out + at, norm)
    tl.store(sum_out + at, norm)
    tl.store(arg_out + at, where)
    if DENSE:
        best, where, norm = _finish(top_d, total_d, arg_d)
        at = row * columns + dense
        tl.store(top_out + at, best)
        tl.store(sum_out + at, norm)
        tl.store(arg_out + at, where)


@triton.jit
def _reduce(row, source, scale, index, order, first, last, at, count, stride, columns, top_out, arg_out, sum_out,
            MAX: tl.constexpr, SUM: tl.constexpr, BS: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    inside = at < count
    name = tl.load(order + at, mask=inside, other=0)
    a = tl.load(first + at, mask=inside, other=0)
    b = tl.load(last + at, mask=inside, other=0)
    top = tl.full([BS, BW], float("-inf"), tl.float32)
    total = tl.zeros([BS, BW], tl.float32)
    arg = tl.full([BS, BW], NONE, tl.int32)
    lane = tl.arange(0, BW)
    for k in range(0, tl.max(b - a, 0), BW):
        e = a[:, None] + k + lane[None, :]
        m = e < b[:, None]
        t = tl.load(index + e, mask=m, other=0)
        x = tl.load(source + row * stride + t, mask=m, other=float("-inf")).to(tl.float32) * scale
        if MAX:
            arg = tl.where(x > top, t, arg)
        higher = tl.maximum(top, x)
        if SUM:
            ref = _finite(higher)
            total = total * tl.exp(top - ref) + tl.exp(x - ref)
        top = higher
    best = tl.max(top, 1)
    where = row * columns + name
    if MAX:
        tl.store(top_out + where, best, mask=inside)
        tl.store(arg_out + where, tl.min(tl.where(top == best[:, None], arg, NONE), 1), mask=inside)
    if SUM:
        ref = _finite(best)
        total = tl.sum(total * tl.exp(top - ref[:, None]), 1)
        tl.store(sum_out + where, ref + tl.log(total), mask=inside)


@triton.jit(do_not_specialize=["big", "count", "columns"])
def reduce_lists(source, scale, index, order, first, last, big, count, stride, columns, top_out, arg_out, sum_out,
                 MAX: tl.constexpr, SUM: tl.constexpr, BS: tl.constexpr, BW: tl.constexpr, WIDE: tl.constexpr):  # fmt: skip
    """The maximum, where it is, and log Σ e^x of a row's entries at each list of indices."""
    pid = tl.program_id(0)
    row = tl.program_id(1).to(tl.int64)
    if pid < big:
        _reduce(row, source, scale, index, order, first, last, pid + tl.arange(0, 1), count, stride, columns,
                top_out, arg_out, sum_out, MAX, SUM, 1, WIDE)  # fmt: skip
    else:
        _reduce(row, source, scale, index, order, first, last, big + (pid - big) * BS + tl.arange(0, BS), count, stride,
                columns, top_out, arg_out, sum_out, MAX, SUM, BS, BW)  # fmt: skip


# The dynamic program -----------------------------------------------------------------------------------------------------


@triton.jit
def _relax(weights, value, out, chosen, order, first, last, labels, ends, at, count,
           SUM: tl.constexpr, BS: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Values of one boundary from those of the boundary before it: the best, or the sum, over each state's arcs."""
    never = float("-inf")
    inside = at < count
    state = tl.load(order + at, mask=inside, other=0)
    a = tl.load(first + at, mask=inside, other=0)
    b = tl.load(last + at, mask=inside, other=0)
    top = tl.full([BS, BW], float("-inf"), tl.float64)
    total = tl.zeros([BS, BW], tl.float32)
    arg = tl.zeros([BS, BW], tl.int32)
    lane = tl.arange(0, BW)
    for k in range(0, tl.max(b - a, 0), BW):
        e = a[:, None] + k + lane[None, :]
        m = e < b[:, None]
        label = tl.load(labels + e, mask=m, other=0)
        end = tl.load(ends + e, mask=m, other=0)
        weight = tl.load(weights + label, mask=m, other=never).to(tl.float64)
        x = weight + tl.load(value + end, mask=m, other=never)
        higher = tl.maximum(top, x)
        if SUM:
            ref = _finite(higher)
            total = total * tl.exp((top - ref).to(tl.float32)) + tl.exp((x - ref).to(tl.float32))
        else:
            arg = tl.where(x > top, (label << 16) | end, arg)
        top = higher
    best = tl.max(top, 1)
    if SUM:
        ref = _finite(best)
        total = tl.sum(total * tl.exp((top - ref[:, None]).to(tl.float32)), 1)
        tl.store(out + state, ref + tl.log(total).to(tl.float64), mask=inside)
    else:
        tl.store(out + state, best, mask=inside)
        tl.store(chosen + state, tl.max(tl.where(top == best[:, None], arg, -NONE - 1), 1), mask=inside)


@triton.jit
def _relax_some(pid, weights, value, out, chosen, order, first, last, labels, ends, big, count,
                SUM: tl.constexpr, BS: tl.constexpr, BW: tl.constexpr, WIDE: tl.constexpr):  # fmt: skip
    if pid < big:
        _relax(
            weights, value, out, chosen, order, first, last, labels, ends, pid + tl.arange(0, 1), count, SUM, 1, WIDE
        )
    else:
        _relax(weights, value, out, chosen, order, first, last, labels, ends, big + (pid - big) * BS + tl.arange(0, BS),
               count, SUM, BS, BW)  # fmt: skip


@triton.jit(do_not_specialize=["j", "kind0", "length", "states", "names", "big", "big_in"])
def layer(j, kind0, length, states, names, best_w, sum_w, best_v, sum_v, front_v, chosen,
          order, first, last, labels, ends, big, order_in, first_in, last_in, labels_in, ends_in, big_in,
          BS: tl.constexpr, BW: tl.constexpr, WIDE: tl.constexpr):  # fmt: skip
    """Step j of three sweeps, which don't wait for one another: programs (some states, kind of sweep, row of the batch).

    Kind 0: the best, backwards, with the arc that is chosen (label · 2^16 + target); 1: sums, backwards; 2: sums, forwards.
    """
    pid = tl.program_id(0)
    kind = tl.program_id(1) + kind0
    row = tl.program_id(2).to(tl.int64)
    i = length - 1 - j
    back = (row * (length + 1) + i + 1) * states
    ahead = (row * (length + 1) + j) * states
    if kind == 0:  # two boundaries take turns
        source = best_v + (row * 2 + (i + 1) % 2) * states
        target = best_v + (row * 2 + i % 2) * states
        _relax_some(pid, best_w + (row * length + i) * names, source, target, chosen + (row * length + i) * states,
                    order, first, last, labels, ends, big, states, False, BS, BW, WIDE)  # fmt: skip
    elif kind == 1:
        _relax_some(pid, sum_w + (row * length + i) * names, sum_v + back, sum_v + back - states, chosen,
                    order, first, last, labels, ends, big, states, True, BS, BW, WIDE)  # fmt: skip
    else:
        _relax_some(pid, sum_w + (row * length + j) * names, front_v + ahead, front_v + ahead + states, chosen,
                    order_in, first_in, last_in, labels_in, ends_in, big_in, states, True, BS, BW, WIDE)  # fmt: skip


# What it says ------------------------------------------------------------------------------------------------------------


@triton.jit(do_not_specialize=["length", "states", "names", "columns"])
def trace(starts, length, states, names, columns, chosen, label_arg, class_top, class_arg, norm, path, ids, parts,
          PADDED: tl.constexpr):  # fmt: skip
    """Follow the chosen arcs from the start, then look up class, id and log-probability of all positions at once."""
    row = tl.program_id(0).to(tl.int64)
    state = tl.load(starts + row).to(tl.int64)
    for i in range(0, length):
        arc = tl.load(chosen + (row * length + i) * states + state)
        tl.store(path + row * length + i, (arc >> 16) & 0xFFFF)
        state = (arc & 0xFFFF).to(tl.int64)
    tl.debug_barrier()
    at = tl.arange(0, PADDED)
    inside = at < length
    at = row * length + at
    label = tl.load(path + at, mask=inside, other=0)
    c = tl.load(label_arg + at * names + label, mask=inside, other=0)
    c = tl.where(c < columns, c, 0)  # where there is no path at all
    tl.store(ids + at, tl.load(class_arg + at * columns + c, mask=inside, other=0), mask=inside)
    weight = tl.load(class_top + at * columns + c, mask=inside, other=0.0).to(tl.float64)
    tl.store(parts + at, weight - tl.load(norm + at, mask=inside, other=0.0).to(tl.float64), mask=inside)


@triton.jit
def _meet(row, length, states, starts, front_v, sum_v, order, first, last, sources, targets, at, count, out,
          BS: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    never = float("-inf")
    b = row // length
    i = row % length
    inside = at < count
    name = tl.load(order + at, mask=inside, other=0)
    lo = tl.load(first + at, mask=inside, other=0)
    hi = tl.load(last + at, mask=inside, other=0)
    front = front_v + (b * (length + 1) + i) * states
    behind = sum_v + (b * (length + 1) + i + 1) * states
    whole = _finite(tl.load(sum_v + b * (length + 1) * states + tl.load(starts + b)))
    top = tl.full([BS, BW], float("-inf"), tl.float32)
    total = tl.zeros([BS, BW], tl.float32)
    lane = tl.arange(0, BW)
    for k in range(0, tl.max(hi - lo, 0), BW):
        e = lo[:, None] + k + lane[None, :]
        m = e < hi[:, None]
        s = tl.load(sources + e, mask=m, other=0)
        t = tl.load(targets + e, mask=m, other=0)
        x = tl.load(front + s, mask=m, other=never) + tl.load(behind + t, mask=m, other=never)
        x = (x - whole).to(tl.float32)
        higher = tl.maximum(top, x)
        ref = _finite(higher)
        total = total * tl.exp(top - ref) + tl.exp(x - ref)
        top = higher
    best = tl.max(top, 1)
    ref = _finite(best)
    total = tl.sum(total * tl.exp(top - ref[:, None]), 1)
    tl.store(out + row * count + name, ref + tl.log(total), mask=inside)


@triton.jit(do_not_specialize=["length", "states", "big", "count"])
def meet(length, states, starts, front_v, sum_v, order, first, last, sources, targets, big, count, out,
         BS: tl.constexpr, BW: tl.constexpr, WIDE: tl.constexpr):  # fmt: skip
    """Of every label at every position: log Σ over its arcs of e^(forwards + backwards), relative to the sum of all strings.

    Added to the weight of a label, a class or a token that is its posterior probability: the weights need not be looked at again.
    """
    pid = tl.program_id(0)
    row = tl.program_id(1).to(tl.int64)
    if pid < big:
        _meet(row, length, states, starts, front_v, sum_v, order, first, last, sources, targets, pid + tl.arange(0, 1),
              count, out, 1, WIDE)  # fmt: skip
    else:
        _meet(row, length, states, starts, front_v, sum_v, order, first, last, sources, targets,
              big + (pid - big) * BS + tl.arange(0, BS), count, out, BS, BW)  # fmt: skip


@triton.jit(do_not_specialize=["columns"])
def expand(
    logits, scale, of, shift, pinned, ids, tops, own, out, size, columns, RAISE: tl.constexpr, BLOCK: tl.constexpr
):
    """Log-probabilities of all ids: logit + shift of the class. `of` is `wild` for an id of no class.

    RAISE: finite ones, with `ids` of each row on top at `tops`; what these were goes into `own`.
    """
    row = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = t < size
    never = float("-inf")
    c = tl.load(of + t, mask=inside, other=0)
    x = tl.load(logits + row * size + t, mask=inside, other=never).to(tl.float32) * scale
    y = x + tl.load(shift + row * columns + c)
    pin = tl.load(pinned + row)
    if pin >= 0:
        y = tl.where(t == pin, 0.0, never)
    if RAISE:
        raised = t == tl.load(ids + row)
        tl.store(own + row + t * 0, y, mask=raised)
        y = tl.where(raised, tl.load(tops + row), tl.maximum(y, NEVER))
    tl.store(out + row * size + t, y.to(out.dtype.element_ty), mask=inside)
