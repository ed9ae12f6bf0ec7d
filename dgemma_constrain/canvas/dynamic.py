"""The dynamic program over (position × state), once for each semiring; that of sums is in `sums`.

A canvas of L tokens is a layered graph: states at boundary i, and between boundaries i and i+1 one arc for each
arc of the graph. Valid canvases are the paths from the start to a final state, and a path weighs the
product of its emissions. So (boolean, max, sum) over paths answer (possible? best? how probable?), each by one sweep:
Bellman 1957 for max, the forward-backward algorithm (Baum et al. 1970) for sums, forward-filtering backward-sampling
read in the other direction for samples.

Only boundary states that are reachable *and* co-reachable are kept ("live"): `bounds` int64[L+2] and `live` int32[n],
the live states at boundary i being live[bounds[i]:bounds[i+1]]. Values of boundary states are stored in that order.

`offsets`, `symbols`, `targets` are the graph's arcs in rows; symbols are labels, sets of classes (see `arcs`).
`emission` float64[L, N]: log-weight of each label at each position, -inf where a pin forbids it.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import grown, kernel

FREE = -2  # in `pins`: the position is not pinned
FEW = 8  # it pays to go through the arcs of live states where these are fewer than an eighth of all


@kernel
def _open_labels(by_class, pin, wild, open_):
    """Which labels hold the pinned class, or the wild one, and that of arcs to joints: uint8[N+1]."""
    offsets, labels = by_class
    for k in range(len(open_)):
        open_[k] = 0
    if pin >= 0:
        for j in range(offsets[pin], offsets[pin + 1]):
            open_[labels[j]] = 1
    for j in range(offsets[wild], offsets[wild + 1]):
        open_[labels[j]] = 1
    open_[len(open_) - 1] = 1


@kernel
def _same(states, bounds, i, j):
    """Whether the states at boundary i are those at boundary j."""
    size = bounds[i + 1] - bounds[i]
    if size != bounds[j + 1] - bounds[j]:
        return False
    for k in range(size):
        if states[bounds[i] + k] != states[bounds[j] + k]:
            return False
    return True


@kernel
def _leads_on(arcs, row, free, open_, good):
    """Whether an open arc of a row leads to what is good."""
    offsets, symbols, targets, nothing = arcs
    for e in range(offsets[row + 1] - 1, offsets[row] - 1, -1):
        if good[targets[e]] and (free or open_[symbols[e]]):
            return True
    return False


@kernel
def live_states(arcs, by_class, start, final, pins, wild):
    """The boolean semiring: which boundary states lie on a valid path. Returns (bounds, live).

    arcs: with joints, see `arcs.factor`. by_class: the labels that hold each class. pins int32[L]: the class pinned at
    each position, or FREE; the class `wild` is not touched by pins. The forward loops have no branches, so that a position
    costs about a nanosecond an arc. Where a free position leads from a set of states to the same set, so does the next one:
    most free positions of a long canvas are copies.
    """
    offsets, symbols, targets, nothing = arcs
    length = len(pins)
    states, rows = len(final), len(offsets) - 1
    bounds = np.zeros(length + 2, np.int64)
    live = np.empty(states + 16, np.int32)
    reached = np.zeros(rows, np.uint8)
    open_ = np.ones(nothing + 1, np.uint8)
    live[0] = start
    count = 1
    bounds[1] = 1
    for i in range(length):
        live = grown(live, count + states)
        free = pins[i] == FREE
        if free and i > 0 and pins[i - 1] == FREE and _same(live, bounds, i - 1, i):
            for k in range(bounds[i], bounds[i + 1]):
                live[count] = live[k]
                count += 1
            bounds[i + 2] = count
            continue
        if not free:
            _open_labels(by_class, pins[i], wild, open_)
        for k in range(bounds[i], bounds[i + 1]):
            first, last = offsets[live[k]], offsets[live[k] + 1]
            if free:
                for e in range(first, last):
                    reached[targets[e]] = 1
            else:
                for e in range(first, last):
                    reached[targets[e]] |= open_[symbols[e]]
        for joint in range(states, rows):
            if reached[joint]:
                reached[joint] = 0
                for e in range(offsets[joint], offsets[joint + 1]):
                    reached[targets[e]] |= np.uint8(free) | open_[symbols[e]]
        for s in range(states):
            live[count] = s
            count += reached[s]
            reached[s] = 0
        bounds[i + 2] = count
    # Backwards: keep what can still end well, compacting from the right into `kept`.
    kept = np.empty(count, np.int32)
    at = count
    new_bounds = np.empty(length + 2, np.int64)
    new_bounds[length + 1] = count
    good = reached  # all zero again
    asked = np.full(rows, -1, np.int64)  # the position for which a joint is known to be good or not
    for k in range(bounds[length + 1] - 1, bounds[length] - 1, -1):
        if final[live[k]]:
            good[live[k]] = 1
            at -= 1
            kept[at] = live[k]
    new_bounds[length] = at
    for i in range(length - 1, -1, -1):
        free = pins[i] == FREE
        if (
            i < length - 1 and free and pins[i + 1] == FREE
            and _same(kept, new_bounds, i + 1, i + 2) and _same(live, bounds, i, i + 1)
        ):  # fmt: skip
            for k in range(new_bounds[i + 2] - 1, new_bounds[i + 1] - 1, -1):
                at -= 1
                kept[at] = kept[k]
            new_bounds[i] = at
            continue
        if not free:
            _open_labels(by_class, pins[i], wild, open_)
        for k in range(bounds[i + 1] - 1, bounds[i] - 1, -1):
            for e in range(offsets[live[k] + 1] - 1, offsets[live[k]] - 1, -1):
                t = targets[e]
                if t >= states and asked[t] != i:
                    asked[t], good[t] = i, _leads_on(arcs, t, free, open_, good)
                if good[t] and (free or open_[symbols[e]]):
                    at -= 1
                    kept[at] = live[k]
                    break
        new_bounds[i] = at
        for k in range(new_bounds[i + 1], new_bounds[i + 2]):
            good[kept[k]] = 0
        for k in range(at, new_bounds[i + 1]):
            good[kept[k]] = 1
    return new_bounds - at, kept[at:].copy()


@kernel
def _joins(by_label, label, here, there, witness):
    """Whether an arc of a label joins live states; the one that did so last nearly always does again."""
    offsets, sources, targets = by_label
    e = witness[label]
    if here[sources[e]] and there[targets[e]]:
        return True
    for e in range(offsets[label], offsets[label + 1]):
        if here[sources[e]] and there[targets[e]]:
            witness[label] = e
            return True
    return False


@kernel
def used_classes(arcs, by_label, by_class, bounds, live, pins, wild):
    """bool[L, K+1]: the classes that lie on a valid path at each position.

    arcs: without joints; the same ones of each label, see `Graph.by_label`, and the labels that hold each class. One label
    between live states will do for a class, and that of the position before it nearly always does again, so that a position
    costs as much as there are classes, not arcs. Where few arcs leave live states, these are gone through instead.
    """
    offsets, symbols, targets = arcs
    class_offsets, class_labels = by_class
    length, states, labels = len(pins), len(offsets) - 1, len(by_label[0]) - 1
    used = np.zeros((length, wild + 1), np.bool_)
    here, there = np.zeros(states, np.bool_), np.zeros(states, np.bool_)
    witness = by_label[0][:-1].copy()
    asked, held = np.full(labels, -1, np.int64), np.zeros(labels, np.bool_)  # of each label: the position, the answer
    first = class_offsets[:-1].copy()  # of each class: the place of the label that held it last
    marked = 0  # the boundary whose states `here` holds
    for k in range(bounds[0], bounds[1]):
        here[live[k]] = True
    for i in range(length):
        if (
            i > 0 and pins[i] == FREE and pins[i - 1] == FREE
            and _same(live, bounds, i - 1, i) and _same(live, bounds, i, i + 1)
        ):  # fmt: skip
            for c in range(wild + 1):
                used[i, c] = used[i - 1, c]
            continue
        if marked != i:
            for k in range(bounds[marked], bounds[marked + 1]):
                here[live[k]] = False
            for k in range(bounds[i], bounds[i + 1]):
                here[live[k]] = True
        for k in range(bounds[i + 1], bounds[i + 2]):
            there[live[k]] = True
        leaving = 0
        for k in range(bounds[i], bounds[i + 1]):
            leaving += offsets[live[k] + 1] - offsets[live[k]]
        if FEW * leaving < len(symbols):
            for label in range(labels):
                asked[label], held[label] = i, False
            for k in range(bounds[i], bounds[i + 1]):
                for e in range(offsets[live[k]], offsets[live[k] + 1]):
                    held[symbols[e]] |= there[targets[e]]
        for c in range(wild + 1):
            if pins[i] != FREE and c != pins[i] and c != wild:
                continue
            j, n = first[c], class_offsets[c + 1] - class_offsets[c]
            for _ in range(n):
                label = class_labels[j]
                if asked[label] != i:
                    asked[label], held[label] = i, _joins(by_label, label, here, there, witness)
                if held[label]:
                    used[i, c] = True
                    first[c] = j
                    break
                j = j + 1 if j + 1 < class_offsets[c + 1] else class_offsets[c]
        for k in range(bounds[i], bounds[i + 1]):
            here[live[k]] = False
        here, there, marked = there, here, i + 1
    return used


@kernel
def _best_arc(row, following, symbols, targets, first, past):
    """The largest row[symbol] + following[target] of a row of arcs: four at a time, since a maximum waits for the last."""
    a = b = c = d = -np.inf
    e = first
    while e + 3 < past:
        a = max(a, row[symbols[e]] + following[targets[e]])
        b = max(b, row[symbols[e + 1]] + following[targets[e + 1]])
        c = max(c, row[symbols[e + 2]] + following[targets[e + 2]])
        d = max(d, row[symbols[e + 3]] + following[targets[e + 3]])
        e += 4
    while e < past:
        a = max(a, row[symbols[e]] + following[targets[e]])
        e += 1
    return max(max(a, b), max(c, d))


@kernel
def max_sweep(arcs, bounds, live, emission, states):
    """The max-plus semiring, backwards: the best log-weight from every live boundary state to the end. arcs: with joints."""
    offsets, symbols, targets, nothing = arcs
    length, rows = len(emission), len(offsets) - 1
    value = np.empty(len(live))
    following = np.full(rows, -np.inf)
    row = np.zeros(nothing + 1)
    for k in range(bounds[length], bounds[length + 1]):
        value[k] = 0.0
        following[live[k]] = 0.0
    for i in range(length - 1, -1, -1):
        for k in range(nothing):
            row[k] = emission[i, k]
        for joint in range(states, rows):
            following[joint] = _best_arc(row, following, symbols, targets, offsets[joint], offsets[joint + 1])
        for k in range(bounds[i], bounds[i + 1]):
            value[k] = _best_arc(row, following, symbols, targets, offsets[live[k]], offsets[live[k] + 1])
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = -np.inf
        for k in range(bounds[i], bounds[i + 1]):
            following[live[k]] = value[k]
    return value


@kernel
def put_values(bounds, live, value, i, following):
    """From the values of boundary i to those of boundary i + 1, in place: `following` float64[S]."""
    for k in range(bounds[i], bounds[i + 1]):
        following[live[k]] = -np.inf
    for k in range(bounds[i + 1], bounds[i + 2]):
        following[live[k]] = value[k]


@kernel
def best_path(offsets, symbols, targets, bounds, live, emission, states, value, start):
    """Follow the maximum from the start: the label at each position, int32[L]."""
    length = len(emission)
    path = np.empty(length, np.int32)
    following = np.full(states, -np.inf)
    s = start
    for i in range(length):
        put_values(bounds, live, value, i, following)
        best = -np.inf
        choice = offsets[s]
        for e in range(offsets[s], offsets[s + 1]):
            v = emission[i, symbols[e]] + following[targets[e]]
            if v > best:
                best = v
                choice = e
        path[i] = symbols[choice]
        s = targets[choice]
    return path
