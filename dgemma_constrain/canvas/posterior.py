"""What a model believes of a canvas, given that its text is valid."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dgemma_constrain.canvas import arcs, dynamic
from dgemma_constrain.errors import Infeasible

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.canvas.canvas import Canvas

NEVER = -1e30  # finite, since processed scores come back as self-conditioning; a temperature may divide it
LEAD = 1e-3  # nats by which the best string leads at each position: more than float32 loses by a division


def nothing_left() -> Infeasible:
    return Infeasible("the logits give every valid string probability zero (-inf); allow some of its tokens")


class Posterior:
    """prod softmax(logits / temperature) restricted to the valid strings of a canvas; made by `Canvas.posterior`.

    The logits were read once, and so was the automaton backwards: `weights` float64[L, N] of its labels, `value` of the
    live boundary states (see `dynamic`). Samples and marginals start from there.
    """

    def __init__(self, canvas: Canvas, reduced, weights: np.ndarray, value: np.ndarray):
        self._canvas, self._reduced, self._weights, self._value = canvas, reduced, weights, value

    def draw(self, generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """A joint sample: ids int64[L], and bool[L] which of them are read (all but an unread tail)."""
        import torch

        canvas, labels = self._canvas, self._canvas._graph.labels
        uniform = torch.rand(3, canvas.length, dtype=torch.float64, generator=generator).numpy()
        path = canvas._sweep(dynamic.sampled_path, self._weights, self._value, uniform[0], canvas._start)
        path = arcs.drawn_classes(labels, self._reduced.emission, self._weights, path, uniform[1])
        ids = self._reduced.drawn_members(path, canvas._pinned, uniform[2])
        return ids, path != canvas._graph.wild

    def log_softmax(self, ids: np.ndarray) -> np.ndarray:
        """Log-probability of one id at each position under the model alone, float64[L]."""
        return self._reduced.log_softmax(ids)

    @cached_property
    def classes(self) -> np.ndarray:
        """Log-probability of every class at every position, float64[L, K+1]."""
        canvas, labels = self._canvas, self._canvas._graph.labels
        by_label = canvas._sweep(dynamic.posteriors, self._weights, self._value, canvas._start)
        with np.errstate(divide="ignore"):
            return np.log(arcs.spread(labels, self._reduced.emission, self._weights, by_label))

    def marginals(self) -> torch.Tensor:
        """Log-probability of every token at every position, float32[L, V] on the logits' device; -inf if not allowed."""
        return self._reduced.marginals(self.classes, self._canvas._pinned)

    def of(self, ids: list[int]) -> np.ndarray:
        """`marginals` of one id at each position, float64[L], without the full table."""
        ids = np.asarray(ids, np.int64)
        at, of = np.arange(len(ids)), self._canvas._graph.classes.of[ids]
        token = self.log_softmax(ids)
        with np.errstate(invalid="ignore"):
            known = (of >= 0) & (self.classes[at, of] > -np.inf)
            read = np.where(known, self.classes[at, of] + token - self._reduced.emission[at, of], -np.inf)
        unread = self.classes[at, -1] + np.where(self.classes[at, -1] > -np.inf, token, 0.0)
        return np.where(self._canvas._pinned >= 0, 0.0, np.logaddexp(read, unread))
