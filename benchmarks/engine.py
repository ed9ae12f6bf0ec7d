"""What constraints cost: compiling them, lifting them to a vocabulary of 262,144, and one denoising step on a canvas.

    python -m benchmarks.engine                                # everything; JSON lines on stdout, a table on stderr
    python -m benchmarks.engine --cases date person --repeat 3
    python -m benchmarks.engine --tokenizer tokenizer.json     # a real vocabulary instead of the generated one

Every time is the median of `--repeat` runs, in milliseconds, Python included. README.md says what each field means.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from typing import Any, Callable

import torch

from benchmarks.cases import CASES, Case
from benchmarks.peers import Peer, installed
from benchmarks.table import print_table
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.automata.encodings import ByteDFA, utf8
from dgemma_constrain.canvas.canvas import Canvas
from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.errors import ConstraintError, Infeasible
from dgemma_constrain.tokens import Vocabulary
from dgemma_constrain.tokens.lift import lift

PATIENCE = 10.0  # seconds for the repetitions of one thing


def milliseconds(call: Callable[[], Any], repeat: int) -> float:
    """The median time of `repeat` calls, or of as many as PATIENCE allows."""
    times: list[float] = []
    while len(times) < repeat and sum(times) < PATIENCE:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "numba")},
    }


def to_bytes(case: Case) -> ByteDFA:
    return utf8(case.constraint().dfa())


def measure(
    case: Case, vocabulary: Vocabulary, logits: torch.Tensor, lengths: list[int], repeat: int
) -> dict[str, Any]:
    """One case on our side."""
    over_bytes = to_bytes(case)
    compiled = Compiled(lift(over_bytes, vocabulary), vocabulary, case.constraint())
    if not compiled.constraint.matches(case.text):
        raise AssertionError(f"{case.name}: its text does not satisfy it: {compiled.constraint.explain(case.text)}")
    automaton = compiled.automaton
    return {
        "compile_ms": milliseconds(lambda: to_bytes(case), repeat),
        "lift_ms": milliseconds(lambda: Compiled(lift(over_bytes, vocabulary), vocabulary).canvas(0), repeat),
        "byte_states": len(over_bytes.table),
        "states": automaton.states,
        "classes": automaton.class_count,
        "transitions": len(automaton.symbols),
        "memory_bytes": automaton.nbytes,
        "steps": [step for length in lengths for step in steps(compiled, logits[:length], repeat)],
    }


def steps(compiled: Compiled, logits: torch.Tensor, repeat: int) -> list[dict[str, Any]]:
    """One denoising step with everything masked, and with a random half pinned to the ids of a sample."""
    length = len(logits)
    generator = torch.Generator().manual_seed(length)
    try:
        ids = compiled.canvas(length).sample(logits, generator=generator).ids
    except Infeasible as reason:
        return [{"length": length, "infeasible": str(reason)}]
    half = sorted(torch.randperm(length, generator=generator)[: length // 2].tolist())
    return [step(compiled, logits, {}, repeat), step(compiled, logits, {i: ids[i] for i in half}, repeat)]


def step(compiled: Compiled, logits: torch.Tensor, pinned: dict[int, int], repeat: int) -> dict[str, Any]:
    """Every question of a step, each asked of a canvas of its own: making it, and its boolean pass, are in each time."""
    scratch = logits.clone()

    def fresh() -> Canvas:
        canvas = compiled.canvas(len(logits), pinned)
        assert canvas.feasible
        return canvas

    questions = {
        "floor_ms": lambda: logits.amax(1),
        "canvas_ms": fresh,
        "allowed_ms": lambda: fresh().allowed(),
        "masked_ms": lambda: fresh().mask_(scratch),
        "best_ms": lambda: fresh().best(logits),
        "sample_ms": lambda: fresh().sample(logits),
        "marginals_ms": lambda: fresh().marginals(logits),
    }
    return {"length": len(logits), "pinned": len(pinned)} | {
        k: milliseconds(call, repeat) for k, call in questions.items()
    }


def rounded(value: Any) -> Any:
    """Times to the microsecond."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 3) if isinstance(value, float) else value


def print_line(line: dict[str, Any]) -> None:
    print(json.dumps(rounded(line)), flush=True)


def add_options(parser: argparse.ArgumentParser, lengths: list[int], repeat: int, peers: str) -> None:
    """What every benchmark can be told, with these defaults; peers: what --no-peers leaves out."""
    shown = " ".join(map(str, lengths))
    parser.add_argument("--lengths", nargs="+", type=int, default=lengths, help=f"canvas lengths ({shown})")
    parser.add_argument("--repeat", type=int, default=repeat, help=f"runs that each median is taken of ({repeat})")
    parser.add_argument("--vocabulary-size", type=int, default=262_144, help="of the generated vocabulary")
    parser.add_argument(
        "--tokenizer", help="a tokenizer.json, or a folder with one, instead of the generated vocabulary"
    )
    parser.add_argument("--no-peers", action="store_true", help=f"leave out {peers}")


def begin(options: argparse.Namespace, peers: dict[str, str]) -> Vocabulary:
    """The vocabulary that was asked for; the first line of the output says what is measured, and where."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    began = time.perf_counter()
    if options.tokenizer:
        vocabulary = Vocabulary.from_tokenizer(options.tokenizer)
    else:
        vocabulary = generated_vocabulary(options.vocabulary_size)
    vocabulary.trie  # made once for all constraints
    head = {"machine": machine(), "vocabulary": options.tokenizer or "generated", "ids": len(vocabulary)}
    head |= {"vocabulary_ms": 1e3 * (time.perf_counter() - began), "peers": peers, "repeat": options.repeat}
    print_line(head)
    return vocabulary


def random_logits(length: int, vocabulary: Vocabulary) -> torch.Tensor:
    return torch.randn(length, len(vocabulary), generator=torch.Generator().manual_seed(0)) * 3


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="NAME", default=list(CASES), help=", ".join(CASES))
    add_options(parser, [64, 256], 7, "llguidance, xgrammar and outlines-core")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    peers = {} if options.no_peers else installed()
    vocabulary = begin(options, peers)
    longest = max(options.lengths)
    logits = random_logits(longest, vocabulary)
    running = {name: Peer(name, vocabulary, longest) for name in peers}
    lines = []
    try:
        for name in ("date", "person"):  # the first call of a kernel loads it
            measure(CASES[name], vocabulary, logits, [8, longest], 1)
        for peer in running.values():
            peer.wait()
        for case in map(CASES.get, options.cases):
            line: dict[str, Any] = {"case": case.name, "kind": case.kind}
            try:
                line |= measure(case, vocabulary, logits, options.lengths, options.repeat)
            except ConstraintError as error:
                line["error"] = f"{type(error).__name__}: {error}"
            ids = vocabulary.encode(case.text)
            line["text_tokens"] = len(ids)
            line["peers"] = {
                name: peer.measure(case, ids, options.lengths, options.repeat) for name, peer in running.items()
            }
            print_line(line)
            lines.append(line)
    finally:
        for peer in running.values():
            peer.close()
    print_table(lines, longest, sys.stderr)


if __name__ == "__main__":
    main()
