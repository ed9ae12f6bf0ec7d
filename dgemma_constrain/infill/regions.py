"""Several holes of one file, filled together.

Fillings grow hole by hole from left to right, the best first, a few of each side by side; what is written is there for the next
hole, and of what isn't yet the model sees masks. A hole is written in two ways:

alone  with placeholders in the holes right of it the file is whole. tree-sitter says so
open   it may begin what only a later hole ends: `foo(` and `)`, the quotes around a text. So all that is asked is that the text
       up to the next hole can be read behind it, which leaves some LR stacks (`joint`); the next hole is searched from these, and
       behind the last one what is right of it has to go through. tree-sitter has the last word on the whole

Then every hole but the last is written once more, given all others, and what fits better stands (iterated conditional modes:
Besag 1986): the file stays whole with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.infill.completion import BUDGET, PARSING, CodeCompletion, Task, one_hole
from dgemma_constrain.infill.hole import find
from dgemma_constrain.infill.joint import Joint
from dgemma_constrain.infill.judge import IDENTIFIER, OF_LANGUAGE, Judge
from dgemma_constrain.infill.parsing import Clock, OutOfTime

AGAIN = 8  # completions of a hole that what stands in it is looked for among


class _Filling(NamedTuple):
    """texts: of the first holes; scores: theirs, mean log-probabilities of a token; near: whether one was judged by its lines;
    open: whether one was written so."""

    texts: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    near: bool = False
    open: bool = False

    @property
    def score(self) -> float:
        return sum(self.scores) / max(len(self.scores), 1)


def several_holes(task: Task, source: str, spans: Sequence[int | tuple[int, int]]) -> list[tuple[CodeCompletion, ...]]:
    """Answers with a completion for each span, best first. Raises ConstraintError for spans that overlap or are out of order."""
    places = [(one, one) if isinstance(one, int) else tuple(one) for one in spans]
    if not places:
        raise ConstraintError("spans is empty; give at least one place")
    holes = [find(source, place, task.several) for place in places]
    for one, other in pairwise(places):
        if other[0] < one[1] or other == one:
            raise ConstraintError(f"the spans {one} and {other} overlap or are out of order; give them in order, apart")
    if len(places) == 1:
        return [(one,) for one in one_hole(task, source, places[0])]
    if holes[0].newline == "\r":  # which no grammar takes for a line end
        answers = several_holes(task, source.replace("\r", "\n"), spans)
        answers = [tuple(replace(one, text=one.text.replace("\n", "\r")) for one in some) for some in answers]
        asked = task.constraint
        return [some for some in answers if asked is None or all(asked.matches(one.text) for one in some)]
    budget = task.budget if task.budget is not None else sum(BUDGET[hole.several] for hole in holes)
    several = [task.several if task.several is not None else one.several or None for one in holes]
    work = _Regions(task, source, places, several, time.monotonic() + budget / 1e3, budget)
    grown = [(work.errors(one.texts), -one.score, one) for one in work.grown()]
    least = min((errors for errors, *_ in grown), default=0)  # the best shows that the holes can mend the others
    fillings = [one for errors, _, one in sorted(grown) if errors == least][: task.count]
    for k in range(len(places) - 1):
        fillings = [work.again(one, k, len(fillings) * (len(places) - 1)) for one in fillings]
    found = {}
    for one in sorted(fillings, key=lambda one: -one.score):
        answer = tuple(CodeCompletion(t, *place, s, one.near) for t, place, s in zip(one.texts, places, one.scores))
        found.setdefault(one.texts, answer)
    return list(found.values())


class _Regions:
    """One call for several holes. several: of each hole whether it wants several lines, None where it may."""

    def __init__(
        self,
        task: Task,
        source: str,
        places: list[tuple[int, int]],
        several: list[bool | None],
        end: float,
        budget: float,
    ):
        self._task, self._several, self._end, self._count = task, several, end, len(places)
        self._pieces = kept(source, places)
        on_time = Clock(time.monotonic() + PARSING * budget / 1e3, task.cancel)
        self._unwritten = placeholders(task.language, source, places, task.several, on_time)
        self._joint = Joint(task.language, self._pieces, self._unwritten, on_time)

    def grown(self) -> list[_Filling]:
        """Fillings of all holes. Until there is one, those with most holes filled go on first, then the likeliest."""
        todo, done, seen = [(_Filling(), False), (_Filling(), True)], [], set()
        for _ in range(2 + 2 * self._task.count * (self._count - 1)):
            if not todo or self._time_left() <= 0:
                break
            now = max(todo, key=lambda one: (0 if done else len(one[0].texts), one[0].score, not one[1]))
            todo.remove(now)
            filling, k = now[0], len(now[0].texts)
            calls = 2 if done or k == self._count - 1 else self._count - k
            for one in self._written_open(filling, calls) if now[1] else self._written(filling, calls):
                texts = *filling.texts, one.text
                if texts in seen:
                    continue
                seen.add(texts)
                grown = _Filling(texts, (*filling.scores, one.score), filling.near or one.near, now[1])
                if k + 1 == self._count:
                    done.append(grown)
                    continue
                todo.append((grown, True))
                if not now[1]:
                    todo.append((grown, False))
        return done

    def again(self, filling: _Filling, k: int, calls: int) -> _Filling:
        """The filling with hole k written anew, given the others, where that is likelier than what stands there."""
        answers = self._write(list(filling.texts), k, self._count, calls, AGAIN)
        if not answers:
            return filling
        texts, scores = list(filling.texts), list(filling.scores)
        scores[k] = next((one.score for one in answers if one.text == texts[k]), scores[k])
        if answers[0].score > scores[k]:
            texts[k], scores[k] = answers[0].text, answers[0].score
        return filling._replace(texts=tuple(texts), scores=tuple(scores), near=filling.near or answers[0].near)

    def errors(self, texts: tuple[str, ...]) -> int:
        """How many ERROR and MISSING nodes the file has with these texts, as far as that can be told in time."""
        return self._joint.errors(joined(self._pieces, list(texts))[0])

    def _written(self, filling: _Filling, calls: int) -> list[CodeCompletion]:
        """The next hole of a filling, alone."""
        k = len(filling.texts)
        return self._write([*filling.texts, *self._unwritten[k:]], k, k + 1, calls, self._task.count)

    def _write(self, texts: list[str], k: int, written: int, calls: int, count: int) -> list[CodeCompletion]:
        """Completions of hole k, with these texts in the holes, of which those from `written` on are placeholders."""
        left = self._time_left() / max(calls, 1)
        if left <= 0:
            return []
        source, places = joined(self._pieces, texts)
        task = self._task._replace(budget=1e3 * left, count=count, several=self._several[k])
        return one_hole(task, source, places[k], places[written:])

    def _written_open(self, filling: _Filling, calls: int) -> list[CodeCompletion]:
        """The next hole of a filling, open."""
        k, end = len(filling.texts), time.monotonic() + self._time_left() / calls
        source, places = joined(self._pieces, [*filling.texts, "", *self._unwritten[k + 1 :]])
        return self._joint.written(self._task, source, places, k, self._several[k], end)

    def _time_left(self) -> float:
        return self._end - time.monotonic()


def placeholders(
    language: str,
    source: str,
    places: Sequence[tuple[int, int]],
    several: bool | None = None,
    on_time: Callable[[], bool] = lambda: True,
) -> list[str]:
    """For each hole a text with which the file has the fewest errors, as far as a placeholder can tell in time."""
    pieces, texts = kept(source, places), [OF_LANGUAGE.get(language, (IDENTIFIER,))[0]] * len(places)
    for k in range(len(places)):
        now, spots = joined(pieces, texts)
        hole = find(now, spots[k], several)
        if not hole.head and not hole.tail:
            try:
                texts[k] = Judge(language, hole.before, hole.after, source[slice(*places[k])], on_time).placeholder
            except OutOfTime:
                break
    return texts


def kept(source: str, places: Sequence[tuple[int, int]]) -> list[str]:
    """The texts before, between and behind the holes."""
    stops = [0, *(stop for _, stop in places)]
    return [source[a:b] for a, b in zip(stops, [*(start for start, _ in places), len(source)])]


def joined(pieces: list[str], texts: list[str]) -> tuple[str, list[tuple[int, int]]]:
    """The source with texts in its holes, and where they stand."""
    source, places = pieces[0], []
    for text, piece in zip(texts, pieces[1:]):
        places.append((len(source), len(source) + len(text)))
        source += text + piece
    return source, places
