"""Several holes of a real file in one call: is what was cut out of them found again?

    python -m benchmarks.infill_regions --languages all --groups 20 --seed 1 --under FOLDER

Groups are of two or three holes of one whole file, each within a line. Half are drawn as those of `infill_truth` are; of the others one hole has a
bracket, a quote, a tag or a keyword, with some of what is left of it, and a later one has what belongs to it. A group is *joint* where some truth isn't
accepted while the holes right of it hold placeholders, by tree-sitter: it opens what only a later one closes.

runs  certain: logits that are certain of what was cut out. random: logits that know nothing. model: the embedded model

Columns: groups, and of the joint ones alone; groups where the truths are among the answers, and where they are the first answer; without an answer; answers (all
of them) with which the file is whole; milliseconds of CPU time, median and 95th percentile.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from tree_sitter import Parser

import dgemma_constrain as dc
from benchmarks.infill import LONGEST, Guesses
from benchmarks.infill_holes import KINDS, Cut, apart, cuts, errors, files, takes_in
from benchmarks.infill_truth import in_several
from dgemma_constrain.infill import completion
from dgemma_constrain.infill.languages import KNOWN, grammar
from dgemma_constrain.infill.regions import joined, kept

WORD = re.compile(r"\w*\Z")
RUNS = "certain", "random", "model"
TRIES = 40  # at a group


class Certain(Guesses):
    """A denoiser that is certain of the texts of several holes; which it is asked for it tells by what it is shown."""

    def __init__(self, denoiser):
        self.vocabulary, self._frame = denoiser.vocabulary, denoiser.frame_infill

    def of(self, group: list[Cut]) -> None:
        self._group, self._text = group, ""

    def frame_infill(self, prefix: str, suffix: str):
        if prefix or suffix:
            lefts = [cut.before[: WORD.search(cut.before).start()].replace("\r\n", "\n") for cut in self._group]
            k = max(range(len(lefts)), key=lambda k: _shared(lefts[k], prefix))
            cut = self._group[k]
            tail = re.match(r"\w*", cut.after)[0]
            tail = "" if suffix.startswith(tail) else tail
            self._text = (WORD.search(cut.before)[0] + cut.middle + tail).replace("\r\n", "\n")
        return self._frame(prefix, suffix)

    def logits(self, ids, start, stop):
        known = [*self.vocabulary.encode(self._text), self.vocabulary.eos_ids[0]]
        rows = torch.full((len(ids), stop - start, len(self.vocabulary)), -30.0)
        for i in range(stop - start):
            rows[:, i, known[min(i, len(known) - 1)]] = 0
        return rows


def _shared(one: str, other: str) -> int:
    """How many characters two texts share at their ends."""
    n = 0
    while n < min(len(one), len(other)) and one[-1 - n] == other[-1 - n]:
        n += 1
    return n


class Answered(NamedTuple):
    joint: bool
    found: bool
    first: bool
    count: int
    clean: int
    ms: float


@contextmanager
def lengths(group: list[Cut], vocabulary: dc.Vocabulary) -> Iterator[None]:
    """Only canvases as long as the truths."""
    before = completion.ONE_LINE, completion.SEVERAL_LINES
    sizes = set()
    for cut in group:
        text, tail = WORD.search(cut.before)[0] + cut.middle, re.match(r"\w*", cut.after)[0]
        sizes |= {len(vocabulary.encode(one.replace("\r\n", "\n"))) + 1 for one in (text, text + tail)}
    completion.ONE_LINE = completion.SEVERAL_LINES = tuple(sorted(sizes))
    try:
        yield
    finally:
        completion.ONE_LINE, completion.SEVERAL_LINES = before


def pairs(language: str, text: str, count: int, holes: int, draw: random.Random) -> Iterator[list[Cut]]:
    """Holes of which one has the first token of a node, the next its last, and, if there are three, one is anywhere else."""
    data, nodes = text.encode(), []
    todo = [Parser(grammar(language)).parse(data).root_node]
    while todo:
        node = todo.pop()
        todo += node.children
        ends = [node.children[0], node.children[-1]] if node.child_count > 2 else []
        if ends and node.end_byte - node.start_byte < 2000 and all(map(_delimits, ends)):
            nodes.append((node.type, [(one.start_byte, one.end_byte) for one in ends]))
    kinds = sorted({kind for kind, _ in nodes})
    for _ in range(count if kinds else 0):
        for _ in range(TRIES):
            kind = draw.choice(kinds)
            spans = [
                tuple(len(data[:x].decode()) for x in one) for one in draw.choice([e for k, e in nodes if k == kind])
            ]
            (a, b), (c, d) = spans
            line = text.rfind("\n", 0, a) + 1
            a = max(
                line + len(text[line:a]) - len(text[line:a].lstrip()), a - draw.choice((0, 0, draw.randrange(1, 12)))
            )
            some = [(min(a, spans[0][0]), b), (c, d)]
            if holes == 3:
                other = next(cuts(language, text, 1, draw, (draw.choice(KINDS),)))
                some = sorted([*some, (len(other.before), len(other.before) + len(other.middle))])
            if all(x[1] < y[0] for x, y in pairwise(some)):
                yield [Cut(text[:x], text[x:y], text[y:], kind) for x, y in some]
                break


def _delimits(node) -> bool:
    """Whether it is a bracket, a keyword, a quote or a tag."""
    name = node.is_named and not node.child_count and node.type.isidentifier() and "string" not in node.type
    return node.end_byte - node.start_byte < 20 and not name


def groups(language: str, text: str, count: int, draw: random.Random, vocabulary: dc.Vocabulary) -> Iterator[list[Cut]]:
    for make in (apart, pairs):
        for group in make(language, text, count, draw.choice((2, 3)), draw):
            texts = [one.middle for one in group]  # blanks at an end are left out of answers
            fine = all(one == one.rstrip() and one and "\n" not in one for one in texts)
            fine = fine and all(len(vocabulary.encode(one)) <= LONGEST - 8 for one in texts)
            if fine and not takes_in(language, group[-1]):
                yield group


def answered(group: list[Cut], language: str, model: dc.Model, budget: float, steps: int) -> Answered:
    whole = "".join(group[0][:3])
    pieces = kept(whole, [(len(cut.before), len(cut.before) + len(cut.middle)) for cut in group])
    source, places = joined(pieces, [""] * len(group))
    began = time.process_time()
    answers = dc.infill.complete(source, None, language, model, budget, spans=places, steps=steps)
    ms = 1e3 * (time.process_time() - began)
    texts, truths = [[one.text for one in answer] for answer in answers], [cut.middle for cut in group]
    clean = sum(not errors(language, joined(pieces, some)[0]) for some in texts)
    said = dict(in_several(language, group, True))
    return Answered(not said.get("in turn", False), truths in texts, texts[:1] == [truths], len(texts), clean, ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", default="python", help="comma-separated, or all")
    parser.add_argument("--groups", type=int, default=20, help="in a language, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default=",".join(RUNS), help="comma-separated")
    parser.add_argument("--budget", type=float, default=60_000, help="milliseconds")
    parser.add_argument("--steps", type=int, default=1, help="looks of the model")
    parser.add_argument("--under", action="append", type=Path, default=[], help="a folder to look for files in, too")
    parser.add_argument(
        "--show", action="store_true", help="joint groups that aren't found, and answers that are not clean"
    )
    options = parser.parse_args()
    names = [known.name for known in KNOWN] if options.languages == "all" else options.languages.split(",")
    model = dc.load()
    models = {"certain": dc.Model(Certain(model.denoiser)), "random": dc.Model(Guesses(model.denoiser)), "model": model}
    print("| language | run | groups | found | first | joint | found | first | no answer | whole | ms | 95 % |")
    print("|" + "---|" * 12)
    for language, found in files(names, options.groups, options.seed, options.under).items():
        draw, drawn = random.Random(options.seed), []
        for _, text in found:
            if len(drawn) < options.groups and not errors(language, text):
                drawn += groups(language, text, 1, draw, model.vocabulary)
        dc.infill.complete("x = ", 4, language, models["random"], 10_000)  # loads and compiles
        for run in options.runs.split(","):
            rows = []
            for group in drawn:
                if run == "certain":
                    models[run].denoiser.of(group)
                    with lengths(group, model.vocabulary):
                        row = answered(group, language, models[run], options.budget, options.steps)
                else:
                    row = answered(group, language, models[run], options.budget, options.steps)
                rows.append(row)
                if options.show and (row.clean < row.count or run == "certain" and row.joint and not row.found):
                    print(" ", row, [(cut.what, cut.before[-40:], cut.middle, cut.after[:40]) for cut in group])
            _print(language, run, rows)


def _print(language: str, run: str, rows: list[Answered]) -> None:
    joint, times = [row for row in rows if row.joint], sorted(row.ms for row in rows) or [0.0]
    shown = [
        f for some in (rows, joint) for f in (len(some), sum(row.found for row in some), sum(row.first for row in some))
    ]
    answers = sum(row.count for row in rows)
    shown += [sum(not row.count for row in rows), f"{sum(row.clean for row in rows)}/{answers}"]
    shown += [f"{statistics.median(times):.0f}", f"{times[int(0.95 * (len(times) - 1))]:.0f}"]
    print("|", " | ".join(map(str, [language, run, *shown])), "|", flush=True)


if __name__ == "__main__":
    main()
