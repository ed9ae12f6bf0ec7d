"""What a constraint costs in a denoising step at the real shape, on this machine's CPU and on its GPU, if there is one.

    python -m benchmarks.step                                  # JSON lines on stdout, a table on stderr
    python -m benchmarks.step --batch 1 --cases email --device cpu
    python -m benchmarks.step --device cuda --check            # on a GPU: all that it says against the CPU, then all times
    TRITON_INTERPRET=1 python -m benchmarks.step --device interpreter --check --length 8 --size 4096 --batch 2 --cases email

A step is what a renoising model needs: the best string of every canvas, all marginals, and these raised to it (`raise_rows`).
Logits lie where the step runs, bfloat16 or float32; canvases have more_tokens=0 and an unread tail, as DiffusionGemma's last.
"interpreter" is the GPU's kernels without a GPU: whether they are right, not how fast. Exit code 1: a check failed.
README.md says what each field means.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import CASES
from benchmarks.engine import machine, milliseconds
from benchmarks.json_schema import resident
from benchmarks.table import number, print_rows
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.canvas import logits as places
from dgemma_constrain.canvas.compiled import Compiled, compile
from dgemma_constrain.diffusion.raised import empty_like, raise_rows, raised

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
OFF = 1e-3  # nats by which a GPU may differ from the CPU: its sums over classes are float32
SEEN = -600.0  # log-probabilities below this are zero on the CPU


def measure(compiled: Compiled, logits: torch.Tensor, repeat: int) -> dict[str, Any]:
    """One case on logits [B, L, V]. Times include waiting for the device, and Python."""
    batch, length, _ = logits.shape
    canvases = [compiled.canvas(length, tail="any") for _ in range(batch)]
    on_gpu = logits.device.type == "cuda"
    size = logits.numel() * logits.element_size()

    def timed(call) -> float:
        def whole():
            call()
            if on_gpu:
                torch.cuda.synchronize()

        whole()  # captures, compiles, fills caches
        return milliseconds(whole, repeat)

    def best() -> None:
        for canvas, rows in zip(canvases, logits):
            canvas.best(rows)

    before = _most_allocated(on_gpu, reset=True)
    began = time.perf_counter()
    out = empty_like(logits)
    failed = raise_rows(canvases, logits, out)
    first = 1e3 * (time.perf_counter() - began)
    if failed:
        raise failed.popitem()[1]
    extra = _most_allocated(on_gpu) - before  # with the answer
    return {
        "floor_ms": timed(lambda: logits.amax(2)),
        "best_ms": timed(best),
        "step_ms": timed(lambda: raise_rows(canvases, logits, out)),
        "first_ms": first,
        "extra_memory": extra / size,
        "answer_memory": out.numel() * out.element_size() / size,
    }


def _most_allocated(on_gpu: bool, reset: bool = False) -> int:
    """Bytes; in host memory, what was resident."""
    if not on_gpu:
        return resident(reset) << 20
    if reset:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.max_memory_allocated()


def check(compiled: Compiled, logits: torch.Tensor, on_device) -> dict[str, Any]:
    """What the device says of logits [2, L, V] against the CPU: of a free canvas, and of one with a third pinned."""
    length = logits.shape[1]
    free, host = compiled.canvas(length, tail="any"), logits.cpu()
    ids = free.sample(host[1], generator=torch.Generator().manual_seed(0)).ids
    canvases = [free, free.with_pins({i: ids[i] for i in range(0, length, 3)})]
    found = {"best_off": 0.0, "marginals_off": 0.0, "masks_off": 0, "not_on_top": 0, "failed": 0}
    out = empty_like(logits)
    with on_device():
        found["failed"] = len(raise_rows(canvases, logits, out))
        theirs = [(canvas.best(rows), canvas.marginals(rows)) for canvas, rows in zip(canvases, logits)]
    for canvas, rows, answer, (best, marginals) in zip(canvases, host, out, theirs):
        _, ids, _ = raised(canvas, rows)
        score = float(canvas.best(rows).score)
        valid = canvas.with_pins(dict(enumerate(best.ids))).feasible
        found["best_off"] = max(found["best_off"], abs(score - best.score) if valid else float("inf"))
        ours, marginals = canvas.marginals(rows), marginals.cpu()
        seen = (ours > SEEN) & (marginals > SEEN)
        found["marginals_off"] = max(found["marginals_off"], float((ours - marginals)[seen].abs().max()))
        found["masks_off"] += int((seen != ((ours > SEEN) | (marginals > SEEN))).sum())
        for temperature in (0.4, 0.8, 1.0):  # the model's own divides by it, in the answer's dtype
            first, second = (answer / torch.tensor(temperature, device=answer.device)).topk(2, 1).values.T
            found["not_on_top"] += int((first <= second).sum())
        at_top = answer.argmax(1).tolist()
        found["not_on_top"] += sum(a != b for a, b in zip(at_top, best.ids))
    return found | {"fine": max(found["best_off"], found["marginals_off"]) <= OFF and not (
        found["masks_off"] or found["not_on_top"] or found["failed"])}  # fmt: skip


@contextmanager
def _kernels(device: str) -> Iterator[None]:
    """Where canvases are answered by the kernels of a GPU: of themselves, or in Triton's interpreter."""
    here = places.on_device
    if device == "interpreter":
        places.on_device = lambda logits: True
    try:
        yield
    finally:
        places.on_device = here


