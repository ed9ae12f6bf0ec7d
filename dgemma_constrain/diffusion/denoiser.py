"""What the denoising loop asks of a masked diffusion model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.tokens.vocabulary import Vocabulary


class Denoiser(Protocol):
    """A model that fills in masks. Its vocabulary has a `mask_id`.

    context_length  most ids in one forward, canvas included
    block           how many tokens it writes at once at most; longer texts go on in the next canvas
    window          of how many of the leftmost undecided positions a step may choose which to commit: a model that is good
                    at committing anywhere has a large one
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
