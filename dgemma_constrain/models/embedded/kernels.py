"""What the forward pass does between its matrix products: all that goes by row, each row read and written once.

Everything is computed in float32. What a product takes or gives is float32 or bfloat16; of the latter the bits, as uint16, which
are the upper half of a float32's. N tokens in all stand one after another, text b at starts[b]:starts[b+1].
"""

from __future__ import annotations

import numpy as np
from numba import float32, types
from numba.extending import overload

from dgemma_constrain.automata.vectors import exp2, log, long_vectors, vector

EPSILON = np.float32(1e-6)
LOG2_E = np.float32(1.44269504)


def _load(values, i, j):
    """values[i, j], which may be bfloat16, as a float32."""


def _store(values, i, j, x):
    """Write a float32 into what may be bfloat16: to the nearest, ties to even."""


@overload(_load)
def _(values, i, j):
    if values.dtype == types.uint16:
        return lambda values, i, j: np.uint32(np.uint32(values[i, j]) << np.uint32(16)).view(np.float32)
    return lambda values, i, j: values[i, j]


@overload(_store)
def _(values, i, j, x):
    if values.dtype == types.uint16:

        def rounded(values, i, j, x):
            bits = np.float32(x).view(np.uint32)
            odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
            values[i, j] = np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

        return rounded

    def plain(values, i, j, x):
        values[i, j] = x

    return plain


@vector
def embed(ids, starts, spans, mask_id, table, region, x):
    """Fill x float32[N, D] with the embeddings of ids int64[N] and what region float32[4, D] makes of the marks: whether a position
    is on the canvas, how much of that is still masked, and two products. spans int64[B, 2]: where the canvases are in `ids`."""
    long_vectors()
    width = x.shape[1]
    factor = np.sqrt(float32(width))
    for b in range(len(starts) - 1):
        first, last = spans[b, 0], spans[b, 1]
        masked = 0
        for i in range(first, last):
            masked += ids[i] == mask_id
        noise = float32(masked) / float32(max(last - first, 1))
        for i in range(starts[b], starts[b + 1]):
            on = float32(first <= i and i < last)
            open_ = noise * on * float32(ids[i] == mask_id)
            for j in range(width):
                marks = on * region[0, j] + noise * region[1, j] + noise * noise * region[2, j] + open_ * region[3, j]
                x[i, j] = _load(table, ids[i], j) * factor + marks


@vector
def add_norm(x, y, scale, out):
    """x += y, and out = RMSNorm(x) · scale; y is empty where there is nothing to add. All [N, D], scale float32[D]."""
    long_vectors()
    size = x.shape[1]
    for i in range(len(x)):
        total = float32(0)
        if len(y):
            for j in range(size):
                v = x[i, j] + _load(y, i, j)
                x[i, j] = v
                total += v * v
        else:
            for j in range(size):
                total += x[i, j] * x[i, j]
        factor = float32(1) / np.sqrt(total / float32(size) + EPSILON)
        for j in range(size):
            _store(out, i, j, x[i, j] * factor * scale[j])


@vector
def mix_neighbours(normed, starts, before, after, out):
    """out = each row of normed float32[N, D], and of its two neighbours in the same text their shares: before, after float32[D]."""
    long_vectors()
    for b in range(len(starts) - 1):
        for i in range(starts[b], starts[b + 1]):
            left, right = max(i - 1, starts[b]), min(i + 1, starts[b + 1] - 1)
            has_left, has_right = float32(left < i), float32(right > i)
            for j in range(normed.shape[1]):
                shares = has_left * normed[left, j] * before[j] + has_right * normed[right, j] * after[j]
                _store(out, i, j, normed[i, j] + shares)


