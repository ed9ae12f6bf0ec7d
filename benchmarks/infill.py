"""Holes cut out of real files, completed: is there an answer, is it clean, is it what stood there, and how long does it take.

    python -m benchmarks.infill                                        # Python
    python -m benchmarks.infill --languages all --holes 100 --seed 1 --under FOLDER --runs model,random

Files and holes are those of `infill_holes`; the text of the hole is gone, the cursor is where it stood. Runs:

model           the embedded model, which chooses the length
fixed, true     the same on canvases of 8 tokens (32 where several lines are wanted); of as many as the cut text takes
random          logits that know nothing, in place of the model's
certain         logits that are certain of the text that was cut out: is it found, and let through
free, free true the embedded model without a constraint, its first line where one line is wanted; the same with the true length
frequent        the most frequent token of the language's files
model together  two or three holes of a file in one call; random together the same. All are to be right for "exact"

Columns: holes without an answer. Answers (all of them) that lead to no more ERROR and MISSING nodes than the file has with a
placeholder, and than it had before the cut, by new parses. First answers that are the very text, and how similar to it
they are (difflib's ratio of the stripped texts; 0 without an answer). First answers which `ast.parse` reads the file with, where
it did before the cut. Milliseconds of CPU time, median and 95th percentile
(the budget is by the clock: give more of it on a busy machine). Holes that are more than 64 tokens long are left out.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import random
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from tree_sitter import Parser

import dgemma_constrain as dc
from benchmarks.infill_holes import Cut, apart, cuts, errors, files
from dgemma_constrain.infill.hole import find
from dgemma_constrain.infill.judge import IDENTIFIER, OF_LANGUAGE
from dgemma_constrain.infill.languages import KNOWN, grammar
from dgemma_constrain.infill.regions import joined, kept, placeholders

LONGEST = 64
RUNS = "model", "fixed", "true", "random", "certain", "free", "free true", "frequent", "model together", "random together"


class Guesses:
    """A denoiser that knows nothing: random log-probabilities, the same for the same question."""

    context_length, block, window = 512, LONGEST, LONGEST

    def __init__(self, denoiser):
        self.vocabulary, self.frame_infill = denoiser.vocabulary, denoiser.frame_infill

    def logits(self, ids, start, stop):
        generator = torch.Generator().manual_seed(int(ids.sum()) + stop)
        return 3 * torch.randn(len(ids), stop - start, len(self.vocabulary), generator=generator)


class Certain(Guesses):
    """A denoiser that is certain of a text."""

    text = ""

    def ids(self) -> list[int]:
        return [*self.vocabulary.encode(self.text), self.vocabulary.eos_ids[0]]

    def logits(self, ids, start, stop):
        rows, known = torch.full((len(ids), stop - start, len(self.vocabulary)), -30.0), self.ids()
        for i in range(stop - start):
            rows[:, i, known[min(i, len(known) - 1)]] = 0
        return rows


class Answered(NamedTuple):
    """What came of one hole. reads: whether Python reads the file; None where it didn't before the cut."""

    count: int
    clean: int
    uncut: int
    exact: bool
    similar: float
    reads: bool | None
    ms: float


@contextmanager
def canvases(one: int, several: int) -> Iterator[None]:
    """Only canvases of this many tokens, for one line and for several."""
    from dgemma_constrain.infill import completion as module

    before = module.ONE_LINE, module.SEVERAL_LINES
    module.ONE_LINE, module.SEVERAL_LINES = (one,), (several,)
    try:
        yield
    finally:
        module.ONE_LINE, module.SEVERAL_LINES = before


class Bench:
    def __init__(self, budget: float | None):
        self.budget, self.model = budget, dc.load()
        self.random, self.certain = dc.Model(Guesses(self.model.denoiser)), dc.Model(Certain(self.model.denoiser))
        for model in (self.model, self.random):
            dc.infill.complete("x = ", 4, "python", model, 10_000)  # loads and compiles

    def complete(self, cut: Cut, language: str, model: dc.Model) -> list[str]:
        answers = dc.infill.complete(cut.before + cut.after, len(cut.before), language, model, self.budget)
        return [one.text for one in answers]

    def free(self, cut: Cut, length: int | str) -> list[str]:
        hole = find(cut.before + cut.after, len(cut.before))
        text = self.model.infill(cut.before, cut.after, length=length, steps=8).text
        return [text if hole.several else text.split("\n", 1)[0]]

    def truth(self, cut: Cut, language: str) -> list[str]:
        hole, knows = find(cut.before + cut.after, len(cut.before)), self.certain.denoiser
        knows.text = (hole.head + cut.middle + hole.tail).replace("\r\n", "\n")
        with canvases(len(knows.ids()), len(knows.ids())):
            return self.complete(cut, language, self.certain)

    def answers(self, run: str, cut: Cut, language: str, frequent: str) -> Callable[[], list[str]]:
        length = max(1, self.tokens(cut.middle))
        if run in ("fixed", "true"):

            def at_length():
                with canvases(*((8, 32) if run == "fixed" else (length, length))):
                    return self.complete(cut, language, self.model)

            return at_length
        return {
            "model": lambda: self.complete(cut, language, self.model),
            "random": lambda: self.complete(cut, language, self.random),
            "certain": lambda: self.truth(cut, language),
            "free": lambda: self.free(cut, "auto"),
            "free true": lambda: self.free(cut, length),
            "frequent": lambda: [frequent],
        }[run]

    def tokens(self, text: str) -> int:
        return len(self.model.vocabulary.encode(text))


