"""Which tokens a search tries for an arc: those of its label's best classes that score best at a position, or a draw of them.

Of a class only so many are looked at as are asked for, and only in the blocks of it whose largest entries are the largest: a
class may have a hundred thousand members. What was found holds for all nodes of a layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import kernel, mix
from dgemma_constrain.canvas.emissions import block_maxima, block_range


class Best(NamedTuple):
    """Of each class: its best members at a position, as `_best_of` has them, and how many, -1 where not asked for yet;
    whether all members are the same bytes, -1 where not asked for yet."""

    ids: np.ndarray
    scores: np.ndarray
    known: np.ndarray
    twins: np.ndarray


@kernel
def _noise(seed):
    """A Gumbel variable."""
    return -np.log(-np.log((np.float64(mix(seed) >> np.uint64(12)) + 0.5) * 2.0**-52))


@kernel
def _insert(ids, scores, n, most, t, x):
    """Put id t with score x into a list of up to `most`, in descending order; how many there are then."""
    if n == most:
        if x <= scores[n - 1]:
            return n
        n -= 1
    j = n
    while j > 0 and scores[j - 1] < x:
        ids[j], scores[j] = ids[j - 1], scores[j - 1]
        j -= 1
    ids[j], scores[j] = t, x
    return n + 1


@kernel
def _best_of(row, partial, two, scale, noise, classes, c, ids, scores, most):
    """Members of class c with the largest entries of row·scale, up to `most`, in descending order; how many. Of a class
    of several blocks (words, most often), the two largest will do.

    two, partial: the two largest, and the largest entry of each block of each class (see `emissions`; found out here
    where there is NaN), or its sum with noise, or nothing. The best members are in the best blocks, so only those are
    read. With noise > 0 a Gumbel variable is added to each entry; the first is then a draw in proportion to
    e^(row·scale). Of an empty row all entries are equal, and any members will do.
    """
    of, offsets, members, blocks, dense, mask = classes
    if len(row) == 0:
        size = np.int64(offsets[c + 1] - offsets[c])
        n = min(np.int64(most), size)
        for j in range(n):
            ids[j], scores[j] = members[offsets[c] + (np.int64(mix(noise + c) >> np.uint64(1)) + j) % size], 0.0
        return n
    if noise == 0 and offsets[c + 1] - offsets[c] == 1:  # nothing to compare it with
        ids[0], scores[0] = members[offsets[c]], 0.0
        return np.int64(1)
    count = np.int64(blocks[c + 1] - blocks[c])
    some = np.int64(0)
    if count > 1:
        most = np.int64(2)
        if two.shape[1] > 0 and two[1, c] >= 0:
            for j in range(most):
                ids[j], scores[j] = two[j, c], np.float64(row[two[j, c]]) * scale
            return most
    if len(partial) > 0 and count > most:
        if np.isnan(partial[blocks[c]]):
            block_maxima(row, classes, c, partial)
        for b in range(count):
            x = np.float64(partial[blocks[c] + b])
            some = _insert(ids, scores, some, most, b, np.log(x) + _noise(noise - b - 1) if noise > 0 else x)
        count = some
    chosen = np.arange(count)
    for j in range(some):
        chosen[j] = ids[j]
    n = np.int64(0)
    for b in chosen:
        first, past = block_range(classes, c, b)
        for k in range(first, past):
            t = np.int64(k) if c == dense else np.int64(members[k])
            if c == dense and not mask[k]:
                continue
            x = np.float64(row[t]) * scale
            if noise > 0:
                x += _noise(noise + t)
            if x > -np.inf and (n < most or x > scores[n - 1]):
                n = _insert(ids, scores, n, np.int64(most), t, x)
    return n


@kernel
def _are_alike(cover, c):
    """Whether all members of a class are the same bytes."""
    offsets, members = cover.classes.offsets, cover.classes.members
    data, start = cover.data, cover.data_offsets
    first = np.int64(members[offsets[c]])
    for i in range(offsets[c] + 1, offsets[c + 1]):
        t = np.int64(members[i])
        n = start[t + 1] - start[t]
        if n != start[first + 1] - start[first]:
            return False
        for k in range(n):
            if data[start[t] + k] != data[start[first] + k]:
                return False
    return True


@kernel
def _members(cover, best, label, emission, row, partial, two, scale, noise, ids, scores):
    """Tokens of a label's best classes, the best of all first, and how much less than that they score; how many, and
    the same for the best of the others. best: see `Best`, since many labels share a class."""
    offsets, of = cover.labels
    most = np.int64(len(ids))
    classes, values = np.empty(most, np.int64), np.empty(most)
    count, left = np.int64(0), -np.inf
    for k in range(offsets[label], offsets[label + 1]):
        x = emission[of[k]]
        if x > -np.inf:
            if count == most:
                left = max(left, min(x, values[count - 1]))
            count = _insert(classes, values, count, most, np.int64(of[k]), x)
    each = most // max(count, 1)
    n = np.int64(0)
    for j in range(count):
        c = classes[j]
        some, less = best.ids[c], best.scores[c]
        if best.known[c] < 0:
            best.known[c] = _best_of(row, partial, two, scale, noise, cover.classes, c, some, less, most + 1)
        size = cover.classes.offsets[c + 1] - cover.classes.offsets[c]
        found = min(np.int64(best.known[c]), each + 1)
        if best.twins[c] < 0:
            best.twins[c] = size > 1 and _are_alike(cover, c)
        twins = best.twins[c] > 0  # then the others are never better than the first
        for k in range(min(found, 1 if twins else each)):
            ids[n], scores[n] = some[k], values[j] - values[0] + less[k] - less[0]
            n += 1
        if not twins and (found < size or found > each):
            left = max(left, values[j] + less[found - 1] - less[0])
    return n, left - values[0]
