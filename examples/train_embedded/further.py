"""Train the shipped weights further, on a CPU and in pieces. From the repository's root:

    python examples/train_embedded/sources.py --out /tmp/train/sources.json.xz
    python examples/train_embedded/further.py --out /tmp/train --seconds 3900
    python examples/train_embedded/further.py --out /tmp/train --install

Another call of the second line goes on where the last one stopped (Ctrl-C saves, and so does every few minutes). On a CPU attention
over packed rows costs more than it brings, so texts of one length make a batch, without padding; a few such batches, of some 8,000
tokens in all, make a step. The rate is constant, and falls to zero over the last half of the time. What is
installed lies between the weights begun with and the average of the new ones (EMA). Processes of one thread that add up their gradients
once a step keep a busy machine busier than threads that wait for each other in every operation.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from unittest import mock

import numpy as np
import safetensors.torch
import torch
import torch.multiprocessing
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import distributed
from train import DATA, note, write

from muon import Optimizer
from noise import choose_scored, draw_masks
from packing import GIVEN, Rendered, render
from sources import load
from tasks import Tasks

from dgemma_constrain.models.embedded import Tokens
from dgemma_constrain.models.embedded import network as module
from dgemma_constrain.models.embedded.network import MASK, Denoiser, Shape

WARMUP, DECAY = 30, 0.5  # rising for so many steps, falling to zero in this last share of the time
POOL = 3000  # examples that are sorted by length together
CODE = ("python", "javascript", "go", "rust")
KINDS = ("record", "wider", "document", "fill", "choose", "rewrite", *CODE)

Batch = tuple[np.ndarray, np.ndarray]  # ids int16 and part uint8, [B, T], one text a row


def batches(rendered: list[Rendered], tokens: int, rng: random.Random) -> tuple[list[Batch], list[Rendered]]:
    """Texts of one length together, at most `tokens` of them, in a random order; and the texts that are left alone.

    No batch has one row: what is compiled is compiled again where a size is one.
    """
    lengths, found, alone = defaultdict(list), [], []
    for item in rendered:
        lengths[len(item[0])].append(item)
    for length, group in lengths.items():
        most = max(2, tokens // length)
        for i in range(0, len(group), most):
            some = group[i : i + most]
            if len(some) == 1:
                alone += some
            else:
                found.append((np.array([ids for ids, _ in some], np.int16), np.stack([part for _, part in some])))
    rng.shuffle(found)
    return found, alone


def make(queue, sources: Path, tokenizer: Path, seed: int, tokens: int) -> None:
    """Put batches into the queue for ever; a process of its own."""
    os.nice(5)
    rng = random.Random(seed)
    tasks, encode = Tasks(rng, load(sources)), Tokens(Tokenizer.from_file(str(tokenizer))).encode
    rendered: list[Rendered] = []
    while True:
        while len(rendered) < POOL:
            try:
                item = render(tasks.example(), encode, rng)
            except (ValueError, IndexError, KeyError, RecursionError):  # one in millions must not end the worker
                continue
            if item:
                rendered.append(item)
        made, rendered = batches(rendered, tokens, rng)
        for batch in made:
            queue.put(batch)


def held_out_batches(sources: Path, tokenizer: Path, count: int) -> dict[str, list[Batch]]:
    """A fixed sample of each kind, of words and packages that are not trained on."""
    files, encode = load(sources), Tokens(Tokenizer.from_file(str(tokenizer))).encode
    found = {}
    for kind in KINDS:
        rng, rendered = random.Random(f"held out {kind}"), []
        tasks = Tasks(rng, files, test=True)
        if kind in CODE:
            tasks.sources = {kind: tasks.sources[kind]}
        while len(rendered) < count:
            if item := render(getattr(tasks, "code" if kind in CODE else kind)(), encode, rng):
                rendered.append(item)
        some, alone = batches(rendered, 2048, rng)
        found[kind] = some + [(np.array([ids], np.int16), part[None]) for ids, part in alone]
    return found


def attention(q, k, v, attn_mask=None):
    """What `scaled_dot_product_attention` gives; on texts this short plain products are faster on a CPU, backwards above all."""
    return ((q * q.shape[-1] ** -0.5) @ k.mT).softmax(-1) @ v


def loss_of(hidden, target_loss, batch: Batch) -> tuple[torch.Tensor, float]:
    """The mean loss under masks drawn here, and what the batch weighs: the sum of its texts' weights, sqrt(masked positions).

    hidden, target_loss: the network's methods, compiled or not.
    """
    ids, part = (torch.from_numpy(array).long() for array in batch)
    text = torch.zeros_like(ids)
    mask = draw_masks(text, part)
    count = mask.sum(1)
    at, weight = choose_scored(text, part, mask, max(2, min(128, int(count.max()))))
    noised = torch.where(mask, MASK, ids)
    losses = target_loss(hidden(noised, part != GIVEN), at, noised, ids.gather(1, at))
    return (losses * weight).sum(), float(count.sqrt().sum())


@torch.no_grad()
def measure(network: Denoiser, held: dict[str, list[Batch]]) -> dict[str, float]:
    """The held-out loss of each kind, always under the same masks."""
    state, found = torch.get_rng_state(), {}
    for kind, some in held.items():
        torch.manual_seed(1)
        losses = [loss_of(network.hidden, network.target_loss, batch) for batch in some]
        found[kind] = round(sum(float(loss) * w for loss, w in losses) / sum(w for _, w in losses), 3)
    torch.set_rng_state(state)
    return found


class Run:
    """What a piece of training leaves for the next: weights, their average, the optimizer's moments, steps, tokens and seconds."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.network = Denoiser(Shape(**json.loads((args.start / "config.json").read_text()))).bfloat16()
        self.network.load_state_dict(load_file(args.start / "model.safetensors"))
        self.hidden, self.target_loss = (torch.compile(f, dynamic=True) for f in (self.network.hidden, self.network.target_loss))
        self.optimizer = Optimizer(dict(self.network.named_parameters()), 0.4 * args.rate, args.rate)
        self.average = {name: p.detach().clone() for name, p in self.optimizer.master.items()}
        self.state, self.path = dict(step=0, tokens=0, seconds=0.0), args.out / "further.pt"
        if self.path.exists():
            saved = torch.load(self.path)
            self.state = saved["state"]
            for mine, stored in zip(self._tensors(), saved["tensors"], strict=True):
                mine.data.copy_(stored)
            self.optimizer.adam.load_state_dict(saved["adam"])
            self.show(self.optimizer.master)
        elif rank() == 0:
            shutil.copy(args.start / "model.safetensors", args.out / "start.safetensors")
        self.parameters = list(self.network.parameters())
        self.start_clock()

    def start_clock(self) -> None:
        self.began, self.before = time.time(), self.state["seconds"]

    def _tensors(self) -> list[torch.Tensor]:
        return [*self.optimizer.master.values(), *self.average.values(), *self.optimizer.momenta]

    def save(self) -> None:
        saved = dict(state=self.state, tensors=self._tensors(), adam=self.optimizer.adam.state_dict())
        torch.save(saved, self.path.with_suffix(".new"))
        os.replace(self.path.with_suffix(".new"), self.path)
        write(self.args.out, "model", self.average, self.state)

    @torch.no_grad()
    def show(self, weights: dict[str, torch.Tensor]) -> None:
        """Let the network compute with these."""
        for name, p in self.network.named_parameters():
            p.copy_(weights[name])

    def report(self, held: dict[str, list[Batch]]) -> None:
        """Save, and note how good the average is."""
        self.save()
        self.show(self.average)
        note(self.args.out, self.state | dict(held=measure(self.network, held)))
        self.show(self.optimizer.master)

    def step(self, source, factor: float) -> torch.Tensor:
        """One update from some `args.batch` tokens of all the processes.

        Returns the sums over them of loss times weight, weight, tokens and the seconds of the first process, float32 [4].
        """
        tokens = total = weights = 0
        while tokens < self.args.batch / processes():
            batch = next(source)
            loss, weight = loss_of(self.hidden, self.target_loss, batch)
            (loss * weight).backward()
            tokens, total, weights = tokens + batch[0].size, total + float(loss.detach()) * weight, weights + weight
        with torch.no_grad():
            seconds = 0 if rank() else time.time() - self.began
            flat = torch.cat([p.grad.flatten().float() for p in self.parameters] + [torch.tensor([total, weights, tokens, seconds])])
            if processes() > 1:
                distributed.all_reduce(flat)
            *grads, sums = flat.split([p.numel() for p in self.parameters] + [4])
            for p, grad in zip(self.parameters, grads):
                p.grad.copy_((grad / sums[1]).view_as(p))
            self.optimizer.step(factor)
            keep = min(self.args.keep, (self.state["step"] + 1) / (self.state["step"] + 10))
            torch._foreach_lerp_(list(self.average.values()), [p.data for p in self.optimizer.master.values()], 1 - keep)
        self.state["step"] += 1
        self.state["tokens"] += int(sums[2])
        self.state["seconds"] = round(self.before + float(sums[3]), 1)
        return sums


