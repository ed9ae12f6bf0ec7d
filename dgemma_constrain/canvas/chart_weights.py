"""The chart with weights: the best text, sums, posteriors and samples, over what `chart` found to be possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import kernel, mix
from dgemma_constrain.canvas.chart import _popping
from dgemma_constrain.canvas.emissions import MAX
from dgemma_constrain.tokens.lift_network import MOVE, TO_POP, TO_PUSH


@kernel
def _plus(mode, a, b):
    if a < b:
        a, b = b, a
    return a if mode == MAX or b <= a - 40.0 else a + np.log1p(np.exp(b - a))


@kernel
def cover(system, weights, mode):
    """The weight of all ways through each state at each boundary, float64[N+1, S], if any frame might be below.

    What passes there has no more: a pop that may find what it likes is one edge of a finite automaton (what
    Felzenszwalb and McAllester, "The generalized A* architecture", 2007, call an abstraction).
    """
    offsets, labels, kinds, targets, with_, step, step_with, calls, exits, entries, frames = system
    length, states = len(weights), len(step)
    to = np.empty(len(labels), np.int32)
    for r in range(len(labels)):
        kind = kinds[r]
        to[r] = targets[r] if kind == MOVE else exits[with_[r], 1] if kind == TO_POP else entries[calls[with_[r], 1]]
    before, after = np.full((length + 1, states), -np.inf), np.full((length + 1, states), -np.inf)
    before[0, 0] = 0.0
    after[length, states - 1] = 0.0
    for j in range(length + 1):
        row = before[j]
        for x in range(states - 1, -1, -1):  # what is left of an effect leads to a smaller number, or to the end
            if step[x] != MOVE and row[x] > -np.inf:
                t = exits[step_with[x], 1] if step[x] == TO_POP else entries[calls[step_with[x], 1]]
                row[t] = _plus(mode, row[t], row[x])
        for x in range(states):
            if j < length and row[x] > -np.inf:
                for r in range(offsets[x], offsets[x + 1]):
                    before[j + 1, to[r]] = _plus(mode, before[j + 1, to[r]], row[x] + weights[j, labels[r]])
    for j in range(length, -1, -1):
        row = after[j]
        if j < length:
            for x in range(states):
                for r in range(offsets[x], offsets[x + 1]):
                    row[x] = _plus(mode, row[x], weights[j, labels[r]] + after[j + 1, to[r]])
        for x in range(states):
            if step[x] != MOVE:
                row[x] = row[exits[step_with[x], 1] if step[x] == TO_POP else entries[calls[step_with[x], 1]]]
    for j in range(length + 1):
        for x in range(states):
            after[j, x] += before[j, x]
    return after


class Values(NamedTuple):
    """Log-weights over levels, -inf where there is nothing: item[boundary, state, level], exit[boundary, exit, level] and
    call[level, frame, caller]."""

    item: np.ndarray
    exit: np.ndarray
    call: np.ndarray


@kernel
def _raise(mode, out, row, weight, size):
    """out = out ⊕ row ⊗ weight."""
    if mode == MAX:
        for k in range(size):
            out[k] = max(out[k], row[k] + weight)
        return
    for k in range(size):
        a, b = out[k], row[k] + weight
        if b > a:
            a, b = b, a
        if b > a - 40.0:
            a += np.log1p(np.exp(b - a))
        out[k] = a


@kernel
def inside(system, levels, weights, mode):
    """The weight of every item, exit and call from the beginning of its level (of a call: of the caller's)."""
    offsets, labels, kinds, targets, with_, step, step_with, calls, exits, entries, frames = system
    popping = _popping(step)
    length, states, count = len(weights), len(step), len(levels.boundary)
    item = np.full((length + 1, states, count), -np.inf)
    exit_ = np.full((length + 1, len(exits), count), -np.inf)
    call = np.full((count, frames, count), -np.inf)
    past = np.zeros((count, frames), np.int64)  # behind the last caller
    some = np.zeros(states, np.int64)  # behind the last level with an item
    item[0, 0, 0] = 0.0
    for j in range(length + 1):
        here, row, leaving = levels.first[j] if j else 1, item[j], exit_[j]
        for level in range(here - 1, -1, -1):
            for x in popping:
                if row[x, level] > -np.inf:
                    p = step_with[x]
                    leaving[p, level] = _plus(mode, leaving[p, level], row[x, level])
            for p in range(len(exits)):
                if leaving[p, level] > -np.inf:
                    _raise(
                        mode, row[exits[p, 1]], call[level, exits[p, 0]], leaving[p, level], past[level, exits[p, 0]]
                    )
        now = levels.first[j + 1]
        for level in range(here, now):
            row[entries[levels.entry[level]], level] = 0.0
        for x in range(states):
            some[x] = now
            while some[x] > 0 and row[x, some[x] - 1] == -np.inf:
                some[x] -= 1
            if some[x] > 0 and step[x] == TO_PUSH:
                level, w = levels.number[j, calls[step_with[x], 1]], calls[step_with[x], 0]
                if level >= 0:
                    size = min(some[x], np.int64(level))
                    _raise(mode, call[level, w], row[x], 0.0, size)
                    past[level, w] = max(past[level, w], size)
        if j == length:
            break
        for x in range(states):
            if some[x] == 0:
                continue
            for r in range(offsets[x], offsets[x + 1]):
                weight = weights[j, labels[r]]
                if weight == -np.inf:
                    continue
                if kinds[r] == MOVE:
                    _raise(mode, item[j + 1, targets[r]], row[x], weight, some[x])
                elif kinds[r] == TO_POP:
                    _raise(mode, exit_[j + 1, with_[r]], row[x], weight, some[x])
                else:
                    level, w = levels.number[j + 1, calls[with_[r], 1]], calls[with_[r], 0]
                    if level >= 0:
                        _raise(mode, call[level, w], row[x], weight, some[x])
                        past[level, w] = max(past[level, w], some[x])
    return Values(item, exit_, call)


@kernel
def _share(whole, probability, row_value, row_probability, k, weight):
    """Give row_probability[k] its share of the probability of something that it is a part of; return the share."""
    x = row_value[k] + weight - whole
    share = probability * np.exp(x) if x > -745.0 else 0.0
    row_probability[k] += share
    return share


@kernel
def outside(system, levels, weights, values):
    """The probability of each label at each position, float64[N, labels], backwards over the sums of `inside`.

    What an item's probability is made of is shared out among the steps that led to it, in proportion to their weights.
    """
    offsets, labels, kinds, targets, with_, step, step_with, calls, exits, entries, frames = system
    popping = _popping(step)
    length, states, count = len(weights), len(step), len(levels.boundary)
    item, exit_, call = values
    posterior = np.zeros(weights.shape)
    here, before = np.zeros((states, count)), np.zeros((states, count))
    leaving = np.zeros((len(exits), count))
    calling = np.zeros(call.shape)
    here[states - 1, 0] = 1.0
    for j in range(length, -1, -1):
        old = levels.first[j] if j else 1
        row = item[j]
        for x in range(states):  # what pushed by itself
            if step[x] == TO_PUSH:
                level = levels.number[j, calls[step_with[x], 1]]
                if level >= 0:
                    w = calls[step_with[x], 0]
                    for m in range(level):
                        if calling[level, w, m] > 0.0:
                            _share(call[level, w, m], calling[level, w, m], row[x], here[x], m, 0.0)
        for level in range(old):
            for p in range(len(exits)):
                leaving[p, level] = 0.0
                out = exit_[j, p, level]
                if out == -np.inf:
                    continue
                x, w = exits[p, 1], exits[p, 0]
                for m in range(level):
                    if here[x, m] > 0.0 and call[level, w, m] > -np.inf:
                        leaving[p, level] += _share(row[x, m], here[x, m], call[level, w], calling[level, w], m, out)
            for x in popping:
                if row[x, level] > -np.inf:
                    p = step_with[x]
                    if leaving[p, level] > 0.0:
                        _share(exit_[j, p, level], leaving[p, level], row[x], here[x], level, 0.0)
        if j == 0:
            break
        for x in range(states):
            for k in range(old):
                before[x, k] = 0.0
        for x in range(states):
            for r in range(offsets[x], offsets[x + 1]):
                weight = weights[j - 1, labels[r]]
                if weight == -np.inf:
                    continue
                total = 0.0
                if kinds[r] == TO_PUSH:
                    level = levels.number[j, calls[with_[r], 1]]
                    if level < 0:
                        continue
                    w = calls[with_[r], 0]
                    for m in range(old):
                        if calling[level, w, m] > 0.0:
                            total += _share(
                                call[level, w, m], calling[level, w, m], item[j - 1, x], before[x], m, weight
                            )
                elif kinds[r] == MOVE:
                    t = targets[r]
                    for m in range(old):
                        if here[t, m] > 0.0:
                            total += _share(row[t, m], here[t, m], item[j - 1, x], before[x], m, weight)
                else:
                    p = with_[r]
                    for m in range(old):
                        if leaving[p, m] > 0.0:
                            total += _share(exit_[j, p, m], leaving[p, m], item[j - 1, x], before[x], m, weight)
                posterior[j - 1, labels[r]] += total
        here, before = before, here
    return posterior


@kernel
def _noise(seed, draws):
    """Gumbel noise: the largest of several perturbed log-weights is a draw in proportion to the weights."""
    draws[0] += 1
    u = (np.float64(mix(np.int64(np.uint64(seed) + np.uint64(draws[0]))) >> np.uint64(11)) + 0.5) / 2.0**53
    return -np.log(-np.log(u))


@kernel
def trace(system, levels, weights, values, seed):
    """A text, from its end to its beginning: the label at each position, int32[N]. seed 0: the best one, over values of
    MAX; otherwise a draw, over those of SUM."""
    offsets, labels, kinds, targets, with_, step, step_with, calls, exits, entries, frames = system
    length, states, count = len(weights), len(step), len(levels.boundary)
    item, exit_, call = values
    draws = np.zeros(1, np.int64)
    path = np.empty(length, np.int32)
    owed = np.empty(
        (count + 1, 3), np.int64
    )  # a level, the frame under it, the caller: how it was called is to be found
    owing = 0
    j, level, x = np.int64(length), np.int64(0), np.int64(states - 1)
    while j > 0 or owing > 0:
        if x == entries[levels.entry[level]] and levels.boundary[level] == j and level > 0:
            owing -= 1  # the level's beginning: find what pushed
            called, w, level = owed[owing, 0], owed[owing, 1], owed[owing, 2]
            top, choice, by_itself = -np.inf, np.int64(-1), np.int64(-1)
            for y in range(states):
                if step[y] == TO_PUSH and item[j, y, level] > -np.inf:
                    c = step_with[y]
                    if calls[c, 0] == w and levels.number[j, calls[c, 1]] == called:
                        v = item[j, y, level] + (_noise(seed, draws) if seed else 0.0)
                        if v > top:
                            top, by_itself, choice = v, np.int64(y), np.int64(-1)
                for r in range(offsets[y], offsets[y + 1]):
                    if kinds[r] == TO_PUSH and j > 0:
                        c = with_[r]
                        if calls[c, 0] == w and levels.number[j, calls[c, 1]] == called:
                            v = item[j - 1, y, level] + weights[j - 1, labels[r]]
                            if v > -np.inf:
                                v += _noise(seed, draws) if seed else 0.0
                                if v > top:
                                    top, choice, by_itself = v, np.int64(r), np.int64(y)
            x = by_itself
            if choice >= 0:
                j -= 1
                path[j] = labels[choice]
            continue
        # How the item came about: by a token inside the level, or by an exit from a level that it called.
        top, choice, source, exit_by, inner = -np.inf, np.int64(-1), np.int64(-1), np.int64(-1), np.int64(-1)
        for y in range(states):
            for r in range(offsets[y], offsets[y + 1]):
                if kinds[r] == MOVE and targets[r] == x:
                    v = item[j - 1, y, level] + weights[j - 1, labels[r]]
                    if v > -np.inf:
                        v += _noise(seed, draws) if seed else 0.0
                        if v > top:
                            top, choice, source, exit_by = v, np.int64(r), np.int64(y), np.int64(-1)
        for p in range(len(exits)):
            if exits[p, 1] == x:
                for k in range(level + 1, count):
                    v = exit_[j, p, k] + call[k, exits[p, 0], level]
                    if v > -np.inf:
                        v += _noise(seed, draws) if seed else 0.0
                        if v > top:
                            top, exit_by, inner = v, np.int64(p), np.int64(k)
        if exit_by < 0:
            j -= 1
            path[j] = labels[choice]
            x = source
            continue
        owed[owing, 0], owed[owing, 1], owed[owing, 2] = inner, exits[exit_by, 0], level
        owing += 1
        level = inner
        top, choice, source = -np.inf, np.int64(-1), np.int64(-1)
        for y in range(states):
            if step[y] == TO_POP and step_with[y] == exit_by and item[j, y, level] > -np.inf:
                v = item[j, y, level] + (_noise(seed, draws) if seed else 0.0)
                if v > top:
                    top, source, choice = v, np.int64(y), np.int64(-1)
            for r in range(offsets[y], offsets[y + 1]):
                if kinds[r] == TO_POP and with_[r] == exit_by:
                    v = item[j - 1, y, level] + weights[j - 1, labels[r]]
                    if v > -np.inf:
                        v += _noise(seed, draws) if seed else 0.0
                        if v > top:
                            top, choice, source = v, np.int64(r), np.int64(y)
        x = source
        if choice >= 0:
            j -= 1
            path[j] = labels[choice]
    return path