@vector
def turn(qkv, starts, scales, cos, sin, turned):
    """Of the heads [N 3 H, head] of queries, keys and values, the first two: normed, times their scales float32[2, head], and their
    halves turned by the angles of their place in the text, cos, sin float32[T, head/2]. turned float32[2 N H, head]: queries, then keys."""
    long_vectors()
    total, half = starts[-1], cos.shape[1]
    heads = len(qkv) // (3 * total)
    for b in range(len(starts) - 1):
        for i in range(starts[b], starts[b + 1]):
            t = i - starts[b]
            for which in range(2):
                for h in range(heads):
                    row, into = (3 * i + which) * heads + h, (which * total + i) * heads + h
                    squares = float32(0)
                    for j in range(2 * half):
                        v = _load(qkv, row, j)
                        squares += v * v
                    factor = float32(1) / np.sqrt(squares / float32(2 * half) + EPSILON)
                    for j in range(half):
                        x = _load(qkv, row, j) * factor * scales[which, j]
                        y = _load(qkv, row, half + j) * factor * scales[which, half + j]
                        turned[into, j] = x * cos[t, j] - y * sin[t, j]
                        turned[into, half + j] = y * cos[t, j] + x * sin[t, j]


@vector
def _powers(scores, bits, i):
    """scores[i] = 2^(scores[i] - its largest); their sum. bits: the same memory as int32, of which maxima are vectorised."""
    top = np.int32(-(2**31))
    for j in range(scores.shape[1]):  # as integers that sort like the floats they stand for
        top = max(top, np.int32(bits[i, j] ^ np.int32((bits[i, j] >> 31) & 0x7FFFFFFF)))
    largest = np.int32(top ^ np.int32((top >> 31) & 0x7FFFFFFF)).view(np.float32)
    total = float32(0)
    for j in range(scores.shape[1]):
        y = exp2(scores[i, j] - largest)
        scores[i, j] = y
        total += y
    return total


@vector
def softmax(scores, out):
    """out [R, T] = the softmax of scores float32[R, T] in powers of two; they are overwritten."""
    long_vectors()
    size, bits = scores.shape[1], scores.view(np.int32)
    for i in range(len(scores)):
        factor = float32(1) / _powers(scores, bits, i)
        for j in range(size):
            _store(out, i, j, scores[i, j] * factor)


@vector
def geglu(up, out):
    """out [N, F] = gelu(gate) · value of up [N, 2 F], gelu(x) = x / (1 + exp(-√(8/π) (x + 0.044715 x³))), which is the form with tanh."""
    long_vectors()
    size = out.shape[1]
    for i in range(len(up)):
        for j in range(size):
            x = _load(up, i, j)
            t = float32(-2.30220818) * (x + float32(0.044715) * x * x * x)  # -√(8/π) / log 2
            _store(out, i, j, x / (float32(1) + exp2(min(t, float32(60)))) * _load(up, i, size + j))


@vector
def mixture(words, pointer, ids, visible_from, share, cap, floor, out):
    """out float32[n, V] = log((1 - g) softmax(cap tanh(words / cap)) + g Σ_j a_j [ids_j = v] + floor), g = share float32[n].

    words [n, V]; pointer float32[n, T]: logits in powers of two of the pointer's weights a over the visible tokens of ids int64[T],
    those from `visible_from` up (or over all, where none is visible); overwritten.
    """
    long_vectors()
    bits = pointer.view(np.int32)
    inner, outer = float32(2) * LOG2_E / cap, float32(-2) * LOG2_E * cap
    for i in range(len(words)):
        total = float32(0)
        for j in range(words.shape[1]):  # relative to the cap: cap tanh y - cap = -2 cap / (exp(2 y) + 1)
            y = exp2(outer / (exp2(min(_load(words, i, j) * inner, float32(60))) + float32(1)))
            out[i, j] = y
            total += y
        factor = (float32(1) - share[i]) / total
        for j in range(words.shape[1]):
            out[i, j] = out[i, j] * factor + floor
        for j in range(len(ids)):
            pointer[i, j] = pointer[i, j] if ids[j] >= visible_from else float32(-1e30)
        copied = share[i] / _powers(pointer, bits, i)
        for j in range(len(ids)):
            out[i, ids[j]] += copied * pointer[i, j]
        for j in range(words.shape[1]):
            out[i, j] = log(out[i, j])
