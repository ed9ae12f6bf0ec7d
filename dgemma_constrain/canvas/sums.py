"""The sum-product semiring of the dynamic program (see `dynamic`, whose arrays these are): sums, posteriors, samples.

Weights are sums over exponentially many paths, so numbers carry an exponent beside them, see `_wide`.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.canvas.dynamic import put_values

STEP = 256 * np.log(2.0)  # the logarithm of one power in `_wide`
NEVER = -(2**28)  # the power of zero


@kernel
def _wide(x, k, digits, power):
    """Write e^x at index k of two arrays, as digits · 2^(256·power) with digits in [1, 2^256); zero for -inf.

    A double's exponent is too short for the weight of a canvas: under a length bound the likely beginnings and the
    likely ends need not be the same states, and what joins them can weigh 1e-500 of either. With an exponent beside each
    number sums need no logarithm, and nothing underflows.
    """
    if x == -np.inf:
        digits[k] = 0.0
        power[k] = NEVER
    else:
        power[k] = np.floor(x / STEP)
        digits[k] = np.exp(x - power[k] * STEP)


@kernel
def sum_sweep(offsets, symbols, targets, bounds, live, emission, states):
    """The sum-product semiring, backwards: the log of the summed weight from every live boundary state to the end."""
    length, classes = emission.shape
    value = np.empty(len(live))
    digits, power = np.zeros(states), np.full(states, NEVER, np.int32)
    weight, weight_power = np.empty(classes), np.empty(classes, np.int32)
    for k in range(bounds[length], bounds[length + 1]):
        value[k] = 0.0
        _wide(0.0, np.int64(live[k]), digits, power)
    for i in range(length - 1, -1, -1):
        for c in range(classes):
            _wide(emission[i, c], np.int64(c), weight, weight_power)
        for k in range(bounds[i], bounds[i + 1]):
            first, last = offsets[live[k]], offsets[live[k] + 1]
            top = 2 * NEVER
            for e in range(first, last):
                top = max(top, weight_power[symbols[e]] + power[targets[e]])
            total = 0.0
            for e in range(first, last):
                below = top - (weight_power[symbols[e]] + power[targets[e]])
                if below < 3:
                    total += _lowered(weight[symbols[e]] * digits[targets[e]], below)
            value[k] = np.log(total) + top * STEP if total > 0.0 else -np.inf
        for k in range(bounds[i + 1], bounds[i + 2]):
            digits[live[k]] = 0.0
            power[live[k]] = NEVER
        for k in range(bounds[i], bounds[i + 1]):
            _wide(value[k], np.int64(live[k]), digits, power)
    return value


@kernel
def _lowered(x, powers):
    """x · 2^(-256·powers), or nothing where that is no part of a sum with a number of power zero."""
    return x if powers == 0 else x * 2.0**-256 if powers == 1 else x * 2.0**-512 if powers == 2 else 0.0


@kernel
def posteriors(offsets, symbols, targets, bounds, live, emission, states, value, start):
    """The probability of label k at position i, float64[L, N], forwards over the values of `sum_sweep`.

    Given what lies behind a state, an arc out of it has the conditional probability weight · value(target) / value(state),
    so plain probabilities run forward: the forward pass needs no weights of its own, and what underflows is below 1e-300.
    """
    length, classes = emission.shape
    posterior = np.zeros((length, classes))
    weight, weight_power = np.empty(classes), np.empty(classes, np.int32)
    after, after_power = np.zeros(states), np.full(states, NEVER, np.int32)
    here, here_power = np.zeros(1), np.zeros(1, np.int32)
    probability, reached = np.zeros(states), np.zeros(states)
    probability[start] = 1.0
    for i in range(length):
        for c in range(classes):
            _wide(emission[i, c], np.int64(c), weight, weight_power)
        for k in range(bounds[i + 1], bounds[i + 2]):
            _wide(value[k], np.int64(live[k]), after, after_power)
        row = posterior[i]
        for k in range(bounds[i], bounds[i + 1]):
            s = live[k]
            if probability[s] > 0.0:
                _wide(value[k], np.int64(0), here, here_power)
                share = probability[s] / here[0]
                for e in range(offsets[s], offsets[s + 1]):
                    c, t = symbols[e], targets[e]
                    below = here_power[0] - (weight_power[c] + after_power[t])
                    if below < 3:
                        x = share * weight[c] * after[t]
                        x = _lowered(x, below) if below >= 0 else x * 2.0**256
                        row[c] += x
                        reached[t] += x
                probability[s] = 0.0
        for k in range(bounds[i + 1], bounds[i + 2]):
            s = live[k]
            after[s], after_power[s] = 0.0, NEVER
            probability[s], reached[s] = reached[s], 0.0
    return posterior


@kernel
def sampled_path(offsets, symbols, targets, bounds, live, emission, states, value, uniform, start):
    """Draw a path forwards, each arc in proportion to all that can follow it: a joint sample of the labels, int32[L].

    value: log-weights of the live states; uniform float64[L] in [0, 1).
    """
    length = len(emission)
    path = np.empty(length, np.int32)
    following = np.full(states, -np.inf)
    s = start
    for i in range(length):
        put_values(bounds, live, value, i, following)
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
    return path
