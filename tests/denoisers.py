"""Denoisers for tests: no weights, logits drawn at random (the same for the same ids), over a real vocabulary."""

from __future__ import annotations

import torch

from dgemma_constrain.tokens import Vocabulary


def words_vocabulary() -> Vocabulary:
    """All bytes, common letter pairs, JSON-like merges and three special ids."""
    pairs = [f"{a}{b}" for a in "etaoinshr" for b in "etaoinshr"]
    merges = ["the", " the", "ing", '":', '", "', '{"', '"}', ": ", ", ", "12", "20", "\n", "  "]
    tokens = [bytes([b]) for b in range(256)] + [t.encode() for t in dict.fromkeys(pairs + merges)]
    return Vocabulary([None, None, None, *tokens], eos_id=0, pad_id=1, mask_id=2)


class RandomDenoiser:
    """Logits that depend on the ids and on the seed alone."""

    def __init__(self, seed: int = 0, block: int = 64, spread: float = 3.0, context_length: int = 512):
        self.vocabulary, self.seed, self.block, self.spread = words_vocabulary(), seed, block, spread
        self.context_length, self.window = context_length, 16
        self.calls: list[list[int]] = []

    def frame(self, prompt: str) -> tuple[list[int], list[int]]:
        return self.vocabulary.encode(prompt), []

    def frame_infill(self, prefix: str, suffix: str) -> tuple[list[int], list[int]]:
        return self.vocabulary.encode(prefix), self.vocabulary.encode(suffix)

    def logits(self, ids: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        self.calls.append(ids[0].tolist())
        return torch.stack([self._of(row)[start:stop] for row in ids.tolist()])

    def _of(self, row: list[int]) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + hash(tuple(row)) % 1_000_000_007)
        return self.spread * torch.randn(len(row), len(self.vocabulary), generator=generator)
