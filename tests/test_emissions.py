"""Logits to classes: what is kept of a class is what numpy finds by going through all of its members."""

import numpy as np
import pytest
import torch

from dgemma_constrain.canvas import logits as reductions
from dgemma_constrain.canvas.dynamic import FREE
from dgemma_constrain.canvas.emissions import BEST, MAX, SUM, make_classes
from dgemma_constrain.errors import LogitsError

SIZE = 10_000  # three blocks, the last one not full
ROWS = {
    "normal": lambda chance: chance.normal(0, 3, SIZE),
    "ties": lambda chance: chance.normal(0, 2, SIZE).round(),
    "all equal": lambda chance: np.zeros(SIZE),
    "both zeros": lambda chance: chance.choice([0.0, -0.0], SIZE),
    "one peak": lambda chance: np.where(np.arange(SIZE) == chance.integers(SIZE), 200.0, chance.normal(0, 1, SIZE)),
    "hardly anything": lambda chance: np.where(chance.random(SIZE) < 1e-3, 1.0, -np.inf),
    "nothing in most classes": lambda chance: np.where(np.arange(SIZE) % 7, -np.inf, chance.normal(0, 1, SIZE)),
    "rising": lambda chance: np.arange(SIZE) / 100,
}


def problem(seed: int, name: str):
    """Rows of logits, and some large and some small classes; a tenth of the ids is in none."""
    chance = np.random.default_rng([seed, *name.encode()])
    rows = np.array([ROWS[name](chance) for _ in range(6)], np.float32)
    weights = chance.random(chance.integers(1, 60)) ** 6
    of = chance.choice(len(weights), SIZE, p=weights / weights.sum()).astype(np.int32)
    of[chance.random(SIZE) < 0.1] = -1
    members = np.concatenate([np.flatnonzero(of == c) for c in range(len(weights))]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(of[of >= 0], minlength=len(weights)))])
    return rows, make_classes(of, offsets.astype(np.int64), members)


def reduce(rows, classes, mode, scale=1.0):
    free = np.full(len(rows), -1), np.full(len(rows), FREE, np.int32)
    wanted = np.ones((len(rows), len(classes.offsets)), bool)
    return reductions.reduce(torch.from_numpy(rows), classes, *free, wanted, mode, scale)


def log_softmax(rows, scale=1.0):
    return torch.from_numpy(rows).double().mul(scale).log_softmax(1).numpy()


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("seed", range(3))
def test_the_largest_member_of_every_class(name, seed):
    rows, classes = problem(seed, name)
    log_p = log_softmax(rows)
    for mode in (BEST, MAX):
        reduced = reduce(rows, classes, mode)
        for c in range(len(classes.offsets) - 1):
            members = classes.members[classes.offsets[c] : classes.offsets[c + 1]]
            if len(members):
                expected = log_p[:, members].max(1)
                np.testing.assert_allclose(reduced.emission[:, c], expected, atol=1e-5)
                if mode == BEST:
                    path = np.full(len(rows), c, np.int32)
                    ids = reduced.best_members(path, np.full(len(rows), -1))
                    alive = expected > -np.inf
                    assert np.isin(ids[alive], members).all()
                    assert (rows[alive, ids[alive]] == rows[alive][:, members].max(1)).all()


@pytest.mark.parametrize("name", ROWS)
def test_the_sum_of_every_class(name):
    rows, classes = problem(0, name)
    for scale in (1.0, 0.5):
        log_p = log_softmax(rows, scale)
        reduced = reduce(rows, classes, SUM, scale)
        for c in range(len(classes.offsets) - 1):
            members = classes.members[classes.offsets[c] : classes.offsets[c + 1]]
            if len(members):
                expected = torch.from_numpy(log_p[:, members]).logsumexp(1).numpy()
                np.testing.assert_allclose(reduced.emission[:, c], expected, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1, 5000, SIZE - 1])
def test_a_row_with_no_number_in_it_is_named(bad, place):
    rows, classes = problem(0, "normal")
    rows[4, place] = bad
    for mode in (BEST, MAX, SUM):
        with pytest.raises(LogitsError, match="position 4"):
            reduce(rows, classes, mode)
