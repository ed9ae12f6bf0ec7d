"""Parallel transitions as one arc.

Between two states there are often dozens of classes (a letter, two letters, …), and the same set of classes stands
between many pairs. Such a set is a *label*. The dynamic program runs over arcs, at most one for each pair of states,
and sees labels as if they were classes; distributivity makes that exact: the best (or the summed) weight over parallel
transitions is the arc's weight. What a label's weight is made of is looked up only where somebody asks for classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from dgemma_constrain.automata.kernels import kernel, mix
from dgemma_constrain.automata.vectors import long_vectors
from dgemma_constrain.tokens.region import number_equal

_vector = njit(cache=True, nogil=True, boundscheck=False, fastmath={"nnan", "nsz"})  # no NaN gets here
SAVED = 64  # arcs that a joint must save at least: it is looked at for every position, few of its states live or many
TINY = 1e-200  # below this a sum of weights relative to the row's largest may have lost digits


class Labels(NamedTuple):
    """The classes of label l are classes[offsets[l]:offsets[l+1]], ascending: int64[N+1], int32[…]."""

    offsets: np.ndarray
    classes: np.ndarray


@kernel
def bundle(offsets, symbols, targets):
    """Transitions in rows → arcs in rows (offsets, labels, targets) and the classes of each label (offsets, classes).

    Equal sets are told by a sum of 64-bit hashes of their classes.
    """
    states, count = len(offsets) - 1, len(symbols)
    arc_to = np.full(states, -1, np.int64)  # the arc of the present row that leads to each state
    arc_offsets = np.zeros(states + 1, np.int64)
    arc_targets = np.empty(count, np.int32)
    hashes = np.zeros(count, np.uint64)
    arc_of = np.empty(count, np.int64)
    arcs = 0
    for s in range(states):
        for e in range(offsets[s], offsets[s + 1]):
            t = targets[e]
            if arc_to[t] < arc_offsets[s]:
                arc_to[t] = arcs
                arc_targets[arcs] = t
                arcs += 1
            arc_of[e] = arc_to[t]
            hashes[arc_to[t]] += mix(symbols[e] + 1)
        arc_offsets[s + 1] = arcs
    labels, first = number_equal(hashes[:arcs])
    example = np.full(arcs, -1, np.int32)
    for k in range(len(first)):
        example[first[k]] = k
    label_offsets = np.zeros(len(first) + 1, np.int64)
    for e in range(count):
        if example[arc_of[e]] >= 0:
            label_offsets[example[arc_of[e]] + 1] += 1
    for k in range(len(first)):
        label_offsets[k + 1] += label_offsets[k]
    place = label_offsets.copy()
    classes = np.empty(label_offsets[-1], np.int32)
    for e in range(count):
        k = example[arc_of[e]]
        if k >= 0:
            classes[place[k]] = symbols[e]
            place[k] += 1
    return arc_offsets, labels, arc_targets[:arcs].copy(), label_offsets, classes


class Arcs(NamedTuple):
    """Arcs by way of joints: those of row s are symbols[offsets[s]:offsets[s+1]] and the same of targets. See `factor`."""

    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    nothing: int


@kernel
def factor(offsets, symbols, targets, nothing):
    """Arcs by way of *joints*: rows behind those of the states, which arcs labelled `nothing` (it weighs nothing) lead to.

    After most of what begins alike many states go on alike: n states with the same m arcs need n + m arcs by a joint, not
    n · m. Arcs (label, target) whose sources are the same set, told by a sum of 64-bit hashes, have one joint, if that
    saves enough. A sweep that reads the joints first then finds what it finds without them, by distributivity.
    """
    states, count = len(offsets) - 1, len(symbols)
    hashes = np.empty(count, np.uint64)
    for e in range(count):
        hashes[e] = mix(np.int64(symbols[e]) << 32 | np.int64(targets[e]))
    pair_of, first = number_equal(hashes)
    pairs = len(first)
    sources, size = np.zeros(pairs, np.uint64), np.zeros(pairs, np.int64)
    for s in range(states):
        for e in range(offsets[s], offsets[s + 1]):
            sources[pair_of[e]] += mix(s + 1)
            size[pair_of[e]] += 1
    group_of, first_of = number_equal(sources)
    members = np.zeros(len(first_of), np.int64)
    for p in range(pairs):
        members[group_of[p]] += 1
    joint, joints = np.full(len(first_of), -1, np.int64), 0
    for g in range(len(first_of)):
        n, m = size[first_of[g]], members[g]
        if n * m >= n + m + SAVED:
            joint[g] = states + joints
            joints += 1
    rows = np.zeros(states + joints + 1, np.int64)
    last = np.full(len(first_of), -1, np.int64)  # the state that was last seen to lead to a joint
    for s in range(states):
        for e in range(offsets[s], offsets[s + 1]):
            g = group_of[pair_of[e]]
            rows[s + 1] += joint[g] < 0 or last[g] != s
            last[g] = s
    for p in range(pairs):
        j = joint[group_of[p]]
        if j >= 0:
            rows[j + 1] += 1
    for s in range(states + joints):
        rows[s + 1] += rows[s]
    labels, ends = np.empty(rows[-1], np.int32), np.empty(rows[-1], np.int32)
    place = rows[:-1].copy()
    last[:] = -1
    for s in range(states):
        for e in range(offsets[s], offsets[s + 1]):
            g = group_of[pair_of[e]]
            j = joint[g] if joint[g] >= 0 else s  # the row that the arc is in
            if j == s or first[pair_of[e]] == e:
                labels[place[j]], ends[place[j]] = symbols[e], targets[e]
                place[j] += 1
            if j != s and last[g] != s:
                labels[place[s]], ends[place[s]] = nothing, j
                place[s] += 1
                last[g] = s
    return rows, labels, ends


# What these fill they also make: so the compiler knows that it does not overlap what they read.


@_vector
def _maxima(offsets, classes, columns):
    """The largest columns[c] over the classes c of each label: position by position, so that vectors fit."""
    long_vectors()
    best = np.empty((len(offsets) - 1, columns.shape[1]))
    for k in range(len(best)):
        for i in range(best.shape[1]):
            best[k, i] = -np.inf
        for j in range(offsets[k], offsets[k + 1]):
            c = classes[j]
            for i in range(best.shape[1]):
                best[k, i] = max(best[k, i], columns[c, i])
    return best


@_vector
def _sums(offsets, classes, columns):
    """The sum of columns[c] over the classes c of each label."""
    long_vectors()
    total = np.empty((len(offsets) - 1, columns.shape[1]))
    for k in range(len(total)):
        for i in range(total.shape[1]):
            total[k, i] = 0.0
        for j in range(offsets[k], offsets[k + 1]):
            c = classes[j]
            for i in range(total.shape[1]):
                total[k, i] += columns[c, i]
    return total


def label_best(labels, emission):
    """The best class weight of each label at each position: float64[L, K+1] → float64[L, N]."""
    return np.ascontiguousarray(_maxima(*labels, np.ascontiguousarray(emission.T)).T)


@kernel
def _log_sum(offsets, classes, k, row):
    """log Σ e^x over the classes of label k, from the label's own maximum."""
    top = -np.inf
    for j in range(offsets[k], offsets[k + 1]):
        top = max(top, row[classes[j]])
    total = 0.0
    for j in range(offsets[k], offsets[k + 1]):
        if top > -np.inf:
            total += np.exp(row[classes[j]] - top)
    return top + np.log(total) if total > 0.0 else -np.inf


