"""Train the embedded denoiser, on a GPU if there is one. From the repository's root:

    python examples/train_embedded/sources.py --out /tmp/train/sources.json.xz
    python examples/train_embedded/train.py --out /tmp/train --seconds 500
    python examples/train_embedded/train.py --out /tmp/train --install

Worker processes make examples (`packing.py`) while this one trains on them; what is masked is drawn on the device (`noise.py`). The schedule
follows the clock: the learning rate falls to zero as `--seconds`, counted from the start of the process, run out. The weights are
written about once a minute, whole or not at all, in pieces of at most 15 MB. `--install` joins them and copies them into the package.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import shutil
import sys
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from muon import Optimizer  # noqa: E402
from noise import choose_scored, draw_masks  # noqa: E402
from packing import GIVEN, work  # noqa: E402
from sources import load  # noqa: E402
from tasks import Tasks  # noqa: E402
from text import train_tokenizer  # noqa: E402

from dgemma_constrain.models.embedded import DATA  # noqa: E402
from dgemma_constrain.models.embedded.network import MASK, Denoiser, Shape  # noqa: E402

WARMUP, DECAY = 200, 0.6  # rising for so many steps, falling to zero in this last share of the run
RATE, RATE_MATRICES = 3e-3, 3e-3
SCORED = 128  # masked positions of a row that are scored
SAVE_SECONDS = 60
PIECE = 15_000_000  # bytes


def tokenizer_texts(tasks: Tasks, count: int = 60_000):
    """What the tokenizer is trained on: prompts and answers of every task, code among them."""
    for _ in range(count):
        example = tasks.example()
        yield example.before + "\n" + example.answer + (example.after or "")


def rate(step: int, progress: float, warmup: int = WARMUP) -> float:
    """The learning rate's factor at this step and this share of the run."""
    return max(0.0, min(1.0, (step + 1) / warmup, (1 - progress) / DECAY))


def start_workers(args: argparse.Namespace, until: float) -> list[multiprocessing.Process]:
    """Processes of their own that leave shards in `args.shards`."""
    args.shards.mkdir(parents=True, exist_ok=True)
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(
            target=work,
            args=(args.shards, args.sources, args.tokenizer, args.seed + 1 + k, until, args.began, args.waiting),
            daemon=True,
        )
        for k in range(args.workers)
    ]
    for process in processes:
        process.start()
    return processes


class Rows:
    """The rows to train on: new shards as they come, those seen before while there are none."""

    def __init__(self, folder: Path, device: torch.device, batch: int, until: float):
        self.folder, self.device, self.batch, self.until = folder, device, batch, until
        self.pool: deque = deque(maxlen=2000)  # on the device: 4 bytes for each id
        self.fresh = self.again = 0

    def _next_shard(self) -> tuple:
        while True:
            names = [n for n in os.listdir(self.folder) if n[0] != "."]
            if names:
                name = min(names, key=lambda n: n.rpartition("-")[2])
                with np.load(self.folder / name) as shard:
                    arrays = [torch.from_numpy(shard[key]).to(self.device) for key in ("ids", "text", "part")]
                os.remove(self.folder / name)
                self.pool.append(arrays)
                self.fresh += 1
                return arrays
            if self.pool:
                self.again += 1
                return random.choice(self.pool)
            if time.time() > self.until:
                raise RuntimeError("the workers made no examples in time; give more --seconds")
            time.sleep(0.2)

    def __iter__(self):
        while True:
            ids, text, part = self._next_shard()
            order = torch.randperm(len(ids), device=self.device)
            for chosen in order.split(self.batch):
                if len(chosen) == self.batch:
                    yield ids[chosen].long(), text[chosen].long(), part[chosen].long()


def loss_of(network: Denoiser, ids, text, part):
    """The mean loss of one batch under masks drawn here."""
    mask = draw_masks(text, part)
    at, weight = choose_scored(text, part, mask, SCORED)
    noised = torch.where(mask, MASK, ids)
    hidden = network.hidden(noised, part != GIVEN, text)
    losses = network.target_loss(hidden, at, noised, ids.gather(1, at), text)
    return (losses * weight).sum()


