"""Any network that fills in masks as a `Denoiser`: LLaDA, Dream, BERT and its kind, or a function of yours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from dgemma_constrain.errors import ConstraintError, VocabularyError
from dgemma_constrain.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch


class MaskedModel:
    """A masked-diffusion denoiser made of a function from ids to logits.

    network         ids int64[B, T] → logits float[B, T, V], or an object with such `logits`, as transformers' models give;
                    V may be larger than the vocabulary, where a model pads it
    vocabulary      has a `mask_id`
    context_length  most ids in one forward
    block           how many tokens are written at once at most; longer texts go on in the next canvas
    window          a step chooses among so many of the leftmost undecided positions: LLaDA's block length
    shift           the logits at a position are those of the next one, as a causal model's are (Dream)
    before, after   ids that stand around every text: [CLS] and [SEP], say
    encode          text → ids, for prompts; the vocabulary's where not given
    render          prompt → ids before the canvas, instead of `before` and the prompt's own; a chat template
    """

    def __init__(
        self,
        network: Callable[[torch.Tensor], object],
        vocabulary: Vocabulary,
        context_length: int = 512,
        block: int | None = None,
        window: int = 32,
        shift: bool = False,
        before: tuple[int, ...] = (),
        after: tuple[int, ...] = (),
        encode: Callable[[str], list[int]] | None = None,
        render: Callable[[str], list[int]] | None = None,
        device: torch.device | str = "cpu",
    ):
        if vocabulary.mask_id is None:
            raise VocabularyError(
                "this vocabulary has no mask id, so nothing says which positions are to be written; give mask_id"
            )
        self.network, self.vocabulary, self.shift, self.device = network, vocabulary, shift, device
        self.context_length, self.block, self.window = context_length, block or context_length, window
        self._before, self._after = list(before), list(after)
        self._encode = encode or vocabulary.encode
        self._render = render or (lambda prompt: self._before + self._encode(prompt))

    def frame(self, prompt: str) -> tuple[list[int], list[int]]:
        """The ids before and after a canvas that answers `prompt`. Raises ConstraintError if none would be left for it."""
        before = self._render(prompt)
        if len(before) + len(self._after) >= self.context_length:
            raise ConstraintError(
                f"the prompt has {len(before)} tokens and the model's context {self.context_length}; shorten the prompt"
            )
        return before, self._after

    def frame_infill(self, prefix: str, suffix: str) -> tuple[list[int], list[int]]:
        """The ids before and after a hole between two texts: of each, what lies nearest, a third of the context at most."""
        part = self.context_length // 3
        left, right = self._encode(prefix)[-part:], self._encode(suffix)[:part]
        return self._before + left, right + self._after

    def logits(self, ids: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Logits float[B, stop-start, V] of positions start:stop."""
        import torch

        if ids.shape[1] > self.context_length:
            raise ConstraintError(
                f"{ids.shape[1]} tokens do not fit the model's context of {self.context_length}; "
                "shorten the prompt or the canvas"
            )
        with torch.inference_mode():
            out = self.network(ids.to(self.device))
        out = getattr(out, "logits", out)
        size = len(self.vocabulary)
        if not isinstance(out, torch.Tensor) or out.dim() != 3 or out.shape[:2] != ids.shape or out.shape[2] < size:
            shape = list(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise ConstraintError(
                f"the model gave {shape} for ids of shape {list(ids.shape)}; a denoiser gives [batch, positions, "
                f"vocabulary] with at least this vocabulary's {size} ids"
            )
        if self.shift:  # the first position has nothing before it that could tell
            out = torch.cat([out[:, :1], out[:, :-1]], 1)
        return out[:, start:stop, :size]
