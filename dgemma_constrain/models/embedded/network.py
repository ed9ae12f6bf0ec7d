"""The denoiser: a small bidirectional transformer in the Gemma manner, with a copy head.

    ids [B, T], canvas [B, T]  ->  log-probabilities [B, N, V] at the N positions asked for

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

    vocabulary: int = 8192
    width: int = 384
    layers: int = 6
    heads: int = 6
    hidden: int = 704
    pointer: int = 96
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

    def forward(self, x: Tensor, joined: Tensor | None) -> Tensor:
        """x [B, T, width] -> [B, T, width]; joined [B, T, 1] is 1 where a position continues the one before it."""
        left = F.pad(x, (0, 0, 1, -1))
        right = F.pad(x, (0, 0, -1, 1))
        if joined is not None:
            left, right = left * joined, right * F.pad(joined, (0, 0, -1, 1))
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

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], joined: Tensor | None, seen: Tensor | None) -> Tensor:
        """x [B, T, width], turn two of [B or 1, 1, T, head/2], joined [B, T, 1], seen [B, 1, T, T] bool -> [B, T, width]."""
        B, T, D = x.shape
        q, k, v = self.qkv(self.mix(self.norm(x), joined)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(self.q_norm(q), turn), rotate(self.k_norm(k), turn)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, D))
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

    def hidden(self, ids: Tensor, canvas: Tensor, texts: Tensor | None = None) -> Tensor:
        """ids [B, T] long, canvas [B, T] bool (what is being written) -> [B, T, width].

        texts [B, T] long: a row may hold several texts one after another, which don't see each other; this numbers them
        from 0 up, without gaps. None: each row is one text.
        """
        B, T = ids.shape
        dtype = self.embed.weight.dtype
        masked = (ids == MASK) & canvas
        if texts is None:
            noise = (masked.sum(1) / canvas.sum(1).clamp(min=1))[:, None].expand(B, T)
            turn, joined, seen = (self.cos[:T], self.sin[:T]), None, None
        else:
            count = torch.zeros(2, B, T, device=ids.device)
            count.scatter_add_(2, texts.expand(2, B, T), torch.stack([masked, canvas]).float())
            noise = (count[0] / count[1].clamp(min=1)).gather(1, texts)
            first = F.pad(texts[:, 1:] != texts[:, :-1], (1, 0), value=True)
            index = torch.arange(T, device=ids.device).expand(B, T)
            place = index - torch.where(first, index, 0).cummax(1).values
            turn = self.cos[place][:, None], self.sin[place][:, None]
            joined = (~first)[..., None].to(dtype)
            seen = (texts[:, :, None] == texts[:, None, :])[:, None]
        # The noise level and where the canvas lies, as four numbers per position.
        marks = torch.stack([canvas.float(), noise, noise.square(), masked * noise], -1).to(dtype)
        x = self.embed(ids) * self.shape.width**0.5 + self.region(marks)
        turn = turn[0].to(dtype), turn[1].to(dtype)
        for block in self.blocks:
            x = block(x, turn, joined, seen)
        return self.norm(x)

    def heads(self, hidden: Tensor, at: Tensor, ids: Tensor, texts: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """What both heads say at positions `at` [B, N] of hidden [B, T, width].

        Returns float32 log-probabilities of the vocabulary [B, N, V], the pointer's weights [B, N, T], and the gate's logit [B, N, 1].
        """
        h = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))
        cap = self.shape.softcap
        words = (cap * torch.tanh((h @ self.embed.weight.T).float() / cap)).log_softmax(-1)
        scores = (self.query(h) @ self.key(hidden).transpose(1, 2)).float() * self.shape.pointer**-0.5
        hidden_from = (ids < len(SPECIALS))[:, None]
        if texts is not None:
            hidden_from = hidden_from | (texts.gather(1, at)[:, :, None] != texts[:, None])
        return words, scores.masked_fill(hidden_from, -1e9).softmax(-1), self.gate(h).float()

    def log_probabilities(self, hidden: Tensor, at: Tensor, ids: Tensor) -> Tensor:
        """The mixture's log-probabilities [B, N, V], float32 and finite."""
        words, pointer, gate = self.heads(hidden, at, ids, None)
        copied = torch.zeros_like(words).scatter_add_(2, ids[:, None].expand(pointer.shape), pointer)
        share = gate.sigmoid()
        return ((1 - share) * words.exp() + share * copied + FLOOR).log()

    def target_loss(
        self, hidden: Tensor, at: Tensor, ids: Tensor, targets: Tensor, texts: Tensor | None = None
    ) -> Tensor:
        """-log p(targets) [B, N]: the same mixture, without spreading it over the vocabulary."""
        words, pointer, gate = self.heads(hidden, at, ids, texts)
        word = words.gather(2, targets[..., None]).squeeze(2)
        copied = (pointer * (ids[:, None] == targets[..., None])).sum(2)
        gate = gate.squeeze(2)
        return -torch.logaddexp(F.logsigmoid(-gate) + word, F.logsigmoid(gate) + (copied + FLOOR).log())