@kernel
def _logarithms(offsets, classes, emission, top, total):
    """From sums relative to `top` to their logarithms, in place; where digits may be lost, from the label's own maximum."""
    for i in range(len(total)):
        for k in range(total.shape[1]):
            few = total[i, k] <= TINY
            total[i, k] = _log_sum(offsets, classes, k, emission[i]) if few else top[i] + np.log(total[i, k])


def label_sum(labels, emission):
    """The log of the summed class weights of each label at each position: float64[L, K+1] → float64[L, N]."""
    top = emission.max(1)
    weights = np.ascontiguousarray(np.exp(emission - top[:, None]).T)
    result = np.ascontiguousarray(_sums(*labels, weights).T)
    _logarithms(*labels, emission, top, result)
    return result


@kernel
def spread(labels, emission, summed, posterior):
    """Label probabilities float64[L, N] → class probabilities float64[L, K+1], shared out by weight."""
    offsets, classes = labels
    result = np.zeros(emission.shape)
    for i in range(len(emission)):
        for k in range(len(offsets) - 1):
            if posterior[i, k] > 0.0:
                for j in range(offsets[k], offsets[k + 1]):
                    result[i, classes[j]] += posterior[i, k] * np.exp(emission[i, classes[j]] - summed[i, k])
    return result


@kernel
def best_classes(labels, emission, path):
    """The best class of each position's label, int32[L]."""
    offsets, classes = labels
    chosen = np.empty(len(path), np.int32)
    for i in range(len(path)):
        chosen[i] = classes[offsets[path[i]]]
        for j in range(offsets[path[i]], offsets[path[i] + 1]):
            if emission[i, classes[j]] > emission[i, chosen[i]]:
                chosen[i] = classes[j]
    return chosen


@kernel
def drawn_classes(labels, emission, summed, path, uniform):
    """A class of each position's label in proportion to its weight; uniform float64[L] in [0, 1)."""
    offsets, classes = labels
    chosen = np.empty(len(path), np.int32)
    for i in range(len(path)):
        left = uniform[i]
        for j in range(offsets[path[i]], offsets[path[i] + 1]):
            share = np.exp(emission[i, classes[j]] - summed[i, path[i]])
            if share > 0.0:
                chosen[i] = classes[j]
                left -= share
                if left < 0.0:
                    break
    return chosen
