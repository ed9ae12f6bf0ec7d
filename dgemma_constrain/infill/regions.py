"""Several holes of one file, filled together.

First from left to right, a few partial fillings side by side: what is written is there for the next, and of what isn't yet the
model sees masks and the parser a placeholder. Then every hole but the last is written once more, given all others, and what
fits better stands (iterated conditional modes: Besag 1986). A hole is always judged with the others as they are then, so
the file is whole with what stands in the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.infill.completion import BUDGET, PARSING, Clock, CodeCompletion, Task, one_hole
from dgemma_constrain.infill.hole import find
from dgemma_constrain.infill.judge import IDENTIFIER, OF_LANGUAGE, Judge
from dgemma_constrain.infill.parsing import OutOfTime

AGAIN = 8  # completions of a hole that what stands in it is looked for among


class _Filling(NamedTuple):
    """texts: of the first holes; scores: theirs, mean log-probabilities of a token; near: whether one was judged by its lines."""

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    near: bool

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
    budget = task.budget if task.budget is not None else sum(BUDGET[hole.several] for hole in holes)
    end = time.monotonic() + budget / 1e3
    pieces = kept(source, places)
    on_time = Clock(time.monotonic() + PARSING * budget / 1e3, task.cancel)
    unwritten = placeholders(task.language, source, places, task.several, on_time)

    fillings = [_Filling((), (), False)]
    for k in range(len(places)):
        grown = []
        for n, filling in enumerate(fillings):
            calls = len(fillings) - n + (len(places) - 1 - k) * task.count
            answers = _write(task, pieces, [*filling.texts, *unwritten[k:]], k, k + 1, end, calls, task.count)
            grown += [
                _Filling((*filling.texts, one.text), (*filling.scores, one.score), filling.near or one.near)
                for one in answers
            ]
        fillings = sorted(grown, key=lambda one: -one.score)[: task.count]
    for k in range(len(places) - 1):
        fillings = [_again(task, pieces, one, k, end, len(fillings) * (len(places) - 1)) for one in fillings]
    found = {}
    for one in sorted(fillings, key=lambda one: -one.score):
        answer = tuple(CodeCompletion(t, *place, s, one.near) for t, place, s in zip(one.texts, places, one.scores))
        found.setdefault(one.texts, answer)
    return list(found.values())


def _again(task: Task, pieces: list[str], filling: _Filling, k: int, end: float, calls: int) -> _Filling:
    """The filling with hole k written anew, given the others, where that is likelier than what stands there."""
    answers = _write(task, pieces, list(filling.texts), k, len(filling.texts), end, calls, AGAIN)
    if not answers:
        return filling
    best = next((one for one in answers if one.text == filling.texts[k]), answers[0])
    if answers[0].score > best.score:
        best = answers[0]
    texts, scores = list(filling.texts), list(filling.scores)
    texts[k], scores[k] = best.text, best.score
    return _Filling(tuple(texts), tuple(scores), filling.near or best.near)


def _write(
    task: Task, pieces: list[str], texts: list[str], k: int, written: int, end: float, calls: int, count: int
) -> list[CodeCompletion]:
    """Completions of hole k, with these texts in the holes, of which those from `written` on are placeholders."""
    left = 1e3 * (end - time.monotonic()) / max(calls, 1)
    if left <= 0:
        return []
    source, places = joined(pieces, texts)
    return one_hole(task._replace(budget=left, count=count), source, places[k], places[written:])


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
