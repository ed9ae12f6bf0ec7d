"""The marginals under a constraint with the best string on top: what a renoising model is given as its logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from dgemma_constrain.canvas.canvas import Canvas
from dgemma_constrain.canvas.logits import empty
from dgemma_constrain.errors import Infeasible

if TYPE_CHECKING:
    import torch


def dtype_for(logits: torch.Tensor) -> torch.dtype:
    """What the answer to these logits is in: bfloat16 to bfloat16, of which it is as large and as precise; float16, which
    cannot hold NEVER, and all others to float32."""
    import torch

    return logits.dtype if logits.dtype == torch.bfloat16 else torch.float32


def empty_like(logits: torch.Tensor) -> torch.Tensor:
    """Room for the answer to these logits."""
    return empty(logits.shape, dtype_for(logits), logits.device)


def raised(canvas: Canvas, logits: torch.Tensor) -> tuple[torch.Tensor, list[int], float]:
    """The marginals under the constraint, float[L, V] (`dtype_for`), finite, with the best string on top everywhere; that
    string; and the sum of its positions' log-probabilities. Raises Infeasible."""
    out = empty_like(logits)
    if canvas.runs_with(logits):
        (found,) = _on_device([canvas], logits[None], out[None])
        if isinstance(found, Exception):
            raise found
        return out, *found
    return out, *_raised(canvas, logits, out)


def _raised(canvas: Canvas, logits: torch.Tensor, out: torch.Tensor) -> tuple[list[int], float]:
    posterior = canvas.posterior(logits)
    ids = canvas.best(logits).ids
    posterior.raise_(ids, out)
    return ids, float(posterior.of(ids)[: canvas.compiled.vocabulary.text_length(ids) + 1].sum())


def raise_rows(canvases: Sequence[Canvas | None], logits: torch.Tensor, out: torch.Tensor) -> dict[int, Infeasible]:
    """`raised` for every row of logits [B, L, V], into out float[B, L, V]; rows without a canvas stay as they are.

    Neighbours of one constraint run together where the device of the logits answers them. Returns the rows that failed.
    """
    failed: dict[int, Infeasible] = {}
    for rows in _alike(canvases, logits):
        some = canvases[rows]
        if some[0] is None:
            out[rows] = logits[rows]
        elif some[0].runs_with(logits[rows.start]):
            for row, found in enumerate(_on_device(some, logits[rows], out[rows]), rows.start):
                if isinstance(found, Infeasible):
                    failed[row] = found
                elif isinstance(found, Exception):
                    raise found
        else:
            try:
                _raised(some[0], logits[rows.start], out[rows.start])
            except Infeasible as reason:
                failed[rows.start] = reason
    return failed


def _alike(canvases: Sequence[Canvas | None], logits: torch.Tensor) -> list[slice]:
    """Runs of rows that are answered together, the others one by one."""
    runs: list[slice] = []
    for row, canvas in enumerate(canvases):
        before = canvases[row - 1] if row else None
        alike = before is not None and canvas is not None and before._graph is canvas._graph
        alike = alike and canvas.is_finite and before.is_finite and canvas.runs_with(logits[row])
        runs.append(slice(runs.pop().start if alike else row, row + 1))
    return runs


def _on_device(canvases, logits: torch.Tensor, out: torch.Tensor) -> list[tuple[list[int], float] | Exception]:
    """Of each, the best string and the sum of its log-probabilities up to the end token, or its LogitsError or Infeasible."""
    from dgemma_constrain.canvas import device

    vocabulary = canvases[0].compiled.vocabulary
    return [
        one if isinstance(one, Exception) else (one[0], sum(one[1][: vocabulary.text_length(one[0]) + 1]))
        for one in device.raised(canvases, logits, out)
    ]
