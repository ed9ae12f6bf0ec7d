"""What a constraint costs in a denoising step at the real shape, on this machine's CPU and on its GPU, if there is one.

    python -m benchmarks.step                                  # JSON lines on stdout, a table on stderr
    python -m benchmarks.step --batch 1 --cases email --device cpu

A step is what a renoising model needs: the best string of every canvas, all marginals, and these raised to it (`raise_rows`).
Logits lie where the step runs, bfloat16 or float32; canvases have more_tokens=0 and an unread tail, as DiffusionGemma's last.
README.md says what each field means.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import torch

from benchmarks.cases import CASES
from benchmarks.engine import machine, milliseconds
from benchmarks.table import number, print_rows
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.canvas.compiled import Compiled, compile
from dgemma_constrain.diffusion.raised import raise_rows

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def measure(compiled: Compiled, logits: torch.Tensor, repeat: int) -> dict[str, Any]:
    """One case on logits [B, L, V]. Times include waiting for the device, and Python."""
    batch, length, _ = logits.shape
    canvases = [compiled.canvas(length, tail="any") for _ in range(batch)]
    on_gpu = logits.device.type == "cuda"

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

    before = _allocated(on_gpu)
    began = time.perf_counter()
    out = torch.empty(logits.shape, device=logits.device)
    failed = raise_rows(canvases, logits, out)
    first = 1e3 * (time.perf_counter() - began)
    if failed:
        raise failed.popitem()[1]
    found = {
        "floor_ms": timed(lambda: logits.amax(2)),
        "best_ms": timed(best),
        "step_ms": timed(lambda: raise_rows(canvases, logits, out)),
        "first_ms": first,
    }
    if on_gpu:  # the answer, which is float32, among it
        size = logits.numel() * logits.element_size()
        found["extra_memory"] = (torch.cuda.max_memory_allocated() - before) / size
        found["answer_memory"] = out.numel() * out.element_size() / size
    return found


def _allocated(on_gpu: bool) -> int:
    if not on_gpu:
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.step", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--cases", nargs="+", choices=list(CASES), default=["email", "address", "payload"], metavar="CASE"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--size", type=int, default=262_144, help="of the vocabulary")
    parser.add_argument("--device", nargs="+", choices=["cpu", "cuda"], help="default: all there are")
    parser.add_argument("--dtype", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args(argv)
    devices = given.device or ["cpu"] + ["cuda"] * torch.cuda.is_available()
    about = machine() | ({"gpu": torch.cuda.get_device_name()} if "cuda" in devices else {})
    print(json.dumps({"machine": about}), flush=True)
    vocabulary = generated_vocabulary(given.size)
    compiled = {name: compile(CASES[name].constraint(), vocabulary) for name in given.cases}
    lines = []
    for device in devices:
        for dtype in given.dtype:
            logits = 3 * torch.randn(max(given.batch), given.length, given.size, device=device).to(DTYPES[dtype])
            for batch in given.batch:
                for name, one in compiled.items():
                    shape = {"states": one.automaton.states, "classes": one.automaton.class_count}
                    line = {"case": name, **shape, "device": device, "dtype": dtype, "batch": batch}
                    lines.append(line | measure(one, logits[:batch], given.repeat))
                    print(json.dumps(lines[-1]), flush=True)
            del logits
    fields = ["states", "classes", "device", "dtype", "batch", "floor_ms", "best_ms", "step_ms", "extra_memory"]
    rows = [[line["case"], *(_cell(line.get(name)) for name in fields)] for line in lines]
    print_rows(["case", *fields], rows, 14, sys.stderr)
    return 0


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else number(value)


if __name__ == "__main__":
    sys.exit(main())
