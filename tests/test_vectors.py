"""Exponentials and logarithms of elementary operations."""

import numpy as np
import pytest

from dgemma_constrain.automata.vectors import exp2, log, vector


@vector
def each(values, powers, logs):
    for j in range(len(values)):
        powers[j] = exp2(values[j])
        logs[j] = log(np.float32(powers[j]))


def test_they_are_right_to_the_last_digits():
    values = np.concatenate([np.random.default_rng(0).uniform(-120, 60, 200_000), np.arange(-120, 60), np.arange(-9.5, 9)])
    values = values.astype(np.float32)
    powers, logs = np.empty_like(values), np.empty_like(values)
    each(values, powers, logs)
    exact = np.exp2(values.astype(np.float64))
    assert np.abs(powers / exact - 1).max() < 3e-7
    wanted = np.log(powers.astype(np.float64))
    assert (np.abs(logs - wanted) / np.maximum(1, np.abs(wanted))).max() < 2e-7


@pytest.mark.parametrize("x", [-200.0, -1e30])
def test_what_is_too_small_becomes_nearly_nothing(x):
    assert 0 <= exp2(np.float32(x)) < 1e-37
