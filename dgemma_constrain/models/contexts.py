"""What the encoder of a DiffusionGemma has read: the contexts of some rows in one cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Contexts:
    """The ids of each row, their cache, bool[B, T] which of it is no padding, and the decoder's masks over it."""

    def __init__(self, network, contexts: list[list[int]]):
        import torch
        from transformers import DynamicCache

        self.network, self.held = network, contexts
        device = network.model.decoder.embed_tokens.weight.device
        longest = max(map(len, contexts))
        ids = torch.tensor([[0] * (longest - len(c)) + c for c in contexts], device=device)
        lengths = torch.tensor([[len(c)] for c in contexts], device=device)
        self.real = torch.arange(longest, device=device) >= longest - lengths
        self.cache = DynamicCache(config=network.config.get_text_config(decoder=True))
        self._read(ids, 0)

    def go_on(self, rows: list[int], contexts: list[list[int]]) -> None:
        """Keep these rows, whose contexts are now longer by a canvas: that alone is read."""
        import torch

        block, begin = self.network.config.canvas_length, self.real.shape[1]
        if rows != list(range(len(self.held))):
            at = torch.tensor(rows, device=self.real.device)
            self.cache.batch_select_indices(at)
            self.real = self.real[at]
        self.real = torch.nn.functional.pad(self.real, (0, block), value=True)
        self._read(torch.tensor([c[-block:] for c in contexts], device=self.real.device), begin)
        self.held = contexts

    def _read(self, ids: torch.Tensor, begin: int) -> None:
        """Read ids int64[B, n] into the cache at position `begin`."""
        import torch

        network, block, device = self.network, self.network.config.canvas_length, ids.device
        positions = torch.arange(begin, begin + ids.shape[1], dtype=torch.int32, device=device)[None]
        masks = network.model.encoder.create_masks_for_generate(
            config=network.config,
            inputs_embeds=torch.empty((*ids.shape, 0), dtype=network.dtype, device=device),
            attention_mask=self.real,
            cache=self.cache,
            position_ids=positions,
            mm_token_type_ids=None,
        )
        network.model.encoder(input_ids=ids, attention_mask=masks, cache=self.cache, position_ids=positions)
        self.masks = network.model.decoder.create_diffusion_decoder_attention_mask(
            config=network.config,
            inputs_embeds=torch.empty((len(ids), block, 1), dtype=network.dtype, device=device),
            cache=self.cache,
            decoder_attention_mask=torch.nn.functional.pad(self.real, (0, block), value=True),
        )


def shared_out(
    wanted: list[list[int]], known: list[Contexts], block: int
) -> list[tuple[Contexts | None, dict[int, int]]]:
    """Who holds the contexts that are wanted: {number of the wanted one: its row}, each once.

    They are there already, or all but their last canvas is. Where that isn't so of every one, all are to be read anew, without
    Contexts: rows that are read together take one forward a step.
    """
    left, found = dict(enumerate(wanted)), []
    for one in known:
        for length in (0, block):  # of what would still have to be read
            rows = _places({k: c[: len(c) - length] for k, c in left.items()}, one.held)
            if rows:
                left = {k: c for k, c in left.items() if k not in rows}
                found.append((one, rows))
                break
    return [(None, {k: k for k in range(len(wanted))})] if left else found


def _places(wanted: dict[int, list[int]], held: list[list[int]]) -> dict[int, int]:
    """A place of its own among those held for everything wanted that is there."""
    free, places = list(range(len(held))), {}
    for k, one in wanted.items():
        place = next((row for row in free if held[row] == one), None)
        if place is not None:
            free.remove(place)
            places[k] = place
    return places
