"""How often a canvas cannot say whether there is a text, and how long it takes: `python -m benchmarks.grammar --unknown`."""

from __future__ import annotations

import ast
import inspect
import json
import random
import re
import textwrap
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dgemma_constrain as dc
from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.canvas.searched import NARROW, Scores, Searched
from dgemma_constrain.constraints.grammar import bundled
from dgemma_constrain.errors import Infeasible

LENGTH = 64  # of the canvas, or of the part of a longer one in which something is hidden
LONGEST = 480
SAMPLES = 10  # texts drawn from the grammar's own canvas, at most
HIDDEN = (0.3, 0.5, 0.7, 0.9, "hole", "hole")  # of each text: a share of its positions, or some in a row


def library(kinds: type | tuple[type, ...]) -> Iterator[str]:
    """Functions or expressions of the standard library, in random order."""
    found = []
    for path in sorted(Path(inspect.getfile(ast)).parent.glob("*.py")):
        source = path.read_text("utf-8", errors="replace")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, kinds):
                found.append((source, node))
    random.Random(0).shuffle(found)
    for source, node in found:
        lines = source.splitlines(keepends=True)[node.lineno - 1 : node.end_lineno]
        yield textwrap.dedent("".join(lines)) if isinstance(node, ast.stmt) else ast.get_source_segment(source, node)


@cache
def queries(folder: str) -> list[str]:
    """SELECT statements in the wheel of ibis-framework, without their comments; [] if it is not installed.

    folder: tpc/queries/duckdb/h, or …/ds, two decision-support benchmarks; sql/snapshots, short ones of tests.
    """
    try:
        paths = [path for path in files("ibis-framework") or () if f"backends/tests/{folder}/" in path.as_posix()]
    except PackageNotFoundError:
        return []
    read = [path.read_text("utf-8") for path in sorted(paths) if path.suffix == ".sql"]
    found = [re.sub(r"--[^\n]*", "", text).strip() for text in read]
    return [text for text in dict.fromkeys(found) if re.match(r"(?i)(select|with)\b", text)]


def sources(name: str) -> dict[str, Iterator[str]]:
    """Texts that others wrote, of the kind that a grammar is for; and the examples in its file."""
    if name in ("python_function", "python_expression"):
        expressions = ast.Call, ast.BinOp, ast.ListComp, ast.Dict
        return {"library": library(ast.FunctionDef if name == "python_function" else expressions)}
    found = {}
    if name == "sql":
        real = queries("sql/snapshots").copy()
        random.Random(0).shuffle(real)
        found["ibis"] = iter(real)
    lines = re.findall(r"^// accepts: (.*)$", bundled()[name].read_text("utf-8"), re.MULTILINE)
    return found | {"examples": map(json.loads, lines)}


def samples(compiled: Compiled, count: int) -> Iterator[list[int]]:
    """Ids of texts drawn from a canvas of the grammar, if there are any of that length."""
    vocabulary = compiled.vocabulary
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        logits = 3 * torch.randn(LENGTH, len(vocabulary), generator=generator)
        try:
            ids = compiled.canvas(LENGTH).sample(logits, generator=generator).ids
        except Infeasible:
            return
        yield ids[: vocabulary.text_length(ids)]


def fitting(texts: Iterator[str], compiled: Compiled, count: int, longest: int = LENGTH) -> Iterator[list[int]]:
    """Ids of so many texts, at most, that the grammar has and a canvas holds."""
    encoded = ((text, compiled.vocabulary.encode(text)) for text in texts if text)
    short = (pair for pair in encoded if 3 < len(pair[1]) <= longest)  # asked first: to match a long text takes long
    return islice((ids for text, ids in short if compiled.constraint.matches(text)), count)


def holes(texts: Iterator[list[int]], end: int) -> Iterator[tuple[int, dict[int, int]]]:
    """The length, and the pins that are left when some tokens of each text are hidden, among LENGTH in a row."""
    chance = random.Random(0)
    for ids in texts:
        ids = ids + [end] * (LENGTH - len(ids))
        for share in HIDDEN:
            begin = chance.randrange(len(ids) - LENGTH + 1)
            first, size = begin + chance.randrange(40), chance.randint(4, 32)
            hidden = range(first, first + size)
            if share != "hole":
                hidden = [i for i in range(begin, begin + LENGTH) if chance.random() < share]
            yield len(ids), {i: t for i, t in enumerate(ids) if i not in hidden}


def count_unknown(name: str, vocabulary: dc.Vocabulary, count: int) -> Iterator[dict[str, Any]]:
    """How often `feasible` is True, None and False (never right here), and its CPU time in ms, with making the canvas.
    A line for each source of texts, of which there are `count` at most."""
    compiled = dc.compile(dc.grammar(name), vocabulary)
    found = {source: fitting(texts, compiled, count) for source, texts in sources(name).items()}
    if "examples" in found:
        found["samples"] = samples(compiled, min(count, SAMPLES))
    if name == "sql":
        long = [text for folder in ("h", "ds") for text in queries(f"tpc/queries/duckdb/{folder}")]
        random.Random(0).shuffle(long)
        long = (text for text in long if len(vocabulary.encode(text)) > LENGTH)
        found["tpc"] = fitting(long, compiled, count, LONGEST)
    warm_up(compiled)
    for source, texts in found.items():
        answers, times = [], []
        for length, pins in holes(texts, vocabulary.eos_ids[0]):
            began = time.process_time()
            answers.append(compiled.canvas(length, pins).feasible)
            times.append(1e3 * (time.process_time() - began))
        if times:
            line: dict[str, Any] = {"grammar": name, "texts": source, "holes": len(answers)}
            line |= {str(k): answers.count(k) for k in (True, None, False)}
            middle, late, most = np.quantile(times, [0.5, 0.95, 1.0])
            yield line | {"median_ms": middle, "percentile_95_ms": late, "max_ms": most}


def warm_up(compiled: Compiled) -> None:
    """Load the kernels, those of a guided search too."""
    canvas = compiled.canvas(8)
    if canvas.feasible and isinstance(canvas, Searched):
        canvas._search(Scores(np.where(canvas._possible, 0.0, -np.inf), None, None, None, 1.0, 1), [NARROW])
