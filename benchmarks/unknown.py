"""How often a canvas of 64 tokens cannot say whether there is a text: `python -m benchmarks.grammar --unknown`."""

from __future__ import annotations

import ast
import inspect
import json
import random
import re
import statistics
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import dgemma_constrain as dc
from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.constraints.grammar import bundled
from dgemma_constrain.errors import Infeasible

LENGTH = 64
SAMPLES = 8  # texts drawn from the grammar's own canvas
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


def texts(name: str, compiled: Compiled, count: int) -> Iterator[list[int]]:
    """Ids of texts of a grammar that fit a canvas: from the library, where they are Python; the examples in its file,
    and samples."""
    vocabulary = compiled.vocabulary
    if name in ("python_function", "python_expression"):
        expressions = ast.Call, ast.BinOp, ast.ListComp, ast.Dict
        source = library(ast.FunctionDef if name == "python_function" else expressions)
    else:
        lines = re.findall(r"^// accepts: (.*)$", bundled()[name].read_text("utf-8"), re.MULTILINE)
        source = iter([json.loads(line) for line in lines])
    for text in source:
        if count and text and compiled.constraint.matches(text):
            ids = vocabulary.encode(text)
            if 3 < len(ids) <= LENGTH:
                count -= 1
                yield ids
    for seed in range(min(count, SAMPLES)):
        generator = torch.Generator().manual_seed(seed)
        logits = 3 * torch.randn(LENGTH, len(vocabulary), generator=generator)
        try:
            ids = compiled.canvas(LENGTH).sample(logits, generator=generator).ids
        except Infeasible:  # there may be no text of that length
            return
        yield ids[: vocabulary.text_length(ids)]


def holes(name: str, compiled: Compiled, count: int) -> Iterator[dict[int, int]]:
    """The pins that are left when some tokens of each text are hidden."""
    chance, end = random.Random(0), compiled.vocabulary.eos_ids[0]
    for ids in texts(name, compiled, count):
        ids = ids + [end] * (LENGTH - len(ids))
        for share in HIDDEN:
            first, size = chance.randrange(40), chance.randint(4, 32)
            hidden = range(first, first + size)
            if share != "hole":
                hidden = [i for i in range(LENGTH) if chance.random() < share]
            yield {i: t for i, t in enumerate(ids) if i not in hidden}


def count_unknown(name: str, vocabulary: dc.Vocabulary, count: int) -> dict[str, Any]:
    """How often `feasible` is True, None and False (never right here), and its CPU time in ms, with making the
    canvas."""
    compiled = dc.compile(dc.grammar(name), vocabulary)
    answers, times = [], []
    for pins in holes(name, compiled, count):
        began = time.process_time()
        answers.append(compiled.canvas(LENGTH, pins).feasible)
        times.append(1e3 * (time.process_time() - began))
    line: dict[str, Any] = {"grammar": name} | {str(k): answers.count(k) for k in (True, None, False)}
    if times:
        line |= {"median_ms": statistics.median(times), "mean_ms": statistics.fmean(times), "max_ms": max(times)}
    return line
