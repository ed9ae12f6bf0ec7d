"""DiffusionGemma under a constraint, by way of an unchanged `generate`.

What leaves a canvas is the argmax, position by position, of the processed logits of the last step, whichever step that
turns out to be. So what this processor returns has a valid string on top at every step: see `diffusion.renoise`, whose
loop gives the same guarantee and can pin, trace, stream and cancel as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.canvas.posterior import NEVER
from dgemma_constrain.diffusion.raised import empty_like, raise_rows
from dgemma_constrain.errors import ConstraintError, Infeasible, VocabularyError

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.canvas.canvas import Canvas


class ConstraintProcessor:
    """For `DiffusionGemmaForBlockDiffusion.generate(logits_processor=LogitsProcessorList([ConstraintProcessor(…)]))`.

    A new list for every call: `generate` adds a processor of its own to it.

    compiled        the constraint, compiled for a vocabulary of as many ids as the model's logits have (see
                    `Vocabulary.from_tokenizer(…, size=…, eos_id=…)`; `eos_id` must be all that `generate` stops at),
                    or one for each row of the batch, with None for a row that is free. A model that thinks first:
                    `compiled.behind_header(…)` lets it, and holds for what follows
    max_new_tokens  as given to `generate`: a text may be spread over as many canvases as that allows. Without it the text
                    has to end within one canvas.

    Which canvas it is, and what was written before it, is read from the ids that `generate` appends. The ids of the
    first call are the prompt; when they are no continuation of the last call's, a new text begins, so a processor may be
    used again. If the next prompt is the last output itself, call `reset` in between.

    A batch has no way to stop for one row. A row whose constraint cannot be met ends at once, the others are finished,
    and `failed` holds its Infeasible; a single row raises it.
    """

    def __init__(self, compiled: Compiled | Sequence[Compiled | None], max_new_tokens: int | None = None):
        for one in compiled if isinstance(compiled, (list, tuple)) else [compiled]:
            if not isinstance(one, Compiled) and not (one is None and one is not compiled):
                raise ConstraintError(
                    f"ConstraintProcessor needs compiled constraints, not {type(one).__name__}; see dc.compile"
                )
        if max_new_tokens is not None and (type(max_new_tokens) is not int or max_new_tokens < 1):
            raise ConstraintError(f"max_new_tokens must be a whole number from 1 up, not {max_new_tokens!r}")
        self.compiled, self.max_new_tokens = compiled, max_new_tokens
        self.reset()

    def reset(self) -> None:
        """Forget the text that was being written: the next call's ids are a new prompt."""
        self.failed: dict[int, Infeasible] = {}
        self._seen: torch.Tensor | None = None
        self._prompt = 0
        self._canvases: list[Canvas | None] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, cur_step=None) -> torch.Tensor:
        """input_ids int64[B, T]: the prompt and the finished canvases; scores float[B, L, V] → float[B, L, V], finite; bfloat16
        if the scores are, otherwise float32."""
        if scores.dim() != 3:
            raise ConstraintError(
                f"scores have shape {list(scores.shape)}; a diffusion model gives [batch, canvas, vocabulary] (is it causal?)"
            )
        self._check_sizes(scores.shape[2])
        self._follow(input_ids, scores.shape[1])
        out = empty_like(scores)
        for row, reason in raise_rows(self._canvases, scores, out).items():
            self._fail(row, reason)
        for row in self.failed:
            out[row] = NEVER
            out[row, :, self._of(row).vocabulary.eos_id or 0] = 0.0
        return out

    def _follow(self, input_ids: torch.Tensor, length: int) -> None:
        """Make the canvases of these ids, unless they are those of the step before."""
        import torch

        seen = self._seen
        if seen is not None and torch.equal(seen, input_ids):
            return
        grown = input_ids.shape[1] - (0 if seen is None else seen.shape[1])
        if seen is None or grown != length or not self._goes_on(input_ids[:, :-length]):
            self.reset()
            self._prompt = input_ids.shape[1]
            self._check_rows(input_ids.shape[0])
        self._seen = input_ids.clone()
        written = input_ids[:, self._prompt :].tolist()
        self._canvases = [None] * len(written)
        for row, ids in enumerate(written):
            compiled = self._of(row)
            if compiled is None or row in self.failed or set(compiled.vocabulary.eos_ids).intersection(ids):
                continue
            try:
                self._canvases[row] = canvas = compiled.canvas(length, None, self._left(len(ids), length), "any", ids)
                canvas.check()
            except Infeasible as reason:
                self._fail(row, reason)

    def _goes_on(self, input_ids: torch.Tensor) -> bool:
        """Whether these ids are those of the last canvas; in rows that have ended `generate` writes pads over them."""
        import torch

        same = (input_ids == self._seen).all(1).tolist()
        return all(
            s or (c is None and torch.equal(old[: self._prompt], new[: self._prompt]))
            for s, c, old, new in zip(same, self._canvases, self._seen, input_ids)
        )

    def _left(self, written: int, length: int) -> int:
        """How many tokens may follow this canvas: `generate` writes whole ones, the last beyond `max_new_tokens`."""
        most = length if self.max_new_tokens is None else self.max_new_tokens
        return max(0, -(-most // length) * length - written - length)

    def _of(self, row: int) -> Compiled | None:
        return self.compiled if isinstance(self.compiled, Compiled) else self.compiled[row]

    def _check_rows(self, rows: int) -> None:
        if not isinstance(self.compiled, Compiled) and len(self.compiled) != rows:
            raise ConstraintError(
                f"{len(self.compiled)} constraints were given for a batch of {rows} rows; give one a row"
            )

    def _check_sizes(self, size: int) -> None:
        for one in [self.compiled] if isinstance(self.compiled, Compiled) else self.compiled:
            if one is not None and len(one.vocabulary) != size:
                raise VocabularyError(
                    f"the constraint is compiled for a vocabulary of {len(one.vocabulary)} ids, but the model gives logits for "
                    f"{size}; make it with Vocabulary.from_tokenizer(…, size={size})"
                )

    def _fail(self, row: int, reason: Infeasible) -> None:
        if len(self._seen) == 1:
            raise reason
        self.failed[row], self._canvases[row] = reason, None
