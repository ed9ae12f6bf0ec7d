"""What the denoising loops ask of a model, and how the questions of many rows are put to it together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, Sequence

from dgemma_constrain.errors import LimitExceeded

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.diffusion.renoise import Sampling
    from dgemma_constrain.tokens.vocabulary import Vocabulary


class Question(NamedTuple):
    """What does the model make of positions start:stop of `ids`, which hold its `mask_id` where undecided?"""

    ids: list[int]
    start: int
    stop: int

    turn = 0  # rows answer in order of turns: see `together.run`


class Look(NamedTuple):
    """What does a renoising model make of a canvas int64[L] behind a context?

    feedback: the scores float[L, V] that the step before gave back, None in the first. turn: how far the text is; rows
    that are further wait, so that those on the same canvas stay together and their contexts are encoded once.
    """

    context: list[int]
    canvas: torch.Tensor
    feedback: torch.Tensor | None
    turn: int


class Denoiser(Protocol):
    """A model that fills in masks. Its vocabulary has a `mask_id`.

    context_length  most ids in one forward, canvas included
    block           how many tokens it writes at once at most; longer texts go on in the next canvas
    window          of how many of the leftmost undecided positions a step may choose which to commit: a model that is good
                    at committing anywhere has a large one

    One that can leave padding out of account says so with `pads = True` and a method
    `padded_logits(questions: Sequence[Question]) -> list[Tensor]`, one float[stop-start, V] each, for rows of different
    lengths. Without it, rows of the same shape run together and others in forwards of their own.

    One that can read the texts around canvases once has a method `around(before, after, length)`, which takes their ids and the
    length of a canvas to read them with; what it returns has `logits(canvases: Sequence[list[int]]) -> list[Tensor]`,
    about what `logits` says of each canvas between them.
    """

    vocabulary: Vocabulary
    context_length: int
    block: int
    window: int

    def frame(self, prompt: str) -> tuple[list[int], list[int]]:
        """The ids before and after a canvas that answers `prompt`. Raises ConstraintError if it does not fit."""

    def frame_infill(self, prefix: str, suffix: str) -> tuple[list[int], list[int]]:
        """The ids before and after a hole between two texts, cut to the context where they are longer."""

    def logits(self, ids: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Logits float[B, stop-start, V] of positions start:stop, given ids int64[B, T] with `mask_id` where undecided."""


class Renoiser(Protocol):
    """A model without masks whose canvas is renoised at every step: DiffusionGemma. It has `renoises = True`.

    context_length, frame, frame_infill  as of a Denoiser; what follows a hole is written into the canvas
    block     the length of its canvas: always whole, whatever of it the text takes
    sampling  how it decides
    device, dtype  where its canvases and generators live, and what it takes back as feedback
    """

    renoises: bool
    vocabulary: Vocabulary
    context_length: int
    block: int
    sampling: Sampling
    device: torch.device
    dtype: torch.dtype

    def frame(self, prompt: str) -> tuple[list[int], list[int]]: ...

    def frame_infill(self, prefix: str, suffix: str) -> tuple[list[int], list[int]]: ...

    def look(self, looks: Sequence[Look]) -> list[torch.Tensor]:
        """Logits float[block, V] for each."""


def ask(denoiser: Denoiser | Renoiser, questions: Sequence[Question | Look]) -> list[torch.Tensor]:
    """The logits float[stop-start, V] of each question, in as few forwards as the denoiser and its memory allow.

    Raises LimitExceeded where the memory isn't enough for a single row.
    """
    try:
        return _ask(denoiser, questions)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    free_memory()  # out here the frames of what failed are gone, and with them what they held
    if len(questions) == 1:
        raise LimitExceeded(
            "the model ran out of memory with a single row; shorten the prompt or the canvas, or use a smaller dtype"
        )
    half = len(questions) // 2
    return [*ask(denoiser, questions[:half]), *ask(denoiser, questions[half:])]


def _ask(denoiser, questions) -> list[torch.Tensor]:
    import torch

    if getattr(denoiser, "renoises", False):
        return denoiser.look(questions)
    shapes: dict[tuple[int, int, int], list[int]] = {}
    for k, (ids, start, stop) in enumerate(questions):
        shapes.setdefault((len(ids), start, stop), []).append(k)
    if len(shapes) > 1 and getattr(denoiser, "pads", False):
        return denoiser.padded_logits(questions)
    answers: list = [None] * len(questions)
    for (_, start, stop), rows in shapes.items():
        logits = denoiser.logits(torch.tensor([questions[k].ids for k in rows]), start, stop)
        for k, one in zip(rows, logits):
            answers[k] = one
    return answers


def is_out_of_memory(error: Exception) -> bool:
    """Whether this is how numpy, torch on a device or torch on the host say so."""
    import torch

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def free_memory() -> None:
    """Give back what torch keeps of a device's memory for later."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def padded(questions: Sequence[Question], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """ids int64[B, T] with `filler` after what is shorter, and which of them are no padding, bool[B, T]."""
    import torch

    lengths = torch.tensor([len(q.ids) for q in questions])
    longest = int(lengths.max())
    ids = torch.tensor([[*q.ids, *[filler] * (longest - len(q.ids))] for q in questions])
    return ids, torch.arange(longest) < lengths[:, None]
