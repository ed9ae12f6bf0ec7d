"""Examples become rows of 512 ids, several examples to a row, made by worker processes while training runs.

Each worker draws examples from its own seed and leaves shards in a folder; the trainer takes what is there. Which positions
are masked is not decided here but on the device (`noise.py`), so that a row can be met again with other masks.
"""

import os
import random
import sys
import time
from pathlib import Path

import numpy as np
from sources import load
from tasks import Example, Tasks
from tokenizers import Tokenizer

from dgemma_constrain.models.embedded import Tokens
from dgemma_constrain.models.embedded.network import BOS, EOS, PAD, SEP

ROW = 512
LONGEST = 127  # tokens of an answer
ROWS = 1024  # per shard
PROMPT, ANSWER = 192, 64  # of a pair, for a model that reads a prompt and writes a canvas
# What a position is, as a byte in `Shard["part"]`.
GIVEN, FIXED, HOLE, TAIL = range(4)  # outside a canvas; a template's own text; to be written; from the end token on

Rendered = tuple[list[int], np.ndarray]  # an example's ids, and the part of each


def render(example: Example, encode, rng: random.Random, longest: int = ROW) -> Rendered | None:
    """The clean ids and their parts, with a canvas of random length; None when it does not fit."""
    pieces = [encode(piece) for piece in example.pieces]
    answer = [token for piece in pieces for token in piece]
    n = len(answer)
    if not 0 < n <= LONGEST:
        return None
    if example.after is None:
        before, after = [BOS, *encode(example.before), SEP], []
    else:
        before, after = [BOS, *encode(example.before)], encode(example.after)
    length = canvas_length(n, rng, example.after is not None)
    if len(before) + length + len(after) > longest:
        return None
    tail = ([EOS] + [PAD] * length)[: length - n]
    part = [GIVEN] * len(before)
    for i, piece in enumerate(pieces):
        part += [HOLE if i % 2 else FIXED] * len(piece)
    part += [TAIL] * len(tail) + [GIVEN] * len(after)
    return before + answer + tail + after, np.array(part, np.uint8)


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


def pack(rendered: list[Rendered]) -> dict[str, np.ndarray]:
    """Rows of ROW ids, first fit: ids int16, text uint8 (which of the row's texts), part uint8; each [rows, ROW]."""
    bins: list[list[Rendered]] = []
    space: list[int] = []
    for item in rendered:
        size = len(item[0])
        at = next((i for i in range(max(0, len(bins) - 8), len(bins)) if space[i] >= size), None)
        if at is None:
            bins.append([]), space.append(ROW)
            at = len(bins) - 1
        bins[at].append(item)
        space[at] -= size
    ids = np.full((len(bins), ROW), PAD, np.int16)
    text, part = np.zeros((len(bins), ROW), np.uint8), np.zeros((len(bins), ROW), np.uint8)
    for b, items in enumerate(bins):
        position = 0
        for k, (row, parts) in enumerate(items):
            end = position + len(row)
            ids[b, position:end], text[b, position:end], part[b, position:end] = row, k, parts
            position = end
        text[b, position:] = len(items)
    return dict(ids=ids, text=text, part=part)


def pairs(rendered: list[Rendered]) -> dict[str, np.ndarray]:
    """The examples that answer a prompt: prompt int16 [N, PROMPT], padded on the left, and answer int16 [N, ANSWER], end token included."""
    prompts, answers = [], []
    for ids, part in rendered:
        start = int((part != GIVEN).argmax())
        answer = [i for i, p in zip(ids, part) if p in (FIXED, HOLE)]
        if ids[start - 1] == SEP and part[-1] != GIVEN and start <= PROMPT and len(answer) < ANSWER:
            prompts.append([PAD] * (PROMPT - start) + ids[:start])
            answers.append(answer + [EOS] + [PAD] * (ANSWER - 1 - len(answer)))
    return dict(prompt=np.array(prompts, np.int16), answer=np.array(answers, np.int16))


def leave(folder: Path, name: str, arrays: dict[str, np.ndarray]) -> None:
    """A file that is there whole or not at all."""
    with (folder / f".{name}").open("wb") as file:
        np.savez(file, **arrays)
    os.replace(folder / f".{name}", folder / name)


def work(folder: Path, sources: Path, tokenizer: Path, seed: int, until: float, began: float, most: int) -> None:
    """Fill `folder` with shards until the clock (time.time) says `until`; at most `most` wait there unread."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.nice(10)
    rng = random.Random(seed)
    tasks, encode = Tasks(rng, load(sources)), Tokens(Tokenizer.from_file(str(tokenizer))).encode
    count, beside = 0, folder.parent / f"{folder.name}-pairs"
    beside.mkdir(exist_ok=True)
    while (now := time.time()) < until:
        if len(list(folder.glob(f"{seed}-*.npz"))) >= most:
            time.sleep(0.1)
            continue
        progress, items, size = (now - began) / (until - began), [], 0
        while size < 1.02 * ROWS * ROW:  # some space is lost at the ends of rows
            try:
                item = render(tasks.example(progress), encode, rng)
            except (
                ValueError,
                IndexError,
                KeyError,
                RecursionError,
            ) as error:  # one in millions must not end the worker
                print(f"worker {seed}: {error!r}", file=sys.stderr)
                continue
            if item:
                items.append(item)
                size += len(item[0])
        shard, name = pack(items), f"{seed}-{count:06d}.npz"
        leave(folder, name, {key: value[:ROWS] for key, value in shard.items()})
        if len(list(beside.glob(f"{seed}-*.npz"))) < 4:
            leave(beside, name, pairs(items))
        count += 1