def train(args: argparse.Namespace, shape: Shape) -> None:
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    until = args.began + args.seconds
    (args.out / "config.json").write_text(json.dumps(asdict(shape), indent=2) + "\n")
    start_workers(args, until)
    network = Denoiser(shape).to(device).bfloat16()
    optimizer = Optimizer(dict(network.named_parameters()), RATE, RATE_MATRICES)
    losses = torch.compile(lambda *batch: loss_of(network, *batch), disable=args.no_compile, dynamic=False)
    rows = Rows(args.shards, device, args.batch, until)
    data, state, total, logged, saved = iter(rows), dict(step=0, tokens=0), 0.0, time.time(), time.time()
    while (progress := (time.time() - args.began) / args.seconds) < 1:
        began = time.time()
        ids, text, part = next(data)
        loss = losses(ids, text, part)
        loss.backward()
        optimizer.step(rate(state["step"], progress))
        state["step"] += 1
        state["tokens"] += ids.numel()
        total = total + loss.detach()
        if state["step"] == 1:
            note(
                args.out,
                dict(
                    event="first step",
                    loss=float(loss.detach()),
                    began=round(began - args.began, 1),
                    seconds=round(time.time() - args.began, 1),
                ),
            )
        if args.share < 1:  # leave the device to others for the rest of the time
            if device.type == "cuda":
                torch.cuda.synchronize()
            time.sleep((time.time() - began) * (1 / args.share - 1))
        if state["step"] % args.every == 0:
            value, now = float(total) / args.every, time.time()
            speed = args.every * ids.numel() / (now - logged)
            record = state | dict(
                seconds=round(now - args.began, 1), loss=round(value, 4), rate=round(rate(state["step"], progress), 4),
                tokens_per_second=int(speed), fresh=rows.fresh, again=rows.again,
            )  # fmt: skip
            note(args.out, record)
            total, logged = 0.0, now
            if not math.isfinite(value):
                raise RuntimeError("the loss is not finite")
        if time.time() - saved > args.save_seconds:
            write(args.out, "model", optimizer.master, state)
            saved = time.time()
    write(args.out, "model", optimizer.master, state)


def note(out: Path, record: dict) -> None:
    print(record, flush=True)
    with (out / "loss.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def write(out: Path, name: str, master: dict, state: dict) -> None:
    """The weights in bfloat16, in pieces, each written whole or not at all."""
    whole = save(
        {key: p.detach().bfloat16().cpu().contiguous() for key, p in master.items()}, {"step": str(state["step"])}
    )
    pieces = [whole[i : i + PIECE] for i in range(0, len(whole), PIECE)]
    scratch = out.parent / f".{out.name}-{name}"  # beside the folder: moving a file within a disk is one operation
    scratch.mkdir(exist_ok=True)
    for k, piece in enumerate(pieces):
        (scratch / str(k)).write_bytes(piece)
    for k in range(len(pieces)):
        shutil.move(scratch / str(k), out / f"{name}.safetensors.{k}")
    note(out, dict(saved=name, step=state["step"], bytes=len(whole)))


def install(out: Path) -> None:
    pieces = sorted(out.glob("model.safetensors.*"))
    (DATA / "model.safetensors").write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    for name in ("tokenizer.json", "config.json"):
        shutil.copy(out / name, DATA / name)
    lines = [line for line in (out / "loss.jsonl").read_text().splitlines() if '"tokens"' in line]
    kept = lines[:: max(1, math.ceil(len(lines) / 200))]
    (DATA / "loss.jsonl").write_text("\n".join(kept) + "\n")


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights and the loss log")
    parser.add_argument("--seconds", type=float, default=500, help="when to be done, from the start of the process")
    parser.add_argument("--began", type=float, help="the time from which the seconds count; default: now")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--sources", type=Path, help="what sources.py wrote; default: sources.json.xz in the out folder"
    )
    parser.add_argument(
        "--tokenizer", type=Path, help="default: tokenizer.json in the out folder, trained if it isn't there"
    )
    parser.add_argument("--shards", type=Path, help="where workers leave examples; default: a folder in memory")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 3))
    parser.add_argument("--waiting", type=int, default=8, help="unread shards of each worker at most")
    parser.add_argument("--batch", type=int, default=128, help="rows of 512 tokens")
    parser.add_argument("--share", type=float, default=1.0, help="of the device's time to use")
    parser.add_argument("--every", type=int, default=50, help="steps between two lines of the log")
    parser.add_argument("--save-seconds", type=float, default=SAVE_SECONDS)
    parser.add_argument("--no-compile", action="store_true", help="run the network as it is")
    parser.add_argument("--install", action="store_true", help="copy the latest weights into the package and stop")
    return parser


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--shape", type=json.loads, default={}, help="sizes other than the default, as JSON")
    args = parser.parse_args()
    args.began = args.began or time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.install:
        install(args.out)
        return
    shape = Shape(**args.shape)
    args.sources = args.sources or args.out / "sources.json.xz"
    args.tokenizer = args.tokenizer or args.out / "tokenizer.json"
    args.shards = args.shards or Path("/dev/shm" if Path("/dev/shm").is_dir() else args.out) / f"shards-{os.getpid()}"
    if not args.tokenizer.exists():
        train_tokenizer(
            tokenizer_texts(Tasks(random.Random(args.seed), load(args.sources))), shape.vocabulary, args.tokenizer
        )
    Tokenizer.from_file(str(args.tokenizer))
    train(args, shape)


if __name__ == "__main__":
    main()
