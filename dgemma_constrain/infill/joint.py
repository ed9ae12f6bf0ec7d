"""A hole of several that may begin what only a later one ends.

Left of it all is written, right of it are placeholders. What the recogniser has open at the hole are some LR stacks; a text for
the hole is good if, behind it, the text up to the next hole can be read from them, whatever that leaves open. At the last hole
that is the rest of the file, which has to go through to its end, and tree-sitter judges what stands between the two ends of all
holes as one text for one hole: with it the file must have no error that it doesn't have with the best placeholder there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, chain

from dgemma_constrain.errors import LanguageError
from dgemma_constrain.infill.completion import LEAST_PARSING, CodeCompletion, Task, _Work
from dgemma_constrain.infill.edge import READ, Edge
from dgemma_constrain.infill.hole import Hole, find
from dgemma_constrain.infill.judge import Judge, Verdict
from dgemma_constrain.infill.parsing import Clock, OutOfTime
from dgemma_constrain.infill.steering import Steering
from dgemma_constrain.infill.yields import yields

NEXT = 500  # characters right of a hole that are read behind every candidate; what is found is read on to the next hole
HOPES = 4  # what ends a text is told by the first token right of it, which may mislead


class Joint:
    """Writes holes open. pieces: the texts before, between and behind them; unwritten: their placeholders."""

    def __init__(self, language: str, pieces: list[str], unwritten: list[str], on_time: Callable[[], bool]):
        self._language, self._pieces, self._unwritten, self._on_time = language, pieces, unwritten, on_time
        middle = "".join(a + b for a, b in zip(unwritten, [*pieces[1:-1], ""]))
        self._source, start = pieces[0] + middle + pieces[-1], len(pieces[0])
        self._ends = find(
            self._source, (start, start + len(middle)), True
        )  # all holes, and what is between them, as one

    def written(
        self, task: Task, source: str, places: list[tuple[int, int]], k: int, several: bool | None, end: float
    ) -> list[CodeCompletion]:
        """Texts for hole k of a source with all holes before it filled. end: by the monotonic clock; where nothing is found by then,
        it goes on for as long as the task's patience allows. Nothing where syntax isn't known, or the file takes too long to parse.
        """
        if self._edge is None:
            return []
        hole, last = find(source, places[k], several), k + 1 == len(places)
        stop = len(source) if last else places[k + 1][0]
        if places[k][1] + len(hole.tail) > stop:  # a word that reaches into the next hole
            hole = replace(hole, tail=hole.tail[: stop - places[k][1]], after=source[stop:])
        right = len(source) - len(hole.after)
        if last:  # of a long file no more than the statement around the holes
            stop = right + len(hole.after) - len(self._ends.after) + len(self._judge.following(READ))
        follows = hole.after[: stop - right]
        edge = self._edge.behind(source[len(self._ends.before) : len(hole.before)].encode())
        if not edge.known or len(follows) > READ:
            return []
        latest = end + (task.patience - 1) * max(end - time.monotonic(), 0)
        self._judge.on_time = Clock(latest, task.cancel)
        judge = _Last(self, hole, places) if last else _Through(self._judge, edge, follows)
        masked = [(a - right, b - right) for a, b in places[k + 1 :]]
        while True:
            steering = Steering(
                self._language,
                replace(hole, after=follows if last else follows[:NEXT]),
                edge,
                task.constraint,
                not last,
            )
            steering.hopes = HOPES
            found = _Work(hole, judge, steering, task, (end, latest), masked).run(task.steps)
            if found or hole.several or several is not None:
                return found
            hole = replace(hole, several=True)

    def errors(self, source: str) -> int:
        """How many ERROR and MISSING nodes the file has with all holes filled; 0 where it takes too long to be parsed."""
        try:
            self._judge.on_time = Clock(time.monotonic() + LEAST_PARSING / 1e3, None)
            return self._judge.verdict(self._middle(source)).errors
        except OutOfTime:
            return 0

    def fits(self, source: str, places: list[tuple[int, int]]) -> bool:
        """Whether the file is whole, as far as it can be, with all holes filled, which are at these places then."""
        text = self._middle(source)
        try:
            if not self._judge.verdict(text).clean or not self._judge.compiles(text):
                return False
            return not any(
                self._in_string(source, at) for at, code in zip([stop for _, stop in places], self._is_code) if code
            )
        except OutOfTime:
            return False

    @cached_property
    def _is_code(self) -> list[bool]:
        """Which of the texts between holes are lines of code with placeholders in these: no string is to take them in."""
        if self._judge.verdict(self._middle(self._source)).errors:
            return [False] * (len(self._pieces) - 2)
        between, ends = self._pieces[1:-1], accumulate(map(len, chain(*zip(self._pieces, self._unwritten))))
        return [
            "\n" in one.strip() and not self._in_string(self._source, at) for one, at in zip(between, list(ends)[1::2])
        ]

    def _in_string(self, source: str, at: int) -> bool:
        """Whether what isn't blank from a place on lies in a string or a comment that begins before."""
        at += len(source[at:]) - len(source[at:].lstrip())
        return self._judge.is_inside(self._middle(source), len(source[:at].encode()))

    def _middle(self, source: str) -> str:
        return source[len(self._ends.before) : len(source) - len(self._ends.after)]

    @cached_property
    def _judge(self) -> Judge:
        """Of what stands in all holes and between them. Raises OutOfTime."""
        return Judge(self._language, self._ends.before, self._ends.after, self._middle(self._source), self._on_time)

    @cached_property
    def _edge(self) -> Edge | None:
        """Of what is left of the first hole; None where that isn't known."""
        try:
            edge = Edge(self._language, self._ends.before.encode()[self._judge.nearest() :])
            for several in (False, True):
                yields(self._language, several)
        except (LanguageError, OutOfTime):
            return None
        return edge if edge.known else None


class _Through:
    """Judges a hole that another follows: whether the text up to that goes through. around: of the judge of the whole file."""

    inside, ending = None, ""

    def __init__(self, whole: Judge, edge: Edge, follows: str):
        self.around, self._edge, self._follows = whole.around, edge, follows

    def verdict(self, text: str) -> Verdict:
        return Verdict(bool(self._edge.alive((text + self._follows).encode())), 0)

    def compiles(self, text: str) -> bool:
        return True

    def repairs(self) -> Iterator[str]:
        return iter(())

    def forgive(self) -> None:
        pass


class _Last(_Through):
    """Judges the last hole, behind which the file is whole."""

    def __init__(self, joint: Joint, hole: Hole, places: list[tuple[int, int]]):
        self.around, self._joint, self._hole, self._places = joint._judge.around, joint, hole, places

    def verdict(self, text: str) -> Verdict:
        return Verdict(self._joint.fits(self._hole.before + text + self._hole.after, self._places), 0)
