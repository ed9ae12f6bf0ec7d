"""A text canvas by canvas: where it doesn't fit in one, each is written so that the rest can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgemma_constrain.canvas.canvas import check_pins
from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.diffusion import denoise, renoise
from dgemma_constrain.diffusion.denoiser import Denoiser, Renoiser
from dgemma_constrain.diffusion.settings import Settings
from dgemma_constrain.diffusion.together import Row
from dgemma_constrain.errors import ConstraintError

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.tokens.vocabulary import Vocabulary


def write(
    denoiser: Denoiser | Renoiser,
    compiled: Compiled,
    before: list[int],
    after: list[int],
    length: int,
    pinned: dict[int, int],
    settings: Settings,
    generator: torch.Generator,
) -> Row[tuple[list[int], float]]:
    """Write `length` tokens between `before` and `after`, canvas by canvas where they don't fit in one.

    One row of those that `together.run` runs. pinned: {position in the whole text: id}. Returns the ids and the sum of
    their log-probabilities when committed. Raises Infeasible, Cancelled.

    A canvas has the model's `block` of positions to be written; pinned ones before and after them are context to it.
    A renoising model writes whole canvases; where `length` ends within one, an end token is pinned there.
    """
    renoises = getattr(denoiser, "renoises", False)
    fill = renoise.fill if renoises else denoise.fill
    check_pins(pinned, length, len(compiled.vocabulary))
    written: list[int] = []
    score = 0.0
    ends = set(compiled.vocabulary.eos_ids)
    known: list[int] | None = None  # how the text may go on: a search should not have to find it again
    while True:
        offset = len(written)
        size = denoiser.block if renoises else min(_reach(pinned, offset, length, denoiser.block), length - offset)
        left = max(length - offset - size, 0)
        rest = {p - offset: t for p, t in pinned.items() if p >= offset}
        if length - offset < size:
            rest[length - offset] = _end(compiled.vocabulary, denoiser.block)
        if left and (not ends or max(rest, default=0) >= size):  # the rest must be planned for position by position
            canvas = compiled.canvas(length - offset, rest, 0, settings.tail, written).knowing(known)
            canvas.check()
            canvas = canvas.head(size)
        else:
            canvas = compiled.canvas(size, rest, left, settings.tail, written).knowing(known)
            if length - offset < size and canvas.feasible is False:  # say why of the length that was asked for
                rest.pop(length - offset)
                compiled.canvas(length - offset, rest, 0, settings.tail, written).check()
        ids, logp, known = yield from fill(denoiser, canvas, before + written, after, settings, generator, offset)
        written += ids
        score += logp
        if not left:
            return written[:length], score
        if ends.intersection(ids):
            last = max(pinned, default=-1)  # after the end token only the tail is left
            return written + [pinned.get(p, written[-1]) for p in range(len(written), last + 1)], score


def _end(vocabulary: Vocabulary, block: int) -> int:
    if vocabulary.eos_id is None:
        raise ConstraintError(
            f"this vocabulary has no end token, so the length must be a multiple of the canvas's {block}"
        )
    return vocabulary.eos_id


def _reach(pinned: dict[int, int], offset: int, length: int, block: int) -> int:
    """How many positions a canvas at `offset` has that writes `block` of them, from the first that is not pinned."""
    first = next((i for i in range(offset, length) if i not in pinned), length)
    end = first + block
    if all(i in pinned for i in range(end, length)):
        end = length
    return end - offset
