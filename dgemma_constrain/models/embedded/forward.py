"""The denoiser's forward pass on a CPU: what `network.py` computes, in half the time.

On a CPU and for a text of some hundred tokens, torch spends more time between a small network's matrix products than in them. So
only these are torch's; all between them is a few loops (`kernels.py`) that read and write each row once. Texts of
different lengths stand one after another and not in padded rows, so that none costs more, or is answered otherwise, than alone. What is
added up along the layers stays in float32, which is nearer to the exact result than `network.py` in bfloat16.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np
import torch
from torch import Tensor

from dgemma_constrain.models.embedded import kernels
from dgemma_constrain.models.embedded.network import FLOOR, MASK, SPECIALS, Block, Denoiser

LOG2_E = 1.44269504


class _Layer(NamedTuple):
    """A block's matrices, transposed, and its vectors in float32, as the kernels take them."""

    qkv: Tensor
    out: Tensor
    up: Tensor
    down: Tensor
    norm: np.ndarray
    norm2: np.ndarray
    scales: np.ndarray
    before: np.ndarray
    after: np.ndarray


class Forward:
    """A `Denoiser` whose weights are float32 or bfloat16 and stay as they are, ready for use."""

    def __init__(self, network: Denoiser):
        self.shape, self.dtype = network.shape, network.embed.weight.dtype
        if self.dtype not in (torch.float32, torch.bfloat16):
            raise TypeError(f"the embedded model computes in float32 or bfloat16, not in {self.dtype}")
        with torch.no_grad():
            self.layers = [_layer(block) for block in network.blocks]
            self.table = network.embed.weight.detach()
            self.region = _floats(network.region.weight.T)
            self.norm = _floats(1 + network.norm.scale.float())
            self.query, self.key = network.query.weight.detach().T, network.key.weight.detach().T
            self.gate, self.gate_bias = network.gate.weight.detach().T, network.gate.bias.detach().float()
            self.cos, self.sin = _floats(network.cos), _floats(network.sin)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[Sequence[int]], spans: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Log-probabilities float32 [stop - start, V] of the canvas `start, stop` in each text of ids; finite."""
        lengths = [len(text) for text in texts]
        starts = np.cumsum([0, *lengths])
        places = np.array(spans, np.int64) + starts[:-1, None]
        ids = np.concatenate([np.asarray(text, np.int64) for text in texts])
        hidden = self._hidden(ids, starts, places)
        at = torch.from_numpy(np.concatenate([np.arange(*place) for place in places]))
        chosen = hidden[at]
        words = chosen @ self.table.T
        share = torch.sigmoid((chosen @ self.gate).float() + self.gate_bias)[:, 0]
        queries = (chosen @ self.query).float() * (LOG2_E * self.shape.pointer**-0.5)
        keys = (hidden @ self.key).float()
        answers, done = torch.empty(words.shape), 0
        for (first, last), begin, end in zip(places.tolist(), starts.tolist(), starts[1:].tolist()):
            here = slice(done, done + last - first)
            kernels.mixture(
                _array(words[here]),
                _array(queries[here] @ keys[begin:end].T),
                ids[begin:end],
                len(SPECIALS),
                _array(share[here]),
                np.float32(self.shape.softcap),
                np.float32(FLOOR),
                _array(answers[here]),
            )
            done = here.stop
        return list(answers.split([stop - start for start, stop in spans]))

    def _hidden(self, ids: np.ndarray, starts: np.ndarray, places: np.ndarray) -> Tensor:
        """What the transformer makes of ids int64[N]: [N, width]."""
        N, D, H = len(ids), self.shape.width, self.shape.heads
        x = np.empty((N, D), np.float32)
        kernels.embed(ids, starts, places, MASK, _array(self.table), self.region, x)
        plain, normed = torch.empty(N, D), torch.empty(N, D, dtype=self.dtype)
        qkv, up = (torch.empty(N, n, dtype=self.dtype) for n in (3 * D, 2 * self.shape.hidden))
        inner, branch, mixed = (torch.empty(N, n, dtype=self.dtype) for n in (self.shape.hidden, D, D))
        turned, values = torch.empty(2, N * H, D // H), torch.empty(N * H, D // H, dtype=self.dtype)
        added = _array(branch)[:0]
        for layer in self.layers:
            kernels.add_norm(x, added, layer.norm, _array(plain))
            kernels.mix_neighbours(_array(plain), starts, layer.before, layer.after, _array(normed))
            torch.mm(normed, layer.qkv, out=qkv)
            kernels.split_heads(_array(qkv), starts, layer.scales, self.cos, self.sin, _array(turned), _array(values))
            self._attend(*turned, values, starts, mixed)
            torch.mm(mixed, layer.out, out=branch)
            kernels.add_norm(x, _array(branch), layer.norm2, _array(normed))
            torch.mm(normed, layer.up, out=up)
            kernels.geglu(_array(up), _array(inner))
            torch.mm(inner, layer.down, out=branch)
            added = _array(branch)
        kernels.add_norm(x, added, self.norm, _array(normed))
        return normed

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, starts: np.ndarray, mixed: Tensor) -> None:
        """Fill mixed [N, width] with each text's attention, given its [H, T, head] one after another; q is scaled."""
        H = self.shape.heads
        for begin, end in zip(starts.tolist(), starts[1:].tolist()):
            T, here = end - begin, slice(begin * H, end * H)
            queries, keys, values = (one[here].view(H, T, -1) for one in (q, k, v))
            scores = torch.bmm(queries, keys.transpose(1, 2)).view(H * T, T)
            weights = torch.empty(H * T, T, dtype=self.dtype)
            kernels.softmax(_array(scores), _array(weights))
            mixed[begin:end].view(T, H, -1).copy_(torch.bmm(weights.view(H, T, T), values).transpose(0, 1))


def _layer(block: Block) -> _Layer:
    q, k = 1 + block.q_norm.scale.float(), 1 + block.k_norm.scale.float()
    return _Layer(
        *(linear.weight.detach().T for linear in (block.qkv, block.out, block.up, block.down)),
        norm=_floats(1 + block.norm.scale.float()),
        norm2=_floats(1 + block.norm2.scale.float()),
        scales=_floats(torch.stack([q * (LOG2_E * len(q) ** -0.5), k])),
        before=_floats(block.mix.before),
        after=_floats(block.mix.after),
    )


def _floats(values: Tensor) -> np.ndarray:
    return values.detach().float().contiguous().numpy()


def _array(values: Tensor) -> np.ndarray:
    """The same memory for a kernel: bfloat16 as its bits."""
    return (values.view(torch.uint16) if values.dtype == torch.bfloat16 else values).numpy()
