"""Canvases between the same two texts: what stands around them is read once, and then only the canvases are.

A forward over [before, canvas, after] is mostly a forward over the texts, which no step changes. So their keys and values of every
layer are kept, as the texts see a canvas of nothing but masks, and a canvas of any length reads them: an approximation, since
in a bidirectional transformer the texts see what is written between them, too (Wu et al. 2025, "Fast-dLLM", the dual cache).
Rotary positions are exact: keys are kept as they are before they are turned, and turned for each canvas by where `after` begins
behind it. Of the neighbours that each block mixes in, the last of `before` and the first of `after` are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .network import FLOOR, MASK, SPECIALS, rotate

if TYPE_CHECKING:
    from .network import Denoiser


class Layer(NamedTuple):
    """Of the texts' T tokens at a layer: keys, not turned, and values [H, T, head]; the normed ones beside the canvas [width]."""

    k: Tensor
    v: Tensor
    left: Tensor
    right: Tensor


class Around:
    """before, after: the ids of the texts; `before` has one at least. length: of the canvas of masks that they are read with."""

    def __init__(self, network: Denoiser, before: list[int], after: list[int], length: int):
        self.network, self.before, self.after = network, before, after
        self.ids = torch.tensor([*before, *after])
        B, T = len(before), len(before) + length + len(after)
        keep = torch.cat([torch.arange(B), torch.arange(B + length, T)])
        ids = torch.tensor([[*before, *[MASK] * length, *after]])
        canvas = ((torch.arange(T) >= B) & (torch.arange(T) < B + length))[None]
        self.layers: list[Layer] = []
        with torch.inference_mode():
            x = _entered(network, ids, canvas)
            turn = _turn(network, torch.arange(T), x.dtype)
            for block in network.blocks:
                normed = block.norm(x)
                q, k, v = _split(block, block.mix(normed, None))
                right = normed[0, B + length] if after else torch.zeros_like(normed[0, 0])
                self.layers.append(Layer(k[0][:, keep], v[0][:, keep], normed[0, B - 1], right))
                y = F.scaled_dot_product_attention(rotate(q, turn), rotate(k, turn), v)
                x = _onward(block, x, y)
            self.hidden = network.norm(x)[0, keep]
            self.keys = network.key(self.hidden)

    def logits(self, canvases: list[list[int]]) -> list[Tensor]:
        """Log-probabilities float32[L, V] of each canvas, its L ids holding the mask id where nothing is decided."""
        network, lengths = self.network, torch.tensor([len(one) for one in canvases])
        n, width = len(canvases), int(lengths.max())
        ids = torch.tensor([[*one, *[0] * (width - len(one))] for one in canvases])
        real = torch.arange(width) < lengths[:, None]
        B, A = len(self.before), len(self.after)
        with torch.inference_mode():
            x = _entered(network, ids, real)
            dtype = x.dtype
            # Where the texts' tokens and the canvas's stand, in each row.
            behind = B + lengths[:, None] + torch.arange(A)
            outer = torch.cat([torch.arange(B).expand(n, B), behind], 1)
            turn_outer = _turn(network, outer, dtype)
            turn = _turn(network, B + torch.arange(width), dtype)
            seen = torch.cat([torch.ones(n, B + A, dtype=torch.bool), real], 1)[:, None, None]
            last = torch.arange(width) == lengths[:, None] - 1
            for block, layer in zip(network.blocks, self.layers):
                normed = block.norm(x)
                left = torch.cat([layer.left.expand(n, 1, -1), normed[:, :-1]], 1)
                right = F.pad(normed[:, 1:], (0, 0, 0, 1))
                right = torch.where(last[..., None], layer.right, right)
                q, k, v = _split(block, normed + left * block.mix.before + right * block.mix.after)
                k = torch.cat([rotate(layer.k.expand(n, *layer.k.shape), turn_outer), rotate(k, turn)], 2)
                v = torch.cat([layer.v.expand(n, *layer.v.shape), v], 2)
                x = _onward(block, x, F.scaled_dot_product_attention(rotate(q, turn), k, v, attn_mask=seen))
            h = network.norm(x)
            answers = self._heads(h[real], ids[real], real, lengths)
        return list(answers.split(lengths.tolist()))

    def _heads(self, h: Tensor, ids: Tensor, real: Tensor, lengths: Tensor) -> Tensor:
        """h [N, width] of all canvases' positions, one after the other; ids [N]."""
        network = self.network
        cap = network.shape.softcap
        words = (cap * torch.tanh((h @ network.embed.weight.T).float() / cap)).softmax(-1)
        row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        query, visible = network.query(h), torch.cat([self.ids, ids])
        scores = (query @ torch.cat([self.keys, network.key(h)]).T).float() * network.shape.pointer**-0.5
        other = torch.cat([torch.zeros(len(h), len(self.ids), dtype=torch.bool), row[:, None] != row], 1)
        pointer = scores.masked_fill(other | (visible < len(SPECIALS)), -1e9).softmax(-1)
        share = network.gate(h).float().sigmoid()
        return words.mul_(1 - share).scatter_add_(1, visible.expand(pointer.shape), pointer * share).add_(FLOOR).log_()


def _entered(network: Denoiser, ids: Tensor, canvas: Tensor) -> Tensor:
    masked = (ids == MASK) & canvas
    noise = (masked.sum(1) / canvas.sum(1).clamp(min=1))[:, None].expand(ids.shape)
    marks = torch.stack([canvas.float(), noise, noise.square(), masked * noise], -1).to(network.embed.weight.dtype)
    return network.embed(ids) * network.shape.width**0.5 + network.region(marks)


def _turn(network: Denoiser, places: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    cos, sin = network.cos[places].to(dtype), network.sin[places].to(dtype)
    return (cos[:, None], sin[:, None]) if places.dim() == 2 else (cos, sin)


def _split(block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys, normed and not turned, and values, [B, H, T, head]."""
    q, k, v = block.qkv(x).view(*x.shape[:2], 3, block.heads, -1).permute(2, 0, 3, 1, 4)
    return block.q_norm(q), block.k_norm(k), v


def _onward(block, x: Tensor, attended: Tensor) -> Tensor:
    x = x + block.out(attended.transpose(1, 2).reshape(x.shape))
    gate, value = block.up(block.norm2(x)).chunk(2, -1)
    return x + block.down(F.gelu(gate, approximate="tanh") * value)
