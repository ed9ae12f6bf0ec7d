"""Examples become noised batches: ids, which positions are scored, and what they should say."""

import random
from dataclasses import dataclass

import torch
from tasks import Example, Tasks
from torch import Tensor

from dgemma_constrain.models.embedded.network import BOS, EOS, MASK, PAD, SEP

SCORED = 28  # at most this many masked positions of a row are scored
TAIL = 4  # and at most this many of them in the pad tail, which is easy and often long


@dataclass
class Row:
    ids: list[int]  # the clean sequence
    start: int
    stop: int  # the canvas is ids[start:stop]
    end: int  # where the answer ends: ids[end] is <eos> when end < stop
    holes: list[int]  # canvas positions inside the example's holes


@dataclass
class Batch:
    ids: Tensor  # long [B, T], noised
    canvas: Tensor  # bool [B, T]
    padding: Tensor  # bool [B, T]
    at: Tensor  # long [B, N]: scored positions
    targets: Tensor  # long [B, N]
    weight: Tensor  # float [B, N], 0 where a row has fewer than N

    @property
    def tokens(self) -> int:
        return int((~self.padding).sum())


def lay_out(example: Example, encode, rng: random.Random, context: int) -> Row | None:
    """The clean sequence, with a canvas of random length; None when it does not fit."""
    pieces = [encode(piece) for piece in example.pieces]
    answer = [token for piece in pieces for token in piece]
    n = len(answer)
    if example.after is None:
        before, after = [BOS, *encode(example.before), SEP], []
    else:
        before, after = [BOS, *encode(example.before)], encode(example.after)
    length = canvas_length(n, rng, example.after is not None)
    if n == 0 or n > 112 or len(before) + length + len(after) > context:
        return None
    tail = ([EOS] + [PAD] * length)[: length - n]
    holes, position = [], len(before)
    for i, piece in enumerate(pieces):
        holes += range(position, position + len(piece)) if i % 2 else []
        position += len(piece)
    start = len(before)
    return Row(before + answer + tail + after, start, start + length, start + n, holes)


def canvas_length(n: int, rng: random.Random, infill: bool) -> int:
    """At least n: exact, exact and an end, one of the usual lengths, or a little more."""
    r = rng.random()
    if r < 0.15:
        return n
    if r < 0.3:
        return n + 1
    if r < (0.45 if infill else 0.65):
        return min([k for k in (8, 16, 24, 32, 48, 64, 64, 96, 128) if k >= n], key=lambda k: rng.random() * k)
    return rng.randint(n, n + 16)


def noised_positions(row: Row, rng: random.Random) -> list[int]:
    """Which canvas positions to mask: masked diffusion's own noise, and the shapes that decoding and templates meet."""
    canvas = range(row.start, row.stop)
    text, tail = range(row.start, row.end), range(row.end, row.stop)
    r = rng.random()
    if len(row.holes) < len(text) and r < 0.6:  # a template: its fixed text stands
        level = rng.choice([1.0, 1.0, rng.random()])
        chosen = [i for i in row.holes if rng.random() < level] + [i for i in tail if rng.random() < level]
    elif r < 0.45:
        level = rng.random()
        chosen = [i for i in canvas if rng.random() < level]
    elif r < 0.6:
        chosen = list(canvas)
    elif r < 0.88:  # all from somewhere on; the tail may be settled already
        cut = rng.randint(row.start, max(row.start, row.end - 1))
        chosen = list(range(cut, row.end)) + (list(tail) if rng.random() < 0.5 else [])
        chosen = [i for i in chosen if i < cut + 2 or rng.random() < 0.95]
    else:  # a few runs, as rewriting does
        chosen = []
        for _ in range(rng.randint(1, 3)):
            a = rng.choice(canvas)
            chosen += range(a, min(row.stop, a + rng.randint(1, 8)))
        chosen = sorted(set(chosen))
    return chosen or [rng.choice(canvas)]


def collate(rows: list[Row], rng: random.Random) -> Batch:
    """Rows of similar length -> one padded, noised batch. Each row counts the same: the mean over its masked
    positions, which is masked diffusion's weight of one over the noise level."""
    T = -(-max(len(r.ids) for r in rows) // 16) * 16
    B = len(rows)
    ids, canvas = torch.full((B, T), PAD), torch.zeros(B, T, dtype=torch.bool)
    scored = []
    for b, row in enumerate(rows):
        ids[b, : len(row.ids)] = torch.tensor(row.ids)
        canvas[b, row.start : row.stop] = True
        masked = noised_positions(row, rng)
        text = [i for i in masked if i <= row.end]
        tail = [i for i in masked if i > row.end]
        scored.append(rng.sample(text, min(len(text), SCORED - TAIL)) + rng.sample(tail, min(len(tail), TAIL)))
        row.masked = masked
    N = -(-max(map(len, scored)) // 8) * 8
    at, targets, weight = torch.zeros(B, N, dtype=torch.long), torch.zeros(B, N, dtype=torch.long), torch.zeros(B, N)
    for b, (row, positions) in enumerate(zip(rows, scored)):
        k = len(positions)
        at[b, :k] = torch.tensor(positions)
        targets[b, :k] = ids[b, positions]
        weight[b, :k] = 1 / k
        ids[b, row.masked] = MASK
    lengths = torch.tensor([len(r.ids) for r in rows])
    padding = torch.arange(T) >= lengths[:, None]
    return Batch(ids, canvas, padding, at, targets, weight / B)


def batches(tasks: Tasks, encode, rng: random.Random, context: int, tokens: int, progress):
    """Endless batches of about `tokens` tokens, rows of similar length together. `progress()` drives the curriculum."""
    while True:
        pool = []
        while len(pool) < 1500:
            row = lay_out(tasks.example(progress()), encode, rng, context)
            if row:
                pool.append(row)
        pool.sort(key=lambda row: len(row.ids))
        groups, group = [], []
        for row in pool:
            if group and (len(group) + 1) * (len(row.ids) + 15) > tokens:
                groups.append(group)
                group = []
            group.append(row)
        groups += [group]
        rng.shuffle(groups)
        for group in (g for g in groups if len(g) > 1):  # a batch of one would be compiled anew
            yield collate(group, rng)
