"""The denoiser: a small bidirectional transformer in the Gemma manner, with a copy head.

    ids [B, T], canvas [B, T]  ->  log-probabilities [N, V] at the N positions asked for

RMSNorm, rotary positions, query/key norms, GeGLU, soft-capped logits and tied embeddings are Gemma's. Two things are not,
and both are there because a model of this size otherwise learns the *form* of an answer and not its *values*:

- every block mixes each position with its two neighbours before attention, so "the token after the one just
  written" can be looked up in one layer instead of two;
- the output is a mixture of the vocabulary and of the tokens in sight (a pointer-generator network):
  p(v) = (1 - g) softmax(vocabulary)(v) + g sum_j a_j [ids_j = v], with the pointer's attention a over the visible tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPECIALS = ("<pad>", "<eos>", "<mask>", "<bos>", "<sep>")
PAD, EOS, MASK, BOS, SEP = range(len(SPECIALS))
FLOOR = 1e-9  # what the mixture never goes below, so that log-probabilities stay finite


@dataclass(frozen=True)
class Shape:
    """The sizes that define a network; `config.json` holds exactly these."""

    vocabulary: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 4
    hidden: int = 576
    pointer: int = 64
    context: int = 512
    softcap: float = 30.0


class RMSNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., width] -> the same shape and dtype; the mean square is taken in float32."""
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)
        return (y * (1 + self.scale.float())).to(x.dtype)


class Neighbours(nn.Module):
    """A depthwise convolution of width three, added to its input."""

    def __init__(self, width: int):
        super().__init__()
        self.before, self.after = (nn.Parameter(torch.full((width,), 0.3)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, width] -> [B, T, width]."""
        left, right = F.pad(x, (0, 0, 1, -1)), F.pad(x, (0, 0, -1, 1))
        return x + left * self.before + right * self.after


class Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.heads = shape.heads
        self.norm, self.norm2 = RMSNorm(shape.width), RMSNorm(shape.width)
        self.mix = Neighbours(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.q_norm, self.k_norm = (RMSNorm(shape.width // shape.heads) for _ in range(2))
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        self.up = nn.Linear(shape.width, 2 * shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], real: Tensor, bias: Tensor) -> Tensor:
        """x [B, T, width], turn two of [T, head/2], real [B, T, 1] (0 on padding), bias [B, 1, 1, T] -> [B, T, width]."""
        B, T, D = x.shape
        q, k, v = self.qkv(self.mix(self.norm(x) * real)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(self.q_norm(q), turn), rotate(self.k_norm(k), turn)
        # Written out: on a CPU the backward pass of the fused kernel is three times slower than this.
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(B, T, D))
        gate, value = self.up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.gelu(gate, approximate="tanh") * value)


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions: x [B, H, T, head] turned by its position's angles."""
    cos, sin = turn
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Denoiser(nn.Module):
    """See the module's text. `hidden` runs the transformer, `log_probabilities` the two heads."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.region = nn.Linear(4, shape.width, bias=False)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.width)
        self.query, self.key = (nn.Linear(shape.width, shape.pointer, bias=False) for _ in range(2))
        self.gate = nn.Linear(shape.width, 1)
        nn.init.normal_(self.embed.weight, std=0.5 * shape.width**-0.5)
        for block in self.blocks:
            nn.init.zeros_(block.out.weight), nn.init.zeros_(block.down.weight)
        self.set_positions()

    def set_positions(self) -> None:
        """The rotary angles [context, head/2], which are computed and not stored."""
        half = self.shape.width // self.shape.heads // 2
        angles = torch.arange(self.shape.context)[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def hidden(self, ids: Tensor, canvas: Tensor, padding: Tensor) -> Tensor:
        """ids [B, T] long, canvas [B, T] bool (what is being written), padding [B, T] bool (no token) -> [B, T, width]."""
        dtype = self.embed.weight.dtype
        masked = (ids == MASK) & canvas
        noise = (masked.sum(1) / canvas.sum(1).clamp(min=1))[:, None].expand(ids.shape)
        # The noise level and where the canvas lies, as four numbers per position.
        marks = torch.stack([canvas.float(), noise, noise.square(), masked * noise], -1).to(dtype)
        x = self.embed(ids) * self.shape.width**0.5 + self.region(marks)
        real = (~padding)[..., None].to(dtype)  # padding is nobody's neighbour, as beyond the edge nothing is
        bias = torch.where(padding, -1e4, 0.0).to(dtype)[:, None, None, :]
        T = ids.shape[1]
        turn = self.cos[:T].to(dtype), self.sin[:T].to(dtype)
        for block in self.blocks:
            x = block(x, turn, real, bias)
        return self.norm(x)

    def heads(self, hidden: Tensor, at: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What both heads say at positions `at` [B, N] of hidden [B, T, width].

        Returns float32 log-probabilities of the vocabulary [B, N, V], the pointer's weights [B, N, T], and the gate's logit [B, N, 1].
        """
        h = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))
        cap = self.shape.softcap
        words = (cap * torch.tanh((h @ self.embed.weight.T).float() / cap)).log_softmax(-1)
        scores = (self.query(h) @ self.key(hidden).transpose(1, 2)).float() * self.shape.pointer**-0.5
        scores = scores.masked_fill((ids < len(SPECIALS))[:, None], -1e9)
        return words, scores.softmax(-1), self.gate(h).float()

    def log_probabilities(self, hidden: Tensor, at: Tensor, ids: Tensor) -> Tensor:
        """The mixture's log-probabilities [B, N, V], float32 and finite."""
        words, pointer, gate = self.heads(hidden, at, ids)
        copied = torch.zeros_like(words).scatter_add_(2, ids[:, None].expand(pointer.shape), pointer)
        share = gate.sigmoid()
        return ((1 - share) * words.exp() + share * copied + FLOOR).log()

    def target_loss(self, hidden: Tensor, at: Tensor, ids: Tensor, targets: Tensor) -> Tensor:
        """-log p(targets) [B, N]: the same mixture, without spreading it over the vocabulary."""
        words, pointer, gate = self.heads(hidden, at, ids)
        word = words.gather(2, targets[..., None]).squeeze(2)
        copied = (pointer * (ids[:, None] == targets[..., None])).sum(2)
        gate = gate.squeeze(2)
        return -torch.logaddexp(F.logsigmoid(-gate) + word, F.logsigmoid(gate) + (copied + FLOOR).log())
