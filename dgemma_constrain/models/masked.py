"""Any network that fills in masks as a `Denoiser`: LLaDA, Dream, BERT and its kind, or a function of yours."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Callable, Sequence

from dgemma_constrain.diffusion.denoiser import Question, padded
from dgemma_constrain.errors import ConstraintError, VocabularyError
from dgemma_constrain.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch


class MaskedModel:
    """A masked-diffusion denoiser made of a function from ids to logits.

    network         ids int64[B, T] → logits float[B, T, V], or an object with such `logits`, as transformers' models give;
                    V may be larger than the vocabulary, where a model pads it. Rows of different lengths run in one
                    forward if it takes an `attention_mask` and heeds it, otherwise in one for each length
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
        return self._look(ids)[:, start:stop]

    def padded_logits(self, questions: Sequence[Question]) -> list[torch.Tensor]:
        """Logits float[stop-start, V] of each of several rows of different lengths, in one forward."""
        ids, real = padded(questions, self._filler)
        return [one[q.start : q.stop] for one, q in zip(self._look(ids, real), questions)]

    @cached_property
    def pads(self) -> bool:
        """Whether padding is left out of account, which is tried: other ids in it must not change a bit of the answer."""
        import torch

        if self.context_length < 8 or "attention_mask" not in _parameters(self.network):
            return False
        real = torch.arange(8).expand(2, 8) < torch.tensor([[4], [8]])
        ids = torch.full((2, 8), self.vocabulary.mask_id)
        other = ids.masked_fill(~real, self._filler)
        try:
            one, two = (self._look(x, real) for x in (ids, other))
        except Exception:  # it wants another kind of mask: whatever that raises, rows of one length need none
            return False
        return bool(torch.equal(one[1], two[1]) and torch.equal(one[0, :4], two[0, :4]))

    @property
    def _filler(self) -> int:
        """What stands in padding."""
        v = self.vocabulary
        return v.pad_id if v.pad_id is not None and v.pad_id != v.mask_id else 0 if v.mask_id else 1

    def _look(self, ids: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
        """Logits float[B, T, V], with those of shifted models where they belong. real bool[B, T]: what is no padding."""
        import torch

        if ids.shape[1] > self.context_length:
            raise ConstraintError(
                f"{ids.shape[1]} tokens do not fit the model's context of {self.context_length}; "
                "shorten the prompt or the canvas"
            )
        given = {} if real is None else {"attention_mask": real.long().to(self.device)}
        with torch.inference_mode():
            out = self.network(ids.to(self.device), **given)
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
        return out[:, :, :size]


def _parameters(network) -> tuple[str, ...]:
    """The names of what a network takes."""
    try:
        return tuple(inspect.signature(getattr(network, "forward", network)).parameters)
    except (TypeError, ValueError):  # compiled code that doesn't tell
        return ()
