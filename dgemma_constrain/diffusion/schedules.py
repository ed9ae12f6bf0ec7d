"""Which proposed tokens to keep after a step.

A schedule is a function (confidence, entropy, step, steps) → how many of the most confident undecided positions to
commit. Whatever it says, a step commits at least one, and the last step commits all.
"""

from __future__ import annotations

import functools
import math
from typing import Callable

import numpy as np

from dgemma_constrain.errors import ConstraintError

THRESHOLD = 0.9  # Fast-dLLM (arXiv 2505.22618)
ENTROPY_BOUND = 0.1  # nats; the entropy-bounded sampler (arXiv 2505.24857), DiffusionGemma's default

Schedule = Callable[[np.ndarray, np.ndarray, int, int], int]


def linear(confidence: np.ndarray, entropy: np.ndarray, step: int, steps: int) -> int:
    """The same share in every step."""
    return math.ceil(len(confidence) / (steps - step))


def cosine(confidence: np.ndarray, entropy: np.ndarray, step: int, steps: int) -> int:
    """Few at first, many at the end (MaskGIT, arXiv 2202.04200): cos(π/2 · progress) of the canvas stays masked."""
    before, after = (math.cos(math.pi / 2 * s / steps) for s in (step, step + 1))
    return round(len(confidence) * (1 - after / before)) if before > 0 else len(confidence)


def confidence(confidence: np.ndarray, entropy: np.ndarray, step: int, steps: int, least: float = THRESHOLD) -> int:
    """All that are sure enough: probability at least 0.9."""
    return int((confidence >= least).sum())


def entropy(confidence: np.ndarray, entropy: np.ndarray, step: int, steps: int, most: float = ENTROPY_BOUND) -> int:
    """As many, in order of entropy, as keep its running sum within 0.1 nats."""
    return int(np.searchsorted(np.cumsum(np.sort(entropy)), most, "right"))


SCHEDULES: dict[str, Schedule] = {f.__name__: f for f in (linear, cosine, confidence, entropy)}


def schedule(name: str) -> Schedule:
    """A schedule by name; "confidence=0.8" and "entropy=0.5" have another threshold. Raises ConstraintError that lists them."""
    plain, equals, value = name.partition("=")
    if plain not in SCHEDULES or (equals and plain not in ("confidence", "entropy")):
        raise ConstraintError(
            f"unknown schedule {name!r}; there are {', '.join(SCHEDULES)}, confidence=0.8, entropy=0.5"
        )
    if not equals:
        return SCHEDULES[plain]
    try:
        threshold = float(value)
    except ValueError:
        threshold = math.nan
    if not threshold > 0:
        raise ConstraintError(f"schedule {name!r}: the threshold must be a positive number")
    return functools.partial(SCHEDULES[plain], **{"least" if plain == "confidence" else "most": threshold})


def by_entropy(schedule: Schedule) -> bool:
    """Whether a schedule goes by entropy, so that it has to be computed."""
    return getattr(schedule, "func", schedule) is entropy
