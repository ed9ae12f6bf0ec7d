"""Train the embedded denoiser. From the repository's root:

    python examples/train_embedded/train.py --out /tmp/train --minutes 56
    python examples/train_embedded/train.py --out /tmp/train --minutes 56 --install     # when it is done

One process, two CPU cores. It trains the tokenizer if there is none, then the network, and writes a checkpoint every two
minutes; the same command goes on from it. `--minutes` counts time spent training: an interruption costs nothing, and the learning rate follows that clock.
`--install` copies the weights into the package. The data is synthetic (`tasks.py`) or Python's own standard library.
"""

import argparse
import json
import math
import os
import random
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch._inductor.config
from safetensors.torch import save_file
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from batches import batches  # noqa: E402
from tasks import Tasks  # noqa: E402
from text import train_tokenizer  # noqa: E402

from dgemma_constrain.models.embedded import DATA, EmbeddedModel  # noqa: E402
from dgemma_constrain.models.embedded.network import Denoiser, Shape  # noqa: E402

TOKENS = 4096  # per step
WARMUP, DECAY = 0.01, 0.4  # shares of the run: rising at first, falling to zero at the end
RATE, RATE_MATRICES = 2e-3, 2e-3
CHECKPOINT_SECONDS = 120


def tokenizer_texts(tasks: Tasks, count: int = 60_000):
    """What the tokenizer is trained on: prompts and answers of every task, code among them."""
    for _ in range(count):
        example = tasks.example()
        yield example.before + "\n" + example.answer + (example.after or "")


def optimizers(master: dict[str, torch.Tensor]) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for everything else."""
    matrices = [p for name, p in master.items() if name.startswith("blocks.") and p.dim() == 2]
    others = [p for name, p in master.items() if not (name.startswith("blocks.") and p.dim() == 2)]
    return [
        torch.optim.Muon(matrices, lr=RATE_MATRICES, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(progress: float) -> float:
    """The learning rate's factor at this share of the run."""
    return min(1.0, progress / WARMUP + 0.02, max(0.0, (1 - progress) / DECAY))


class Threads:
    """As many threads as there are idle cores: two that share one core with other work are slower than one."""

    def __init__(self):
        self.others, self.most = 0.0, os.cpu_count() or 1
        torch._inductor.config.cpp.dynamic_threads = True

    def settle(self) -> None:
        if not os.path.exists("/proc/stat"):
            return
        running = next(int(line.split()[1]) for line in open("/proc/stat") if line.startswith("procs_running"))
        mine = sum(
            Path(f"/proc/self/task/{task}/stat").read_text().rpartition(")")[2].split()[0] == "R"
            for task in os.listdir("/proc/self/task")
        )
        self.others += 0.2 * (max(0, running - mine) - self.others)
        torch.set_num_threads(min(self.most, max(1, round(self.most - self.others + 0.1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the loss log")
    parser.add_argument("--minutes", type=float, default=56, help="time to spend training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--no-compile", action="store_true", help="run the network as it is (no C++ compiler needed)")
    parser.add_argument("--install", action="store_true", help="copy the latest weights into the package and stop")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.install:
        install(args.out)
        return
    torch.manual_seed(args.seed)
    shape = Shape(layers=args.layers)
    if not (args.out / "tokenizer.json").exists():
        train_tokenizer(tokenizer_texts(Tasks(random.Random(args.seed))), shape.vocabulary, args.out / "tokenizer.json")
    train(args, shape)


def train(args: argparse.Namespace, shape: Shape) -> None:
    tokenizer = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    # The network computes in bfloat16; what the optimizers update is the float32 original.
    network = Denoiser(shape).bfloat16()
    master = {name: p.detach().float() for name, p in network.named_parameters()}
    optims = optimizers(master)
    state = dict(step=0, tokens=0, seconds=0.0)
    if (args.out / "checkpoint.pt").exists():
        saved = torch.load(args.out / "checkpoint.pt", weights_only=True)
        state = saved["state"]
        for name, tensor in saved["master"].items():
            master[name].copy_(tensor)
        for optimizer, dump in zip(optims, saved["optimizers"]):
            optimizer.load_state_dict(dump)
        print("resuming at", state, flush=True)
    parameters = dict(network.named_parameters())
    progress = lambda: state["seconds"] / (60 * args.minutes)  # noqa: E731
    rng = random.Random(args.seed + state["step"])
    encode = EmbeddedModel(network, tokenizer).encode
    data = batches(Tasks(rng), encode, rng, shape.context - 16, TOKENS, progress)

    def losses_of(ids, canvas, padding, at, targets):
        return network.target_loss(network.hidden(ids, canvas, padding), at, ids, targets)

    compiled = torch.compile(losses_of, dynamic=True, disable=args.no_compile)
    mean, saved_at, threads = None, time.monotonic(), Threads()
    while progress() < 1:
        began = time.monotonic()
        threads.settle()
        batch = next(data)
        factor = rate(progress())
        for optimizer, base in zip(optims, (RATE_MATRICES, RATE)):
            optimizer.param_groups[0]["lr"] = base * factor
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(master[name])
                p.grad = None
        losses = compiled(batch.ids, batch.canvas, batch.padding, batch.at, batch.targets)
        loss = (losses * batch.weight).sum()
        loss.backward()
        for name, p in parameters.items():
            master[name].grad = p.grad.float()
        norm = torch.nn.utils.clip_grad_norm_(list(master.values()), 1.0)
        for optimizer in optims:
            optimizer.step()
        state["step"] += 1
        state["tokens"] += batch.tokens
        # A paused process or a first compilation is not training time.
        state["seconds"] += min(time.monotonic() - began, 5.0)
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if state["step"] % 50 == 0:
            log(
                args.out,
                state
                | dict(
                    loss=round(mean, 4),
                    norm=round(norm.item(), 2),
                    rate=round(factor, 4),
                    threads=torch.get_num_threads(),
                ),
            )
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS or progress() >= 1:
            save(args.out, shape, master, optims, state)
            saved_at = time.monotonic()


def log(out: Path, record: dict) -> None:
    record["seconds"] = round(record["seconds"], 1)
    print(record, flush=True)
    with (out / "loss.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def save(out: Path, shape: Shape, master: dict, optims: list, state: dict) -> None:
    """The checkpoint and the weights that ship, each written whole or not at all."""
    torch.save(dict(state=state, master=master, optimizers=[o.state_dict() for o in optims]), out / "checkpoint.tmp")
    os.replace(out / "checkpoint.tmp", out / "checkpoint.pt")
    save_file({name: p.detach().bfloat16() for name, p in master.items()}, out / "model.tmp")
    os.replace(out / "model.tmp", out / "model.safetensors")
    (out / "config.json").write_text(json.dumps(asdict(shape), indent=2) + "\n")


def install(out: Path) -> None:
    for name in ("tokenizer.json", "config.json", "model.safetensors"):
        shutil.copy(out / name, DATA / name)
    lines = (out / "loss.jsonl").read_text().splitlines()
    kept = lines[:: max(1, math.ceil(len(lines) / 200))]
    (DATA / "loss.jsonl").write_text("\n".join(kept) + "\n")


if __name__ == "__main__":
    main()
