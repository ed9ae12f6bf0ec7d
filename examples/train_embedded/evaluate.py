"""Measure the installed model on held-out examples, by plain greedy decoding without any constraint:

    python examples/train_embedded/evaluate.py [--folder /tmp/train] [--count 300]

At each of 16 steps the most confident masked positions are committed. Names, cities and files come from the held-out part.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from tasks import Tasks  # noqa: E402

from dgemma_constrain.models.embedded import DATA, EmbeddedModel, load_embedded  # noqa: E402
from dgemma_constrain.models.embedded.network import EOS, MASK  # noqa: E402


def decode(model: EmbeddedModel, before: list[int], after: list[int], length: int, steps: int = 16) -> str:
    """Greedy masked decoding: commit the most confident positions, about the same number at each step."""
    ids = torch.tensor([before + [MASK] * length + after])
    start, stop = len(before), len(before) + length
    tokens = model.token_bytes()
    for step in range(steps):
        masked = (ids[0, start:stop] == MASK).nonzero()[:, 0]
        if len(masked) == 0:
            break
        best, token = model.logits(ids, start, stop)[0, masked].max(-1)
        keep = best.topk(-(-len(masked) // (steps - step))).indices
        ids[0, start + masked[keep]] = token[keep]
    text = ids[0, start:stop].tolist()
    text = text[: text.index(EOS)] if EOS in text else text
    return b"".join(tokens[i] or b"" for i in text).decode("utf-8", "replace")


def fields(value, path=()) -> dict:
    """A JSON value as {path: leaf}."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in fields(item, (*path, key)).items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {k: v for i, item in enumerate(value) for k, v in fields(item, (*path, i)).items()}
    return {path: value}


def measure(model: EmbeddedModel, count: int, seed: int = 1, length: int | None = 64, shuffled: bool = False) -> dict:
    """Share of exact answers per task, and of exact fields in records. `shuffled` is the control: another example's prompt."""
    tasks, hits = Tasks(random.Random(seed), test=True), defaultdict(list)
    examples = [e for e in (tasks.example() for _ in range(2 * count)) if len(model.encode(e.answer)) < 60][:count]
    prompts = examples[1:] + examples[:1] if shuffled else examples
    for example, shown in zip(examples, prompts):
        if example.after is not None:
            before, after = model.frame_infill(shown.before, shown.after or "")
            size = len(model.encode(example.answer)) + 1
        else:
            before, after = model.frame(shown.before)
            size = length
        text = decode(model, before, after, size)
        hits[example.task].append(text == example.answer)
        if example.task == "record":
            wanted = fields(json.loads(example.answer))
            try:
                got = fields(json.loads(text))
                hits["record parses"].append(True)
            except ValueError:
                got = {}
                hits["record parses"].append(False)
            hits["field"] += [got.get(path) == value for path, value in wanted.items()]
    return {name: (round(sum(v) / len(v), 3), len(v)) for name, v in sorted(hits.items())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=DATA)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", action="store_true", help="answer with another example's prompt")
    args = parser.parse_args()
    print(json.dumps(measure(load_embedded(args.folder), args.count, args.seed, shuffled=args.control)))