def processes() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


@mock.patch.object(module.F, "scaled_dot_product_attention", attention)
def train(number: int, args: argparse.Namespace, meeting: str) -> None:
    """One process of `args.processes`, each with a thread, examples and gradients of its own."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=args.processes)
    run = Run(args)
    seed = args.seed + 1000 * run.state["step"] + number  # a later piece has other examples
    torch.manual_seed(seed)
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue(100)
    worker = spawn.Process(target=make, args=(queue, args.sources, args.tokenizer, seed, args.micro), daemon=True)
    worker.start()
    source, held = iter(queue.get, None), held_out_batches(args.sources, args.tokenizer, args.held) if number == 0 else {}
    state, sums, saved, stop = run.state, torch.zeros(4), time.time(), []
    signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    if number == 0 and not state["step"]:
        note(args.out, state | dict(held=measure(run.network, held)))
    run.start_clock()
    first = state["tokens"]
    while (progress := state["seconds"] / args.seconds) < 1:
        sums += run.step(source, max(0.0, min(1.0, (state["step"] + 1) / WARMUP, (1 - progress) / DECAY)))
        if number == 0 and state["step"] % args.every == 0:
            speed = int((state["tokens"] - first) / (state["seconds"] - run.before))
            note(args.out, state | dict(loss=round(float(sums[0] / sums[1]), 4), tokens_per_second=speed))
            sums.zero_()
        if number == 0 and time.time() - saved > args.save_seconds:
            run.report(held)
            saved = time.time()
        ended = torch.tensor([len(stop)])
        distributed.all_reduce(ended)
        if ended:
            break
    if number == 0:
        run.report(held)
    distributed.barrier()
    worker.terminate()


def install(out: Path, share: float) -> None:
    """Weights between those begun with and the average into the package; the log's lines after those of the first run.

    A point on that line keeps what was known before nearly whole and has nearly all that is new (Wortsman et al. 2022).
    """
    before = load_file(out / "start.safetensors")
    after = safetensors.torch.load(b"".join(piece.read_bytes() for piece in sorted(out.glob("model.safetensors.*"))))
    mixed = {name: ((1 - share) * p.float() + share * after[name].float()).bfloat16() for name, p in before.items()}
    (DATA / "model.safetensors").write_bytes(safetensors.torch.save(mixed))
    lines = [line for line in (out / "loss.jsonl").read_text().splitlines() if '"tokens"' in line]
    with (DATA / "loss.jsonl").open("a") as file:
        file.writelines(json.dumps(dict(further=True) | json.loads(line)) + "\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights, the state between pieces and the log")
    parser.add_argument("--start", type=Path, default=DATA, help="folder of the weights to begin with; default: those shipped")
    parser.add_argument("--seconds", type=float, default=3900, help="of training in all, over all pieces")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sources", type=Path, help="what sources.py wrote; default: sources.json.xz in the out folder")
    parser.add_argument("--tokenizer", type=Path, default=DATA / "tokenizer.json")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="of one thread each")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--batch", type=int, default=8192, help="tokens of a step")
    parser.add_argument("--micro", type=int, default=2048, help="tokens of one length at most")
    parser.add_argument("--keep", type=float, default=0.99, help="of the average at each step")
    parser.add_argument("--held", type=int, default=48, help="held-out texts of each kind")
    parser.add_argument("--every", type=int, default=10, help="steps between two lines of the log")
    parser.add_argument("--save-seconds", type=float, default=300)
    parser.add_argument("--share", type=float, default=0.3, help="of the way from the first weights to the average, for --install")
    parser.add_argument("--install", action="store_true", help="copy the latest weights into the package and stop")
    args = parser.parse_args()
    args.sources = args.sources or args.out / "sources.json.xz"
    args.out.mkdir(parents=True, exist_ok=True)
    if args.install:
        install(args.out, args.share)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (args, f"{folder}/meeting"), args.processes)


if __name__ == "__main__":
    main()
