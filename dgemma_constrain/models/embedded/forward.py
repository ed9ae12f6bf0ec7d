"""The denoiser's forward pass on a CPU: what `network.py` computes, in half the time.

On a CPU and for a text of some hundred tokens, torch spends more time between a small network's matrix products than in them. So
only these are torch's; all between them is a few loops (`kernels.py`) that read and write each row once. Texts of
different lengths stand one after another and not in padded rows, so that none costs more, or is answered otherwise, than alone. What is
added up along the layers stays in float32, which is nearer to the exact result than `network.py` in bfloat16.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, NamedTuple, Sequence

import numpy as np
import torch
from torch import Tensor

from dgemma_constrain.models.embedded import kernels
from dgemma_constrain.models.embedded.network import FLOOR, MASK, SPECIALS, Block, Denoiser

LOG2_E = 1.44269504
TYPICAL = 192  # tokens of a forward pass: what packed weights are laid out for; others are right, too
Product = Callable[[Tensor], Tensor]


class _Layer(NamedTuple):
    """A block: what multiplies by its matrices, and its vectors in float32, as the kernels take them."""

    qkv: Product
    out: Product
    up: Product
    down: Product
    norm: np.ndarray
    norm2: np.ndarray
    scales: np.ndarray
    before: np.ndarray
    after: np.ndarray


class Forward:
    """A `Denoiser` in float32 or bfloat16, with the weights that it has when this is made."""

    def __init__(self, network: Denoiser):
        self.shape, self.dtype = network.shape, network.embed.weight.dtype
        if self.dtype not in (torch.float32, torch.bfloat16):
            raise TypeError(f"the embedded model computes in float32 or bfloat16, not in {self.dtype}")
        with torch.no_grad():
            self.layers = [_layer(block) for block in network.blocks]
            self.table = _array(network.embed.weight.detach())
            self.region = _floats(network.region.weight.T)
            self.norm = _floats(1 + network.norm.scale.float())
            self.words, self.query, self.key, self.gate = (
                _product(one.weight) for one in (network.embed, network.query, network.key, network.gate)
            )
            self.gate_bias = network.gate.bias.detach().float()
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
        here, keys = [slice(*one) for one in zip(starts.tolist(), starts[1:].tolist())], self.key(hidden).float()
        seen, lengths = [ids[one] for one in here], [stop - start for start, stop in spans]
        return self.spoken(hidden[at], [keys[one] for one in here], seen, lengths)

    def spoken(
        self, chosen: Tensor, keys: Sequence[Tensor], ids: Sequence[np.ndarray], lengths: Sequence[int]
    ) -> list[Tensor]:
        """Log-probabilities at the positions chosen [N, width], so many of each text, given its pointer keys and ids."""
        words = self.words(chosen)
        share = torch.sigmoid(self.gate(chosen).float() + self.gate_bias)[:, 0]
        queries = self.query(chosen).float() * (LOG2_E * self.shape.pointer**-0.5)
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
        mix = mix or (lambda layer, normed, out: self.mix(layer, normed, starts, out))
        attend = attend or (lambda layer, q, k, v, out: self.attend(q, k, v, starts, out))
        N, D = len(ids), self.shape.width
        head = D // self.shape.heads
        x, normed, turned = np.empty((N, D), np.float32), np.empty((N, D), np.float32), torch.empty(2, N, D)
        given, mixed, inner = (torch.empty(N, n, dtype=self.dtype) for n in (D, D, self.shape.hidden))
        into = _array(given)
        kernels.embed(ids, starts, places, MASK, self.table, self.region, x)
        added = into[:0]
        for n, layer in enumerate(self.layers):
            kernels.add_norm(x, added, layer.norm, normed)
            mix(n, normed, into)
            qkv = layer.qkv(given)
            kernels.turn(
                _array(qkv).reshape(-1, head),
                starts,
                layer.scales,
                self.cos[first:],
                self.sin[first:],
                turned.numpy().reshape(-1, head),
            )
            attend(n, *turned, qkv[:, 2 * D :], mixed)
            kernels.add_norm(x, _array(layer.out(mixed)), layer.norm2, into)
            kernels.geglu(_array(layer.up(given)), _array(inner))
            added = _array(layer.down(inner))
        kernels.add_norm(x, added, self.norm, into)
        return given

    def mix(self, layer: int, normed: np.ndarray, starts: np.ndarray, out: np.ndarray) -> None:
        kernels.mix_neighbours(normed, starts, self.layers[layer].before, self.layers[layer].after, out)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, starts: np.ndarray, mixed: Tensor) -> None:
        """Fill mixed with each text's attention; all [N, width], and q such that weights are powers of two."""
        for begin, end in zip(starts.tolist(), starts[1:].tolist()):
            self.attend_one(*(one[begin:end] for one in (q, k, v, mixed)))

    def attend_one(self, q: Tensor, k: Tensor, v: Tensor, mixed: Tensor) -> None:
        """Fill mixed [T, width] for q [T, width], which sees all of k and v [S, width]."""
        queries, keys, values, out = (
            one.unflatten(1, (self.shape.heads, -1)).transpose(0, 1) for one in (q, k, v, mixed)
        )
        scores = torch.bmm(queries, keys.transpose(1, 2))
        weights = torch.empty(scores.shape, dtype=self.dtype)
        kernels.softmax(_array(scores.flatten(0, 1)), _array(weights.view(-1, len(k))))
        torch.bmm(weights, values, out=out)


def _product(weight: Tensor) -> Product:
    """x [n, K] → x @ weight.T; with the weight laid out in advance as oneDNN's kernels read it, where torch can do that."""
    weight = weight.detach()
    try:
        with torch.inference_mode():
            packed = torch.ops.mkldnn._reorder_linear_weight(weight, TYPICAL)
            multiply = partial(_by_packed, packed)
            multiply(weight[:1])
    except (AttributeError, NotImplementedError, RuntimeError):
        return partial(torch.matmul, other=weight.T)
    return multiply


def _by_packed(packed: Tensor, x: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def _layer(block: Block) -> _Layer:
    q, k = 1 + block.q_norm.scale.float(), 1 + block.k_norm.scale.float()
    return _Layer(
        *(_product(linear.weight) for linear in (block.qkv, block.out, block.up, block.down)),
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
