"""How long a text should be, by the model's own confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from dgemma_constrain.canvas.canvas import Canvas
from dgemma_constrain.diffusion.denoiser import Denoiser, Question, ask

if TYPE_CHECKING:
    import torch

LENGTHS = (4, 8, 16, 32, 64)  # tokens; those that "auto" looks at


class Place(NamedTuple):
    """A canvas, and the ids around it."""

    canvas: Canvas
    before: list[int]
    after: list[int]


def surest(denoiser: Denoiser, places: Sequence[Sequence[Place]]) -> list[int]:
    """Of each group of places, the number of the one of whose best string the model is surest, after one look at all.

    Sure is the mean log-probability of the tokens that are not pinned, of the text and of its end; what comes after the end
    is easily guessed, and would speak for whatever is too long.
    """
    flat = [place for group in places for place in group]
    mask_id = denoiser.vocabulary.mask_id
    questions = []
    for canvas, before, after in flat:
        pinned = canvas.pinned
        ids = [pinned.get(i, mask_id) for i in range(canvas.length)]
        questions.append(Question([*before, *ids, *after], len(before), len(before) + canvas.length))
    scores = iter([_score(place.canvas, logits) for place, logits in zip(flat, ask(denoiser, questions))])
    best = []
    for group in places:
        own = [next(scores) for _ in group]
        best.append(own.index(max(own)))
    return best


def _score(canvas: Canvas, logits: torch.Tensor) -> float:
    import torch

    ids = canvas.best(logits).ids
    read = canvas.compiled.vocabulary.text_length(ids) + 1
    open_ = [i for i in range(min(read, canvas.length)) if i not in canvas.pinned]
    if not open_:
        return 0.0
    log_p = logits[open_].float().log_softmax(-1)
    return float(log_p.gather(1, torch.tensor([[ids[i]] for i in open_], device=log_p.device)).mean())
