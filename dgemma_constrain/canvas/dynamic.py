"""The dynamic program over (position × state), once for each semiring.

A canvas of L tokens is a layered graph: states at boundary i, and between boundaries i and i+1 one arc for each
transition of the token automaton. Valid canvases are the paths from the start to a final state, and a path weighs the
product of its emissions. So (boolean, max, sum) over paths answer (possible? best? how probable?), each by one sweep:
Bellman 1957 for max, the forward-backward algorithm (Baum et al. 1970) for sums, forward-filtering backward-sampling
read in the other direction for samples.

Only boundary states that are reachable *and* co-reachable are kept ("live"): `bounds` int64[L+2] and `live` int32[n],
the live states at boundary i being live[bounds[i]:bounds[i+1]]. Values of boundary states are stored in that order.

`emission` float64[L, K]: log-weight of each class at each position, -inf where a pin forbids it.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import grown, kernel

FREE = -2  # in `pins`: the position is not pinned
SMALLEST = 1e-250  # below this a probability has lost digits, and the sweep is repeated with logarithms


@kernel
def live_states(offsets, symbols, targets, start, final, pins, wild):
    """The boolean semiring. Returns (bounds, live, used): `used` bool[L, K+1] says which classes lie on a valid path.

    pins int32[L]: the class pinned at each position, or FREE; the class `wild` is not touched by pins.
    """
    length = len(pins)
    states = len(final)
    bounds = np.zeros(length + 2, np.int64)
    live = np.empty(4 * length + 16, np.int32)
    mark = np.full(states, -1, np.int32)
    live[0] = start
    count = 1
    bounds[1] = 1
    for i in range(length):
        for k in range(bounds[i], bounds[i + 1]):
            s = live[k]
            for e in range(offsets[s], offsets[s + 1]):
                c = symbols[e]
                t = targets[e]
                if mark[t] != i and (pins[i] == FREE or c == pins[i] or c == wild):
                    mark[t] = i
                    live = grown(live, count + 1)
                    live[count] = t
                    count += 1
        bounds[i + 2] = count
    # Backwards: keep what can still end well, compacting from the right into `kept`.
    used = np.zeros((length, wild + 1), np.bool_)
    kept = np.empty(count, np.int32)
    at = count
    new_bounds = np.empty(length + 2, np.int64)
    new_bounds[length + 1] = count
    mark[:] = -1
    for k in range(bounds[length + 1] - 1, bounds[length] - 1, -1):
        if final[live[k]]:
            mark[live[k]] = length
            at -= 1
            kept[at] = live[k]
    new_bounds[length] = at
    for i in range(length - 1, -1, -1):
        for k in range(bounds[i + 1] - 1, bounds[i] - 1, -1):
            s = live[k]
            alive = False
            for e in range(offsets[s], offsets[s + 1]):
                c = symbols[e]
                if mark[targets[e]] == i + 1 and (pins[i] == FREE or c == pins[i] or c == wild):
                    used[i, c] = True
                    alive = True
            if alive:
                at -= 1
                kept[at] = s
        new_bounds[i] = at
        for k in range(at, new_bounds[i + 1]):
            mark[kept[k]] = i
    return new_bounds - at, kept[at:].copy(), used


@kernel
def max_sweep(offsets, symbols, targets, bounds, live, emission, states):
    """The max-plus semiring, backwards: the best log-weight from every live boundary state to the end."""
    length = len(emission)
    value = np.empty(len(live))
    following = np.full(states, -np.inf)
    for k in range(bounds[length], bounds[length + 1]):
        value[k] = 0.0
        following[live[k]] = 0.0
    for i in range(length - 1, -1, -1):
        row = emission[i]
        for k in range(bounds[i], bounds[i + 1]):
            best = -np.inf
            for e in range(offsets[live[k]], offsets[live[k] + 1]):
                v = row[symbols[e]] + following[targets[e]]
                if v > best:
                    best = v
            value[k] = best
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = -np.inf
        for k in range(bounds[i], bounds[i + 1]):
            following[live[k]] = value[k]
    return value


@kernel
def best_path(offsets, symbols, targets, bounds, live, emission, states, value, start):
    """Follow the maximum from the start: the class at each position, int32[L]."""
    length = len(emission)
    path = np.empty(length, np.int32)
    following = np.full(states, -np.inf)
    s = start
    for i in range(length):
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = value[k]
        best = -np.inf
        choice = offsets[s]
        for e in range(offsets[s], offsets[s + 1]):
            v = emission[i, symbols[e]] + following[targets[e]]
            if v > best:
                best = v
                choice = e
        path[i] = symbols[choice]
        s = targets[choice]
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = -np.inf
    return path


@kernel
def sum_sweep(offsets, symbols, targets, bounds, live, emission, states):
    """The sum-product semiring, backwards, in probabilities scaled at each boundary.

    Returns (value, scales, exact): value[k]·exp(Σ scales of the boundaries from there on) is the weight of everything
    after live state k. `exact` is False where a live value came out so small that it may have lost digits.
    """
    length = len(emission)
    value = np.empty(len(live))
    following = np.zeros(states)
    scales = np.zeros(length + 1)
    exact = True
    for k in range(bounds[length], bounds[length + 1]):
        value[k] = 1.0
        following[live[k]] = 1.0
    weight = np.empty(emission.shape[1])
    for i in range(length - 1, -1, -1):
        top = emission[i].max()
        for c in range(len(weight)):
            weight[c] = np.exp(emission[i, c] - top)
        largest = 0.0
        for k in range(bounds[i], bounds[i + 1]):
            total = 0.0
            for e in range(offsets[live[k]], offsets[live[k] + 1]):
                total += weight[symbols[e]] * following[targets[e]]
            value[k] = total
            largest = max(largest, total)
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = 0.0
        if not largest > 0.0:
            return value, scales, False
        for k in range(bounds[i], bounds[i + 1]):
            value[k] /= largest
            following[live[k]] = value[k]
            exact = exact and value[k] > SMALLEST
        scales[i] = top + np.log(largest)
    return value, scales, exact


@kernel
def log_sum_sweep(offsets, symbols, targets, bounds, live, emission, states):
    """The same in logarithms: slower, and exact at any range. Returns log-weights."""
    length = len(emission)
    value = np.empty(len(live))
    following = np.full(states, -np.inf)
    for k in range(bounds[length], bounds[length + 1]):
        value[k] = 0.0
        following[live[k]] = 0.0
    for i in range(length - 1, -1, -1):
        for k in range(bounds[i], bounds[i + 1]):
            top = -np.inf
            for e in range(offsets[live[k]], offsets[live[k] + 1]):
                top = max(top, emission[i, symbols[e]] + following[targets[e]])
            total = 0.0
            if top > -np.inf:
                for e in range(offsets[live[k]], offsets[live[k] + 1]):
                    total += np.exp(emission[i, symbols[e]] + following[targets[e]] - top)
            value[k] = top + np.log(total) if total > 0.0 else -np.inf
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = -np.inf
        for k in range(bounds[i], bounds[i + 1]):
            following[live[k]] = value[k]
    return value


@kernel
def sampled_path(offsets, symbols, targets, bounds, live, emission, states, value, uniform, start):
    """Draw a path forwards, each arc in proportion to all that can follow it: a joint sample of the classes, int32[L].

    value: log-weights of the live states; uniform float64[L] in [0, 1).
    """
    length = len(emission)
    path = np.empty(length, np.int32)
    following = np.full(states, -np.inf)
    s = start
    for i in range(length):
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = value[k]
        top = -np.inf
        for e in range(offsets[s], offsets[s + 1]):
            top = max(top, emission[i, symbols[e]] + following[targets[e]])
        total = 0.0
        for e in range(offsets[s], offsets[s + 1]):
            total += np.exp(emission[i, symbols[e]] + following[targets[e]] - top)
        left = uniform[i] * total
        choice = np.int64(-1)
        for e in range(offsets[s], offsets[s + 1]):
            w = np.exp(emission[i, symbols[e]] + following[targets[e]] - top)
            if w > 0.0:
                choice = e
                left -= w
                if left < 0.0:
                    break
        path[i] = symbols[choice]
        s = targets[choice]
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = -np.inf
    return path


@kernel
def posteriors(offsets, symbols, targets, bounds, live, emission, states, value, start):
    """Forwards over the backward values of `sum_sweep`: (posterior float64[L, K], exact).

    posterior[i, c] is the probability that position i holds class c; each row sums to 1.
    """
    length, classes = emission.shape
    posterior = np.zeros((length, classes))
    forward = np.zeros(states)
    following = np.zeros(states)
    forward[start] = 1.0
    weight = np.empty(classes)
    exact = True
    for i in range(length):
        top = emission[i].max()
        for c in range(classes):
            weight[c] = np.exp(emission[i, c] - top)
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = value[k]
        reached = np.zeros(bounds[i + 2] - bounds[i + 1])
        total = 0.0
        for k in range(bounds[i], bounds[i + 1]):
            a = forward[live[k]]
            exact = exact and a > SMALLEST
            for e in range(offsets[live[k]], offsets[live[k] + 1]):
                p = a * weight[symbols[e]] * following[targets[e]]
                posterior[i, symbols[e]] += p
                total += p
        if not total > SMALLEST:
            return posterior, False
        for c in range(classes):
            posterior[i, c] /= total
        # Step forward: collect in `following`, which is dense, then hand over.
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = 0.0
        largest = 0.0
        for k in range(bounds[i], bounds[i + 1]):
            a = forward[live[k]]
            for e in range(offsets[live[k]], offsets[live[k] + 1]):
                following[targets[e]] += a * weight[symbols[e]]
        for k in range(bounds[i], bounds[i + 1]):
            forward[live[k]] = 0.0
        for k in range(bounds[i + 1], bounds[i + 2]):
            largest = max(largest, following[live[k]])
        for k in range(len(reached)):
            reached[k] = following[live[bounds[i + 1] + k]] / largest
        following[:] = 0.0
        for k in range(len(reached)):
            forward[live[bounds[i + 1] + k]] = reached[k]
    return posterior, exact


@kernel
def log_posteriors(offsets, symbols, targets, bounds, live, emission, states, value, start):
    """`posteriors` in logarithms, over the values of `log_sum_sweep`: log-probabilities, float64[L, K]."""
    length, classes = emission.shape
    posterior = np.full((length, classes), -np.inf)
    forward = np.full(states, -np.inf)
    forward[start] = 0.0
    for i in range(length):
        following = np.full(states, -np.inf)
        reached = np.full(states, -np.inf)
        for k in range(bounds[i + 1], bounds[i + 2]):
            following[live[k]] = value[k]
        for k in range(bounds[i], bounds[i + 1]):
            for e in range(offsets[live[k]], offsets[live[k] + 1]):
                c, t = symbols[e], targets[e]
                w = forward[live[k]] + emission[i, c]
                if w > -np.inf and following[t] > -np.inf:
                    posterior[i, c] = _log_add(posterior[i, c], w + following[t])
                    reached[t] = _log_add(reached[t], w)
        top = posterior[i].max()
        total = np.log(np.exp(posterior[i] - top).sum()) + top
        posterior[i] -= total
        forward = reached
    return posterior


@kernel
def _log_add(a, b):
    if a < b:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))
