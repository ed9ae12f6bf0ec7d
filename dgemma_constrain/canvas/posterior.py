"""What a model believes of a canvas, given that its text is valid."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dgemma_constrain.canvas import arcs, sums
from dgemma_constrain.errors import Infeasible

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.canvas.canvas import Canvas

NEVER = -(2.0**100)  # finite, since processed scores come back as self-conditioning; the same in bfloat16
LEAD = 1e-3  # nats by which the best string leads at each position, at least: see `above`


def nothing_left() -> Infeasible:
    return Infeasible("the logits give every valid string probability zero (-inf); allow some of its tokens")


def above(highest: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Log-probabilities just above these, so that they stay above when both are rounded to the dtype, divided by a temperature
    and rounded again.

    Each rounding moves each of the two by at most eps/2 of itself, together 2 eps of the larger magnitude: half of the lead. Near
    zero (within LEAD / 4 eps: 0.03 for bfloat16) that is less than half of LEAD.
    """
    import torch

    return highest + (4 * torch.finfo(dtype).eps * highest.abs()).clamp_(min=LEAD)


def put_on_top(ids: torch.Tensor, values: torch.Tensor, dtype: torch.dtype) -> None:
    """Change log-probabilities float32[n, V], in place: finite, with ids int64[n] on top, which stay there in this dtype."""
    import torch

    own = values.gather(1, ids[:, None])
    values.scatter_(1, ids[:, None], -torch.inf).clamp_(min=NEVER)
    values.scatter_(1, ids[:, None], torch.maximum(own, above(values.amax(1, keepdim=True), dtype)))


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
        path = canvas._sweep(sums.sampled_path, self._weights, self._value, uniform[0], canvas._start)
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
        by_label = canvas._sweep(sums.posteriors, self._weights, self._value, canvas._start)
        with np.errstate(divide="ignore"):
            return np.log(arcs.spread(labels, self._reduced.emission, self._weights, by_label))

    def marginals(self) -> torch.Tensor:
        """Log-probability of every token at every position, float32[L, V] on the logits' device; -inf if not allowed."""
        return self._reduced.marginals(self.classes, self._canvas._pinned)

    def raise_(self, ids: list[int], out: torch.Tensor) -> None:
        """Write into out float[L, V] the marginals, finite, with these ids on top."""
        import torch

        best = torch.tensor(ids, device=out.device)

        def raised(rows: slice, values: torch.Tensor) -> None:
            put_on_top(best[rows], values, out.dtype)

        self._reduced.marginals(self.classes, self._canvas._pinned, out, raised)

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
