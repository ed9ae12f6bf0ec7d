"""What happened while a text was written, step by step: plain data for pictures, tests and logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Step:
    """One denoising step over one canvas of L positions (block `block`, which begins at token `offset` of the text).

    canvas        ids after the step, None where still undecided
    proposal      ids of the whole valid string that the step proposed: a draft of the text. What a masked model commits is
                  part of it; a renoising one accepts what it drew from the marginals
    committed     positions decided (or accepted) in this step; remasked: positions given up again
    confidence    each proposed id's probability under the model and the constraint, 0 … 1
    allowed       how many tokens the constraint allowed at each position before the step
    alternatives  the likeliest allowed (id, probability) of each position, best first; empty unless a trace was asked for
    model_ms, constraint_ms  milliseconds in the model's forward (which served all rows that run together) and in the
                  constraint
    row           which of the texts that are written together: prompts in order, and of each its candidates
    """

    block: int
    offset: int
    canvas: list[int | None]
    proposal: list[int]
    committed: list[int]
    remasked: list[int]
    confidence: list[float]
    allowed: list[int]
    alternatives: list[list[tuple[int, float]]]
    model_ms: float
    constraint_ms: float
    row: int = 0


@dataclass
class Trace:
    """All steps of one text, and the tokens' spelling: `pieces` maps every id that occurs in them to its bytes, or to
    its name in angle brackets for end, pad and mask."""

    prompt: str
    steps: list[Step] = field(default_factory=list)
    pieces: dict[int, bytes | str] = field(default_factory=dict)
    compile_ms: float = 0.0


def likeliest(marginals: torch.Tensor, count: int) -> list[list[tuple[int, float]]]:
    """The `count` likeliest (id, probability) of each position, best first, of log-probabilities [L, V]."""
    if not count:
        return []
    top = marginals.topk(min(count, marginals.shape[1]), dim=1)
    pairs = zip(top.indices.tolist(), top.values.exp().tolist())
    return [[(t, p) for t, p in zip(ids, ps) if p > 0] for ids, ps in pairs]
