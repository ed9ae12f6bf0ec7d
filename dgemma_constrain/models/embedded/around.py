"""Canvases between the same two texts: what stands around them is read once, and then only the canvases are.

A forward over [before, canvas, after] is mostly a forward over the texts, which no step changes. So their keys and values of every
layer are kept, as the texts see a canvas of nothing but masks, and a canvas of any length reads them: an approximation, since
in a bidirectional transformer the texts see what is written between them, too (Wu et al. 2025, "Fast-dLLM", the dual cache).
Positions are exact: the keys of `after` are turned on by as much as a canvas is longer than that one. Of the neighbours that each
block mixes in, the last of `before` and the first of `after` are kept.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dgemma_constrain.models.embedded.forward import Forward
from dgemma_constrain.models.embedded.network import MASK


class Around:
    """before, after: the ids of the texts; `before` has one at least. length: of the canvas that they are read with."""

    @torch.inference_mode()
    def __init__(self, forward: Forward, before: list[int], after: list[int], length: int):
        self._forward, self._length = forward, length
        self._first, self._count = len(before), len(before) + len(after)
        stop, total = len(before) + length, self._count + length
        keep = np.r_[: len(before), stop:total]
        self._layers: list[tuple[Tensor, Tensor]] = []  # keys and values [T, width]
        self._beside: list[np.ndarray] = []  # float32[2, width]: the normed ones left and right of the canvas
        self._rooms: dict[int, list[tuple[Tensor, Tensor]]] = {}  # by the canvas's length
        ids = np.array([*before, *[MASK] * length, *after])
        starts = np.array([0, total])

        def mix(layer, plain, out):
            right = plain[stop] if after else np.zeros_like(plain[0])
            self._beside.append(np.stack([plain[len(before) - 1], right]))
            forward.mix(layer, plain, starts, out)

        def attend(layer, q, k, v, out):
            self._layers.append((k[keep], v[keep]))
            forward.attend_one(q, k, v, out)

        hidden = forward.hidden(ids, starts, np.array([[len(before), stop]]), mix=mix, attend=attend)
        self._ids, self._pointed = ids[keep], forward.key(hidden[keep]).float()

    @torch.inference_mode()
    def logits(self, canvases: Sequence[list[int]]) -> list[Tensor]:
        """Log-probabilities float32[L, V] of each canvas, its L ids holding the mask id where nothing is decided."""
        forward = self._forward
        lengths = [len(one) for one in canvases]
        starts = np.cumsum([0, *lengths])
        ids = np.concatenate([np.array(one, np.int64) for one in canvases])
        # With a token of the texts on either side.
        wide, n = starts + 2 * np.arange(len(starts)), len(canvases)
        inner = np.arange(len(ids)) + 1 + 2 * np.repeat(np.arange(n), lengths)
        padded, mixed = np.empty((wide[-1], forward.shape.width), np.float32), None

        def mix(layer, plain, out):
            nonlocal mixed
            padded[inner] = plain
            padded[wide[:-1]], padded[wide[1:] - 1] = self._beside[layer]
            mixed = np.empty(padded.shape, out.dtype) if mixed is None else mixed
            forward.mix(layer, padded, wide, mixed)
            out[:] = mixed[inner]

        def attend(layer, q, k, v, out):
            for begin, length in zip(starts.tolist(), lengths):
                here = slice(begin, begin + length)
                keys, values = self._room(length)[layer]
                keys[self._count :], values[self._count :] = k[here], v[here]
                forward.attend_one(q[here], keys, values, out[here])

        places = np.stack([starts[:-1], starts[1:]], 1)
        hidden = forward.hidden(ids, starts, places, self._first, mix, attend)
        pointed = forward.key(hidden).float().split(lengths)
        keys = [torch.cat([self._pointed, one]) for one in pointed]
        seen = [np.concatenate([self._ids, ids[a:b]]) for a, b in places]
        return forward.spoken(hidden, keys, seen, lengths)

    def _room(self, length: int) -> list[tuple[Tensor, Tensor]]:
        """Keys and values in each layer for canvases of this length: the texts', and behind them room for the canvas's."""
        if length not in self._rooms:
            by = abs(length - self._length)
            cos = torch.from_numpy(self._forward.cos[by])
            sin = torch.from_numpy(self._forward.sin[by]) * (1 if length > self._length else -1)
            heads, more = self._forward.shape.heads, (0, 0, 0, length)
            self._rooms[length] = [
                (F.pad(_turned_on(k.unflatten(1, (heads, -1)), self._first, cos, sin).flatten(1), more), F.pad(v, more))
                for k, v in self._layers
            ]
        return self._rooms[length]


def _turned_on(keys: Tensor, first: int, cos: Tensor, sin: Tensor) -> Tensor:
    """The keys [T, H, head], those from `first` on turned by angles [head/2] more."""
    a, b = keys[first:].chunk(2, -1)
    return torch.cat([keys[:first], torch.cat([a * cos - b * sin, b * cos + a * sin], -1)])
