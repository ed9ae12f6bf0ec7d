"""DiffusionGemma as a `Renoiser`: its encoder keeps the contexts of all rows, its decoder looks at their canvases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable, Sequence

from dgemma_constrain.diffusion.denoiser import Look
from dgemma_constrain.diffusion.renoise import Sampling
from dgemma_constrain.errors import ConstraintError
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
        self._lock = threading.Lock()  # the encoder's cache is one, whoever asks
        self._contexts: list[list[int]] = []
        self._cache = None

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
        """Logits float[block, V] of each row's canvas. Contexts are encoded once; longer by a canvas, that alone is."""
        import torch

        with self._lock, torch.inference_mode():
            rows = self._encoded([look.context for look in looks])
            canvas = torch.zeros(len(self._contexts), self.block, dtype=torch.long, device=self.device)
            canvas[rows] = torch.stack([look.canvas for look in looks])
            given = {}
            if any(look.feedback is not None for look in looks):
                given = self._feedback(rows, [look.feedback for look in looks])
            at = self._real.shape[1]
            out = self.network(
                decoder_input_ids=canvas,
                cache=self._cache,
                decoder_attention_mask=self._masks,
                decoder_position_ids=torch.arange(at, at + self.block, dtype=torch.int32, device=self.device)[None],
                **given,
            )
            logits = out.logits[..., : len(self.vocabulary)]
            return [logits[k] for k in rows]

    def _feedback(self, rows: list[int], feedback: list[torch.Tensor | None]) -> dict:
        import torch

        if rows == list(range(len(self._contexts))) and all(one is not None for one in feedback):
            return {"self_conditioning_logits": torch.stack(feedback)}
        shape = len(self._contexts), self.block, len(self.vocabulary)
        scores = torch.zeros(shape, dtype=self.dtype, device=self.device)
        known = torch.zeros(shape[0], dtype=torch.bool, device=self.device)
        for row, one in zip(rows, feedback):
            if one is not None:
                scores[row], known[row] = one, True
        return {"self_conditioning_logits": scores, "self_conditioning_mask": known}

    def _encoded(self, contexts: list[list[int]]) -> list[int]:
        """Which rows of the cache hold these contexts: it has them already, or all a canvas shorter, or they are new."""
        import torch

        rows = _places(contexts, self._contexts)
        if rows is not None:
            return rows
        if [c[: -self.block] for c in contexts] == self._contexts:
            ids = torch.tensor([c[-self.block :] for c in contexts], device=self.device)
            begin = self._real.shape[1]
            self._real = torch.nn.functional.pad(self._real, (0, self.block), value=True)
        else:
            longest = max(map(len, contexts))
            ids = torch.tensor([[0] * (longest - len(c)) + c for c in contexts], device=self.device)
            lengths = torch.tensor([[len(c)] for c in contexts], device=self.device)
            self._real = torch.arange(longest, device=self.device) >= longest - lengths
            begin, self._cache = 0, self._new_cache()
        self._contexts = []  # until the cache holds them
        self._encode(ids, begin)
        self._contexts = [list(c) for c in contexts]
        return list(range(len(contexts)))

    def _encode(self, ids: torch.Tensor, begin: int) -> None:
        """Read ids int64[B, n] into the cache at position `begin`."""
        import torch

        positions = torch.arange(begin, begin + ids.shape[1], dtype=torch.int32, device=self.device)[None]
        masks = self.network.model.encoder.create_masks_for_generate(
            config=self.network.config,
            inputs_embeds=torch.empty((*ids.shape, 0), dtype=self.network.dtype, device=self.device),
            attention_mask=self._real,
            cache=self._cache,
            position_ids=positions,
            mm_token_type_ids=None,
        )
        self.network.model.encoder(input_ids=ids, attention_mask=masks, cache=self._cache, position_ids=positions)
        self._masks = self.network.model.decoder.create_diffusion_decoder_attention_mask(
            config=self.network.config,
            inputs_embeds=torch.empty((len(ids), self.block, 1), dtype=self.network.dtype, device=self.device),
            cache=self._cache,
            decoder_attention_mask=torch.nn.functional.pad(self._real, (0, self.block), value=True),
        )

    def _new_cache(self):
        from transformers import DynamicCache

        return DynamicCache(config=self.network.config.get_text_config(decoder=True))


def _places(wanted: list[list[int]], held: list[list[int]]) -> list[int] | None:
    """A place of its own among those held for everything wanted; None if that can't be."""
    free, places = list(range(len(held))), []
    for one in wanted:
        place = next((k for k in free if held[k] == one), None)
        if place is None:
            return None
        free.remove(place)
        places.append(place)
    return places