def _room(device: str) -> int:
    """Bytes that are free."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


def _random(batch: int, length: int, size: int, device: str, dtype: torch.dtype) -> torch.Tensor:
    """Logits [B, L, V], made row by row: float32 of all at once would be larger than what is asked for."""
    where = "cpu" if device == "interpreter" else device
    logits = torch.empty(batch, length, size, dtype=dtype, device=where)
    for row in logits:
        row.copy_(torch.randn(length, size, device=where).mul_(3))
    return logits


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.step", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--cases", nargs="+", choices=list(CASES), default=["email", "address", "payload"], metavar="CASE"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--size", type=int, default=262_144, help="of the vocabulary")
    parser.add_argument("--device", nargs="+", choices=["cpu", "cuda", "interpreter"], help="default: all there are")
    parser.add_argument("--dtype", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="first compare what the device says with the CPU")
    given = parser.parse_args(argv)
    devices = given.device or ["cpu"] + ["cuda"] * torch.cuda.is_available()
    about = machine() | ({"gpu": torch.cuda.get_device_name()} if "cuda" in devices else {})
    print(json.dumps({"machine": about}), flush=True)
    vocabulary = generated_vocabulary(given.size)
    compiled = {name: compile(CASES[name].constraint(), vocabulary) for name in given.cases}
    lines, wrong = [], 0
    for device in devices if given.check else []:
        for name, dtype in ((n, d) for n in compiled for d in given.dtype):
            logits = _random(2, given.length, given.size, device, DTYPES[dtype])
            found = check(compiled[name], logits, lambda d=device: _kernels(d))
            wrong += not found["fine"]
            print(json.dumps({"check": name, "device": device, "dtype": dtype} | found), flush=True)
    for device, dtype, batch in ((d, t, b) for d in devices for t in given.dtype for b in given.batch):
        one = given.length * given.size * DTYPES[dtype].itemsize
        needed = 2 * batch * one + 2 * given.length * given.size * 4  # logits, answer, and a row or two on the way
        about = {"device": device, "dtype": dtype, "batch": batch}
        if needed > _room(device):
            said = f"{needed / 2**30:.1f} GiB are needed, {_room(device) / 2**30:.1f} are free"
            print(json.dumps(about | {"skipped": said}), flush=True)
            continue
        logits = _random(batch, given.length, given.size, device, DTYPES[dtype])
        for name, constraint in compiled.items():
            shape = {"states": constraint.automaton.states, "classes": constraint.automaton.class_count}
            with _kernels(device):
                lines.append({"case": name, **shape, **about} | measure(constraint, logits, given.repeat))
            print(json.dumps(lines[-1]), flush=True)
        del logits
    fields = ["states", "classes", "device", "dtype", "batch", "floor_ms", "best_ms", "step_ms", "extra_memory"]
    rows = [[line["case"], *(_cell(line.get(name)) for name in fields)] for line in lines]
    print_rows(["case", *fields], rows, 14, sys.stderr)
    if given.check:
        print(f"checks that failed: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else number(value)


if __name__ == "__main__":
    sys.exit(main())
