"""The denoiser's forward pass on a CPU: what `network.py` computes, in half the time.

On a CPU and for a text of some hundred tokens, torch spends more time between a small network's matrix products than in them. So
only these are torch's; all between them is a few loops (`kernels.py`) that read and write each row once. Texts of
different lengths stand one after another and not in padded rows, so that none costs more, or is answered otherwise, than alone. What is
added up along the layers stays in float32, which is nearer to the exact result than `network.py` in bfloat16.
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

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
        hidden = self.hidden(ids, starts, places)
        at = torch.from_numpy(np.concatenate([np.arange(*place) for place in places]))
        here = [slice(begin, end) for begin, end in zip(starts.tolist(), starts[1:].tolist())]
        keys = (hidden @ self.key).float()
        return self.spoken(
            hidden[at], [keys[one] for one in here], [ids[one] for one in here], [b - a for a, b in spans]
        )

    def spoken(
        self, chosen: Tensor, keys: Sequence[Tensor], ids: Sequence[np.ndarray], lengths: Sequence[int]
    ) -> list[Tensor]:
        """Log-probabilities at the positions chosen [N, width], so many of each text, whose pointer keys and ids are given."""
        words = chosen @ self.table.T
        share = torch.sigmoid((chosen @ self.gate).float() + self.gate_bias)[:, 0]
        queries = (chosen @ self.query).float() * (LOG2_E * self.shape.pointer**-0.5)
        answers, done = torch.empty(words.shape), 0
        for key, seen, length in zip(keys, ids, lengths):
            here = slice(done, done + length)
            kernels.mixture(
                _array(words[here]),
                _array(queries[here] @ key.T),
                seen,
                len(SPECIALS),
                _array(share[here]),
                np.float32(self.shape.softcap),
                np.float32(FLOOR),
                _array(answers[here]),
            )
            done = here.stop
        return list(answers.split(list(lengths)))

    def hidden(
        self,
        ids: np.ndarray,
        starts: np.ndarray,
        places: np.ndarray,
        first: int = 0,
        mix: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
        attend: Callable[[int, Tensor, Tensor, Tensor, Tensor], None] | None = None,
    ) -> Tensor:
        """What the transformer makes of ids int64[N]: [N, width].

        first: the position of a text's first token. mix(layer, normed ones, out), attend(layer, q, k, v, out): instead of
        `mix` and `attend`, in which alone positions see others.
        """
        mix = mix or (lambda layer, plain, out: self.mix(layer, plain, starts, out))
        attend = attend or (lambda layer, q, k, v, out: self.attend(q, k, v, starts, out))
        N, D, H = len(ids), self.shape.width, self.shape.heads
        x = np.empty((N, D), np.float32)
        kernels.embed(ids, starts, places, MASK, _array(self.table), self.region, x)
        plain, normed = torch.empty(N, D), torch.empty(N, D, dtype=self.dtype)
        qkv, up = (torch.empty(N, n, dtype=self.dtype) for n in (3 * D, 2 * self.shape.hidden))
        inner, branch, mixed = (torch.empty(N, n, dtype=self.dtype) for n in (self.shape.hidden, D, D))
        turned, values = torch.empty(2, N * H, D // H), torch.empty(N * H, D // H, dtype=self.dtype)
        added = _array(branch)[:0]
        for n, layer in enumerate(self.layers):
            kernels.add_norm(x, added, layer.norm, _array(plain))
            mix(n, _array(plain), _array(normed))
            torch.mm(normed, layer.qkv, out=qkv)
            cos, sin = self.cos[first:], self.sin[first:]
            kernels.split_heads(_array(qkv), starts, layer.scales, cos, sin, _array(turned), _array(values))
            attend(n, *turned, values, mixed)
            torch.mm(mixed, layer.out, out=branch)
            kernels.add_norm(x, _array(branch), layer.norm2, _array(normed))
            torch.mm(normed, layer.up, out=up)
            kernels.geglu(_array(up), _array(inner))
            torch.mm(inner, layer.down, out=branch)
            added = _array(branch)
        kernels.add_norm(x, added, self.norm, _array(normed))
        return normed

    def mix(self, layer: int, plain: np.ndarray, starts: np.ndarray, out: np.ndarray) -> None:
        kernels.mix_neighbours(plain, starts, self.layers[layer].before, self.layers[layer].after, out)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, starts: np.ndarray, mixed: Tensor) -> None:
        """Fill mixed [N, width] with each text's attention, given its [H, T, head] one after another; q is scaled."""
        H = self.shape.heads
        for begin, end in zip(starts.tolist(), starts[1:].tolist()):
            here = slice(begin * H, end * H)
            self.attend_one(*(one[here].view(H, end - begin, -1) for one in (q, k, v)), mixed[begin:end])

    def attend_one(self, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> None:
        """Fill out [T, width], given q [H, T, head], and k and v of all that it sees."""
        H, T, _ = q.shape
        scores = torch.bmm(q, k.transpose(1, 2)).view(H * T, -1)
        weights = torch.empty(scores.shape, dtype=self.dtype)
        kernels.softmax(_array(scores), _array(weights))
        out.view(T, H, -1).copy_(torch.bmm(weights.view(H, T, -1), v).transpose(0, 1))


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