def answered(cut: Cut, language: str, call: Callable[[], list[str]]) -> Answered:
    began = time.process_time()
    texts = call()
    ms = 1e3 * (time.process_time() - began)
    hole = find(cut.before + cut.after, len(cut.before))
    placeholder = OF_LANGUAGE.get(language, (IDENTIFIER,))[0]
    most = errors(language, hole.before + placeholder + hole.after) if texts else 0
    uncut = errors(language, cut.before + cut.middle + cut.after)
    left = [errors(language, cut.before + text + cut.after) for text in texts]
    first = texts[0].strip() if texts else ""
    true = cut.middle.strip()
    reads = None
    if texts and language == "python" and _reads(cut.before + cut.middle + cut.after):
        reads = _reads(cut.before + texts[0] + cut.after)
    return Answered(
        len(texts), sum(n <= most for n in left), sum(n <= uncut for n in left), bool(texts) and first == true,
        difflib.SequenceMatcher(None, first, true, autojunk=False).ratio() if texts else 0.0, reads, ms,
    )  # fmt: skip


def answered_together(group: list[Cut], language: str, model: dc.Model, budget: float | None) -> Answered:
    """The same of several holes of a file."""
    whole = "".join(group[0][:3])
    pieces = kept(whole, [(len(cut.before), len(cut.before) + len(cut.middle)) for cut in group])
    source, places = joined(pieces, [""] * len(group))
    began = time.process_time()
    answers = dc.infill.complete(source, None, language, model, budget, spans=places)
    ms = 1e3 * (time.process_time() - began)
    texts = [[one.text for one in answer] for answer in answers]
    most = errors(language, joined(pieces, placeholders(language, source, places))[0]) if texts else 0
    uncut = errors(language, whole)
    left = [errors(language, joined(pieces, some)[0]) for some in texts]
    first, true = ([one.strip() for one in some] for some in (texts[0] if texts else [], [cut.middle for cut in group]))
    similar = difflib.SequenceMatcher(None, "\n".join(first), "\n".join(true), autojunk=False).ratio()
    return Answered(
        len(texts), sum(n <= most for n in left), sum(n <= uncut for n in left), first == true, similar if texts else 0.0, None, ms
    )


def _reads(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text.encode())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def most_frequent(language: str, texts: list[str]) -> str:
    """The token that occurs most often, comments left out."""
    counts: Counter[bytes] = Counter()
    for text in texts:
        todo = [Parser(grammar(language)).parse(text.encode()).root_node]
        while todo:
            node = todo.pop()
            todo += node.children
            if not node.child_count and node.text and node.text.strip() and "comment" not in node.type:
                counts[node.text] += 1
    return counts.most_common(1)[0][0].decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", default="python", help="comma-separated, or all")
    parser.add_argument("--holes", type=int, default=40, help="in a language")
    parser.add_argument("--each", type=int, default=4, help="in a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default=",".join(RUNS), help="comma-separated")
    parser.add_argument("--budget", type=float, help="milliseconds; 300 for one line, 1000 for several")
    parser.add_argument("--under", action="append", type=Path, default=[], help="a folder to look for files in, too")
    parser.add_argument("--show", action="store_true", help="answers that are not clean, or that Python doesn't read")
    options = parser.parse_args()
    names = [known.name for known in KNOWN] if options.languages == "all" else options.languages.split(",")
    bench = Bench(options.budget)
    print("| language | run | holes | no answer | clean | as uncut | exact | similar | ast.parse | ms | 95 % |")
    print("|" + "---|" * 11)
    for language, found in files(names, -(-options.holes // options.each), options.seed, options.under).items():
        draw = random.Random(options.seed)
        holes = [cut for _, text in found for cut in cuts(language, text, options.each, draw)]
        holes = [cut for cut in holes if cut.middle.strip() and bench.tokens(cut.middle) <= LONGEST]
        frequent = most_frequent(language, [text for _, text in found]) if found else ""
        groups = [g for _, text in found for g in apart(language, text, options.each // 2, 2 + len(text) % 2, draw)]
        groups = [g for g in groups if all(cut.middle.strip() and bench.tokens(cut.middle) <= LONGEST for cut in g)]
        for run in options.runs.split(","):
            rows = []
            if run.endswith("together"):
                model = bench.model if run.startswith("model") else bench.random
                _print(language, run, [answered_together(group, language, model, options.budget) for group in groups])
                continue
            for cut in holes:
                rows.append(answered(cut, language, bench.answers(run, cut, language, frequent)))
                if options.show and (rows[-1].clean < rows[-1].count or rows[-1].reads is False):
                    end = cut.before[-60:], cut.middle, cut.after[:60]
                    texts = bench.answers(run, cut, language, frequent)()
                    print(f"  {language} {run}: {end[0]!r} [{end[1]!r}] {end[2]!r}: {texts}")
            _print(language, run, rows)


def _print(language: str, run: str, rows: list[Answered]) -> None:
    given, read = sum(row.count for row in rows), [row.reads for row in rows if row.reads is not None]
    times = sorted(row.ms for row in rows) or [0.0]
    shown = [
        len(rows), _share(sum(not row.count for row in rows), len(rows)), _share(sum(row.clean for row in rows), given),
        _share(sum(row.uncut for row in rows), given), _share(sum(row.exact for row in rows), len(rows)),
        f"{sum(row.similar for row in rows) / max(len(rows), 1):.3f}", _share(sum(read), len(read)),
        f"{statistics.median(times):.0f}", f"{times[int(0.95 * (len(times) - 1))]:.0f}",
    ]  # fmt: skip
    print("|", " | ".join(map(str, [language, run, *shown])), "|", flush=True)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    main()
