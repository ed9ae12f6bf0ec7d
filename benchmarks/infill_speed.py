"""How good completions of one line are for the time that they may take, and what they take by the size of file and hole.

    python -m benchmarks.infill_speed                              # 100 holes in ten modules, by budget
    python -m benchmarks.infill_speed --set held-out               # in ten others, by which nothing was ever chosen
    python -m benchmarks.infill_speed --budgets none --lines 500,2000,10000 --tokens 4,8,16,32,64

The embedded model, in Python. Everything is CPU time of one thread, the budget too: here alone the clock that `complete` goes by
is the process's own, so that a busy machine changes nothing. Holes are what stands between a random place in a line and its end,
and named nodes of at most 40 characters, in turn; for --lines in files put together of modules, up to so many lines; for --tokens
the ends of lines that take about so many, or so many lines as do.

Columns: holes without an answer; first answers that are the very text; among the three; how similar the first is (difflib's
ratio). Milliseconds, median and 95th percentile. Share of what isn't spent in the model: syntax, search and all else.
"""

from __future__ import annotations

import argparse
import difflib
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import torch
from tree_sitter import Parser

import dgemma_constrain as dc
from dgemma_constrain.infill import completion, looks, parsing
from dgemma_constrain.infill.languages import grammar

MODULES = ["ast", "heapq", "abc", "bisect", "calendar", "textwrap", "shlex", "string", "fractions", "queue"]
HELD_OUT = ["difflib", "csv", "configparser", "gettext", "optparse", "sched", "statistics", "webbrowser", "zipapp", "cmd"]
LONG = ["argparse", "inspect", "typing", "tarfile", "subprocess", "doctest", "pickle", "zipfile", "socket", "threading"]
READ_EVERY = 0.5e-3  # seconds
Place = tuple[str, tuple[int, int]]


@contextmanager
def cpu_clock() -> Iterator[None]:
    """Within it, budgets are CPU time. It is read twice a millisecond at most: to be asked for it costs ten times as much as for
    the time of day, and a completion asks thousands of times."""
    read, now = 0.0, 0.0

    def monotonic() -> float:
        nonlocal read, now
        if time.monotonic() - read > READ_EVERY:
            read, now = time.monotonic(), time.process_time()
        return now

    clocked = completion, looks, parsing
    for module in clocked:
        module.time = SimpleNamespace(monotonic=monotonic)
    try:
        yield
    finally:
        for module in clocked:
            module.time = time


def holes(source: str, count: int, draw: random.Random) -> list[tuple[int, int]]:
    data = source.encode()
    nodes, todo = [], [Parser(grammar("python")).parse(data).root_node]
    while todo:
        node = todo.pop()
        todo += node.children
        short = 0 < node.end_byte - node.start_byte <= 40 and node.start_point[0] == node.end_point[0]
        if node.is_named and short and "comment" not in node.type:
            nodes.append((node.start_byte, node.end_byte))
    lines = [m for m in range(len(source)) if source[m] == "\n"]
    found: list[tuple[int, int]] = []
    while len(found) < count:
        if len(found) % 2:
            a, b = draw.choice(nodes)
            found.append((len(data[:a].decode()), len(data[:b].decode())))
        else:
            end = draw.choice(lines)
            start = source.rfind("\n", 0, end) + 1
            line = source[start:end]
            if line.strip() and not line.lstrip().startswith(("#", "//")):
                found.append((draw.randrange(start + len(line) - len(line.lstrip()), end), end))
    return found


def of_tokens(
    source: str, count: int, size: int, vocabulary: dc.Vocabulary, draw: random.Random
) -> list[tuple[int, int]]:
    """From somewhere in a line to the first end of a line with which it takes at least three quarters of so many tokens."""
    ends, found = [m for m in range(len(source)) if source[m] == "\n"], []
    while len(found) < count:
        start = draw.randrange(len(source))
        for end in ends:
            if end > start and len(vocabulary.encode(source[start:end])) >= 0.75 * size:
                if len(vocabulary.encode(source[start:end])) <= 1.25 * size and source[start:end].strip():
                    found.append((start, end))
                break
    return found


def long_source(lines: int) -> str:
    text = ""
    for name in LONG * 9:
        text += Path(__import__(name).__file__).read_text() + "\n"
        if text.count("\n") >= lines:
            break
    return text


def measure(what: str, model: dc.Model, places: list[Place], budget: float | None) -> None:
    spent = [0.0]
    look = looks.Looks.__call__

    def timed(*arguments):
        began = time.process_time()
        try:
            return look(*arguments)
        finally:
            spent[0] += time.process_time() - began

    looks.Looks.__call__ = timed
    rows = []
    try:
        for source, (start, end) in places:
            began = time.process_time()
            with cpu_clock():
                cut = source[:start] + source[end:]  # so that nothing can be told by what stood there
                answers = dc.infill.complete(cut, start, "python", model, budget or 600_000)
            ms, true = 1e3 * (time.process_time() - began), source[start:end].strip()
            texts = [one.text.strip() for one in answers] or [""]
            alike = difflib.SequenceMatcher(None, texts[0], true, autojunk=False).ratio() if answers else 0.0
            rows.append((not answers, bool(answers) and texts[0] == true, bool(answers) and true in texts, alike, ms))
    finally:
        looks.Looks.__call__ = look
    times, n = sorted(row[4] for row in rows), len(rows)
    none, exact, among = (f"{100 * sum(row[k] for row in rows) / n:.0f} %" for k in range(3))
    print(
        f"| {what} | {n} | {none} | {exact} | {among} | {sum(row[3] for row in rows) / n:.3f} | {statistics.median(times):.0f} "
        f"| {times[int(0.95 * (n - 1))]:.0f} | {100 - 1e5 * spent[0] / sum(times):.0f} % |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", default="150,300,600,1200,none", help="milliseconds of CPU time, or none")
    parser.add_argument("--lines", default="", help="sizes of files, with the first of the budgets")
    parser.add_argument("--tokens", default="", help="lengths of holes, in files of 2,000 lines")
    parser.add_argument("--holes", type=int, default=10, help="in a module, and of each size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", choices=("tuned", "held-out"), default="tuned", help="of modules")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = dc.load()
    dc.infill.complete("x = ", 4, "python", model, 10_000)  # loads and compiles
    budgets = [None if one == "none" else float(one) for one in options.budgets.split(",")]
    print("| | holes | no answer | exact | among 3 | similar | ms | 95 % | not the model |\n|" + "---|" * 9)
    if not options.lines and not options.tokens:
        draw, places = random.Random(options.seed), []
        for name in MODULES if options.set == "tuned" else HELD_OUT:
            source = Path(__import__(name).__file__).read_text()
            places += [(source, one) for one in holes(source, options.holes, draw)]
        for budget in budgets:
            measure(f"budget {'none' if budget is None else f'{budget:.0f} ms'}", model, places, budget)
    for lines in map(int, filter(None, options.lines.split(","))):
        source = long_source(lines)
        shown = f"{source.count(chr(10)):,} lines"
        measure(shown, model, [(source, one) for one in holes(source, options.holes, random.Random(0))], budgets[0])
    for size in map(int, filter(None, options.tokens.split(","))):
        source = long_source(2000)
        chosen = of_tokens(source, options.holes, size, model.vocabulary, random.Random(0))
        measure(f"{size} tokens", model, [(source, one) for one in chosen], budgets[0])


if __name__ == "__main__":
    main()
