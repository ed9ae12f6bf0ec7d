"""DiffusionGemma as a `Renoiser`: its encoder keeps the contexts of all rows, its decoder looks at their canvases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable, Sequence

from dgemma_constrain.diffusion.denoiser import Look, free_memory, is_out_of_memory
from dgemma_constrain.diffusion.renoise import Sampling
from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.models.contexts import Contexts, shared_out
from dgemma_constrain.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch


class RenoisingModel:
    """A `DiffusionGemmaForBlockDiffusion` (or what has its encoder, decoder, masks and config).

    vocabulary      of as many ids as the model's logits have; its end tokens are all that end a text
    context_length  most ids before and on a canvas
    before          ids that begin every context: <bos>
    encode          text → ids
    render          prompt → ids, instead of `before` and the prompt's own; a chat template
    sampling        how it decides; from the checkpoint's generation config
    header          (end_id, start_id) of a header that may stand before an answer: see `Compiled.behind_header`
    """

    renoises = True

    def __init__(
        self,
        network,
        vocabulary: Vocabulary,
        context_length: int,
        encode: Callable[[str], list[int]],
        before: tuple[int, ...] = (),
        render: Callable[[str], list[int]] | None = None,
        sampling: Sampling = Sampling(),
        header: tuple[int, int | None] | None = None,
    ):
        self.network, self.vocabulary, self.context_length = network, vocabulary, context_length
        self.block, self.sampling = network.config.canvas_length, sampling
        weight = network.model.decoder.embed_tokens.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.encode, self._before, self.header = encode, list(before), header
        self._render = render or (lambda prompt: self._before + encode(prompt))
        self._lock = threading.Lock()  # the encoder's caches are those of one batch, whoever asks
        self._known: list[Contexts] = []  # those of the last looks

    def frame(self, prompt: str) -> tuple[list[int], list[int]]:
        """The ids before a canvas that answers `prompt`. Raises ConstraintError if no canvas fits behind them."""
        before = self._render(prompt)
        if len(before) + self.block > self.context_length:
            raise ConstraintError(
                f"the prompt has {len(before)} tokens; with a canvas of {self.block} it does not fit the model's context of "
                f"{self.context_length}; shorten the prompt"
            )
        if not before:
            raise ConstraintError("this model needs at least one token before its canvas; give a prompt")
        return before, []

    def frame_infill(self, prefix: str, suffix: str) -> tuple[list[int], list[int]]:
        """The ids before a hole: of `prefix`, what lies nearest; the suffix is written into the canvas."""
        room = self.context_length - self.block - len(self._before)
        before = self._before + self.encode(prefix)[-room:]
        if not before:
            raise ConstraintError("this model needs at least one token before its canvas; give a prefix")
        return before, []

    def look(self, looks: Sequence[Look]) -> list[torch.Tensor]:
        """Logits float[block, V] of each row's canvas. Contexts are encoded once; longer by a canvas, that alone is.

        Rows for which the memory is not enough together are in parts from then on, each with a cache of its own.
        """
        import torch

        answers: list = [None] * len(looks)
        with self._lock, torch.inference_mode():
            todo, self._known = shared_out([look.context for look in looks], self._known, self.block), []
            while todo:
                contexts, rows = todo.pop()
                try:
                    contexts, rows = self._read(contexts, rows, looks)
                    found = self._decoded(contexts, rows, looks)
                except (MemoryError, RuntimeError) as error:
                    if len(rows) == 1 or not is_out_of_memory(error):
                        raise
                    found = None
                if found is None:
                    contexts, numbers = None, list(rows)  # out here what failed is held by nobody
                    free_memory()
                    for some in (numbers[len(numbers) // 2 :], numbers[: len(numbers) // 2]):
                        todo.append((None, {k: row for row, k in enumerate(some)}))
                    continue
                self._known.append(contexts)
                for k, logits in found.items():
                    answers[k] = logits
        return answers

    def _read(self, contexts: Contexts | None, rows: dict[int, int], looks: Sequence[Look]):
        """What these looks are behind, read as far as it isn't yet; and in which row each of them has it."""
        wanted = [looks[k].context for k in rows]
        if contexts is None:
            contexts = Contexts(self.network, wanted)
        elif any(contexts.held[row] != looks[k].context for k, row in rows.items()):
            contexts.go_on(list(rows.values()), wanted)
            rows = {k: row for row, k in enumerate(rows)}
        return contexts, rows

    def _decoded(self, contexts: Contexts, rows: dict[int, int], looks: Sequence[Look]) -> dict[int, torch.Tensor]:
        """The logits of each look, by its number. Rows of the cache that nobody asks for run along."""
        import torch

        at = contexts.real.shape[1]
        canvas = torch.zeros(len(contexts.held), self.block, dtype=torch.long, device=self.device)
        canvas[list(rows.values())] = torch.stack([looks[k].canvas for k in rows])
        feedback = {row: looks[k].feedback for k, row in rows.items() if looks[k].feedback is not None}
        out = self.network(
            decoder_input_ids=canvas,
            cache=contexts.cache,
            decoder_attention_mask=contexts.masks,
            decoder_position_ids=torch.arange(at, at + self.block, dtype=torch.int32, device=self.device)[None],
            **self._feedback(feedback, len(canvas)),
        )
        logits = out.logits[..., : len(self.vocabulary)]
        return {k: logits[row] for k, row in rows.items()}

    def _feedback(self, feedback: dict[int, torch.Tensor], count: int) -> dict:
        import torch

        if not feedback:
            return {}
        if len(feedback) == count:
            return {"self_conditioning_logits": torch.stack([feedback[row] for row in range(count)])}
        scores = torch.zeros((count, self.block, len(self.vocabulary)), dtype=self.dtype, device=self.device)
        known = torch.zeros(count, dtype=torch.bool, device=self.device)
        for row, one in feedback.items():
            scores[row], known[row] = one, True
        return {"self_conditioning_logits": scores, "self_conditioning_mask": known}
