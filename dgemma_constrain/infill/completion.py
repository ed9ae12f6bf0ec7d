"""`complete`: texts for the middle of a file, ranked; every one leaves the file as whole as it was.

A model looks at the hole with several canvas lengths in one batch. On each canvas a beam finds the likeliest strings
(`search`) that keep the file whole and satisfy the caller's constraint (`steering`), tidied and judged (`judge`) from the
likeliest on. Then every canvas commits a part of its best string, and the model looks again, until the canvases are full or
time is up. What is whole by then is ranked by the mean log-probability of its tokens, each at the moment it was committed.
Nothing is returned that the judge hasn't passed.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dgemma_constrain.constraints.base import Constraint, as_constraint
from dgemma_constrain.errors import ConstraintError, LanguageError, VocabularyError
from dgemma_constrain.infill import languages
from dgemma_constrain.infill.edge import READ, Edge, warm_up
from dgemma_constrain.infill.hole import Hole, find, nearby
from dgemma_constrain.infill.judge import Judge
from dgemma_constrain.infill.looks import Looks
from dgemma_constrain.infill.names import Unknown
from dgemma_constrain.infill.parsing import Clock, OutOfTime
from dgemma_constrain.infill.renoised import Renoised
from dgemma_constrain.infill.search import Spelling, String, strings
from dgemma_constrain.infill.steering import Steering
from dgemma_constrain.infill.tidy import tidied
from dgemma_constrain.infill.yields import spellings, yields

if TYPE_CHECKING:
    from dgemma_constrain.diffusion.model import Model

ONE_LINE, SEVERAL_LINES = (2, 4, 8, 16), (8, 16, 32, 64)  # canvas lengths in tokens
# Of a model that renoises: what follows the hole stands in its canvas, so a text is seldom shorter than the hole.
RENOISED = {False: (1, 2, 3, 4, 5, 6, 8, 10, 12, 16), True: (8, 12, 16, 24, 32, 48)}
BUDGET = {False: 300.0, True: 1000.0}  # milliseconds, for one line and for several
PARSING, LEAST_PARSING = 0.4, 50.0  # of the budget; milliseconds: for parsing the whole file
FOREVER = 1e9  # milliseconds
SPELLED = "".join(map(chr, [9, 10, *range(32, 127)]))  # that the tokens of a model have to be able to
JUDGED, KEPT = 48, 3  # strings of a canvas that are judged in one look; whole ones that are enough
LEAST_SCORE = -99.0  # of a text that no canvas has room for
NEAR, WORDS = 4000, 300  # characters around the hole whose words are tried, too; so many at most
BEHIND = 1.0  # nats a token that a canvas's best string may be behind that of another length and still be looked at


@dataclass(frozen=True)
class CodeCompletion:
    """`text` replaces the characters start:end of the source. score: mean log-probability of a token, ≤ 0. near: the file
    couldn't be parsed in time, and it is the lines around the hole alone that are known to stay as whole as they were."""

    text: str
    start: int
    end: int
    score: float
    near: bool = False


@dataclass
class Attempt:
    """A canvas of one length. pinned: position → id and its log-probability when it was committed; lead: what they are of."""

    length: int
    pinned: dict[int, tuple[int, float]] = field(default_factory=dict)
    lead: String | None = None
    done: bool = False


def complete(
    source: str,
    cursor_or_span: int | tuple[int, int] | None = None,
    language: str | None = None,
    model: Model | str = "embedded",
    budget: float | None = None,
    *,
    spans: Sequence[int | tuple[int, int]] | None = None,
    path: str | None = None,
    count: int = 3,
    steps: int = 8,
    several: bool | None = None,
    constraint: Constraint | str | None = None,
    prefer_known_names: float = 0.0,
    cancel: threading.Event | None = None,
    patience: float = 1,
) -> list[CodeCompletion] | list[tuple[CodeCompletion, ...]]:
    """Completions of code at a cursor, or instead of a span (start, end), best first; positions in characters.

    language  a name (`languages.KNOWN`, or an editor's); None: told by `path`, or the first line of the source
    model     a masked model, a DiffusionGemma, or a name for `dc.load`
    budget    milliseconds; 300 for one line and 1000 for several if not given, a span. When they are over the best so far is
              returned, which is nothing if nothing was whole by then. A file that can't be parsed in some part of them is
              judged by the lines around the hole (`CodeCompletion.near`)
    spans     instead of a cursor: places that are filled together, in order and apart. Then an answer is a tuple with a
              completion for each, which leave the file whole together
    count     completions at most
    steps     looks that the model takes at most
    several   whether several lines are wanted; None: if the hole is an empty body
    constraint  what every completion's `text` satisfies, too
    prefer_known_names  what a name that stands nowhere in the file costs in the ranking, in nats; 0: nothing
    cancel    an event that ends it as the budget does
    patience  where nothing is whole when the budget is over, it goes on until something is, up to so many times the budget

    Raises VocabularyError if the model's tokens don't spell what code is made of, LanguageError if the language isn't known or its
    grammar isn't installed, EmptyConstraint, and ConstraintError for a place outside the source and a number out of range.
    """
    if (cursor_or_span is None) == (spans is None):
        raise ConstraintError("say where to write: give a cursor, a span, or spans=[…] for several at once")
    ranges = ("budget", 0, budget), ("count", 1, count), ("steps", 1, steps), ("patience", 0, patience)
    for what, least, value in ranges:
        if value is not None and not value >= least:
            raise ConstraintError(f"{what} is {value}; it must be {least} or more")
    if isinstance(model, str):
        from dgemma_constrain.models.load import load

        model = load(model)
    try:
        model.vocabulary.encode(SPELLED)
    except VocabularyError as reason:  # as that of an uncased BERT
        raise VocabularyError(f"this model can't write code: {reason}; take one with a byte-level vocabulary") from None
    name = languages.canonical(language) if language else languages.detect(path, source)
    asked = None if constraint is None else as_constraint(constraint)
    warm_up()  # loading a model is not part of the budget, nor is compiling
    budget = None if budget is None else min(budget, FOREVER)
    task = Task(name, model, budget, count, steps, several, asked, prefer_known_names, cancel, patience)
    if spans is None:
        return one_hole(task, source, cursor_or_span)
    from dgemma_constrain.infill.regions import several_holes

    return several_holes(task, source, spans)


class Task(NamedTuple):
    """What `complete` is asked for, whatever the place."""

    language: str
    model: Model
    budget: float | None
    count: int
    steps: int
    several: bool | None
    constraint: Constraint | None
    prefer_known_names: float
    cancel: threading.Event | None
    patience: float


def one_hole(
    task: Task, source: str, where: int | tuple[int, int], unwritten: Sequence[tuple[int, int]] = ()
) -> list[CodeCompletion]:
    """Completions at one place. unwritten: spans right of it that hold placeholders, which the model isn't shown."""
    began = time.monotonic()
    hole = find(source, where, task.several)
    if hole.newline == "\r":  # which no grammar takes for a line end
        answers = one_hole(task, source.replace("\r", "\n"), where, unwritten)
        answers = [replace(one, text=one.text.replace("\n", "\r")) for one in answers]
        return [one for one in answers if task.constraint is None or task.constraint.matches(one.text)]
    given = BUDGET[hole.several] if task.budget is None else task.budget
    parsing = max(given * PARSING, LEAST_PARSING) / 1e3
    now = source[len(hole.before) : len(source) - len(hole.after)]
    shift, near = len(source) - len(hole.after), False
    try:
        judge = Judge(task.language, hole.before, hole.after, now, Clock(began + parsing, task.cancel))
    except OutOfTime:
        hole, near = nearby(hole), True
        try:
            judge = Judge(task.language, hole.before, hole.after, now, Clock(time.monotonic() + parsing, task.cancel))
        except OutOfTime:
            return []
    if judge.inside and task.several is None and hole.several:
        hole = replace(hole, several=False)
        given = BUDGET[False] if task.budget is None else task.budget
    budget = given / 1e3
    edge = None
    with contextlib.suppress(LanguageError):  # tables that are read wrongly: the judge alone decides
        started = time.monotonic()
        yields(task.language, hole.several)  # nor is this, once a language
        began += time.monotonic() - started
        edge = Edge(task.language, hole.before.encode()[judge.nearest() :])
    masked = [(start - shift, stop - shift) for start, stop in unwritten if start >= shift]
    known = None if judge.inside else edge  # in a comment or a string nearly all goes: the judge says what doesn't
    judge.on_time = Clock(began + task.patience * budget, task.cancel)
    ends = began + budget, began + task.patience * budget
    steering = Steering(task.language, replace(hole, after=judge.following(READ)), known, task.constraint)
    work = _Work(hole, judge, steering, task, ends, masked)
    work.one_line_first = task.several is None and not hole.several and not judge.inside
    found = work.run(task.steps)
    if not found and work.one_line_first and work.on_time():
        rest = task._replace(several=True, budget=1e3 * (work.end - time.monotonic()))
        return one_hole(rest, source, where, unwritten) if rest.budget > 0 else []
    return [replace(one, near=True) for one in found] if near else found


class _Work:
    """One call of `complete`: the hole, who judges, and what has been found."""

    def __init__(
        self,
        hole: Hole,
        judge: Judge,
        steering: Steering,
        task: Task,
        ends: tuple[float, float],
        masked: Sequence[tuple[int, int]],
    ):
        self.hole, self.judge, self.steering, self.cancel = hole, judge, steering, task.cancel
        self.end, self.latest = ends
        self.language = task.language
        self.vocabulary, self.renoises = task.model.vocabulary, getattr(task.model.denoiser, "renoises", False)
        self.window = task.model.denoiser.block if self.renoises else task.model.denoiser.window
        self.unknown = Unknown(hole, task.language) if task.prefer_known_names else None
        self.penalty = task.prefer_known_names
        self.head = hole.head.encode()
        self.body = " pass" if task.language == "python" else ""  # tree-sitter's grammar does without one
        self.one_line_first = False  # whether it is tried with several lines if nothing of one line is found
        self.count, self.least = task.count, -np.inf  # of answers; what a text must score to be one
        self.found: dict[str, tuple[int, float]] = {}  # text → errors of the file with it, score
        self.judged: dict[str, str | None] = {}  # a model's text → what it was tidied to, or None
        self.spelling = Spelling(self.vocabulary)
        self.looks = (Renoised if self.renoises else Looks)(task.model, hole, judge.around(), masked, self.end)

    def on_time(self) -> bool:
        end = self.end if self.found else self.latest
        return time.monotonic() < end and not (self.cancel is not None and self.cancel.is_set())

    def _time_to_look(self) -> bool:
        """Whether a look will be over in time, by how long the last one took; as long as nothing is whole, it is worth it."""
        return self.on_time() and (not self.found or time.monotonic() + self.looks.took < self.end)

    def run(self, steps: int) -> list[CodeCompletion]:
        room = self.looks.room
        usual = SEVERAL_LINES if self.hole.several else ONE_LINE
        lengths = [n for n in (RENOISED[self.hole.several] if self.renoises else usual) if n <= room] or [max(room, 1)]
        attempts, mask = [Attempt(n) for n in lengths], self.vocabulary.mask_id
        for step in range(steps):
            open_ = [one for one in attempts if not one.done]
            if not open_ or not self._time_to_look():
                break
            looks = self.looks([[one.pinned.get(i, (mask,))[0] for i in range(one.length)] for one in open_])
            leads = [one.lead.score for one in attempts if one.done and one.lead]
            for attempt, log_p in zip(open_, looks):
                self._advance(attempt, log_p, steps - step, max(leads, default=-np.inf))
                leads += [attempt.lead.score] if attempt.lead else []
            if not step and self.least == -np.inf:  # else the canvases have led to enough
                self._try_others(looks)
            best = max((one.lead.score for one in attempts if one.lead), default=0.0)
            for one in open_:
                one.done |= one.lead is not None and one.lead.score < best - BEHIND
            if not step and not self.found:
                self._try(self._repairs(), looks)
            if not step and not self.found and self.one_line_first:
                return []
            if not step and not self.found:
                self.judge.forgive()
                self.judged.clear()
                self._try_others(looks)
                self._try(self._repairs(), looks)
        return self._ranked()

    def _advance(self, attempt: Attempt, log_p: np.ndarray, looks_left: int, best: float) -> None:
        """Find the canvas's best strings, judge them, and commit a part of the best. best: score of the best of other lengths."""
        lead: String | None = None
        first, whole = None, 0

        def worth() -> float:  # what is worse neither comes back nor is looked at again
            return self.least if lead else min(self.least, best - BEHIND)

        found = strings(
            log_p, self.spelling, attempt.pinned, self.head, self.steering, self.on_time, attempt.lead, worth
        )
        for string in islice(found, JUDGED):
            if string.score < worth():
                break
            first = first or string
            if whole == KEPT or not self.on_time():
                break
            if self._judge(string.text, string.score):
                lead, whole = lead or string, whole + 1
        lead = lead or first and attempt.lead or first
        if lead is None:
            attempt.done = True
            return
        attempt.lead = lead
        self._commit(attempt, log_p, lead, looks_left)

    def _commit(self, attempt: Attempt, log_p: np.ndarray, lead: String, looks_left: int) -> None:
        ids = [*lead.ids]
        if lead.ended:
            ids.append(max(self.vocabulary.eos_ids, key=lambda e: log_p[len(lead.ids), e]))
        open_ = [i for i in range(len(ids)) if i not in attempt.pinned]
        count = -(-len(open_) // max(looks_left - 1, 1))
        while open_ and count:
            near = open_[: self.window]
            best = max(near, key=lambda i: log_p[i, ids[i]])
            attempt.pinned[best] = ids[best], float(log_p[best, ids[best]])
            open_.remove(best)
            count -= 1
        attempt.done = not open_

    def _judge(self, data: bytes, score: float) -> bool:
        """Whether a model's text, tidied, leaves the file whole; if so it is kept."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return False
        if text not in self.judged:
            self.judged[text] = None
            for one in tidied(self.hole, text, self.judge.ending, self.body):
                if not self.steering.allows(one):
                    continue
                verdict = self.judge.verdict(self.hole.filled(one))
                if verdict.clean and self.judge.compiles(self.hole.filled(one)):
                    self.judged[text] = one
                    self.found.setdefault(one, (verdict.errors, score))
                    break
        one = self.judged[text]
        if one is None:
            return False
        errors, before = self.found[one]
        self.found[one] = errors, max(before, score)
        self.least = self._least()
        return True

    def _least(self) -> float:
        """What a text must score to be among the answers."""
        scores = sorted(self._liked(text, score) for text, (errors, score) in self.found.items() if not errors)
        return scores[-self.count] if len(scores) >= self.count else -np.inf

    def _try_others(self, looks: list[np.ndarray]) -> None:
        """The shortest texts that are whole, and the names that stand near the hole, scored by the first look."""
        texts = self.steering.shortest()
        if not self.judge.inside:
            near = self.hole.before[-NEAR:] + "\n" + self.hole.after[:NEAR]
            words = dict.fromkeys(reversed(re.findall(r"[^\W\d]\w*", near)))
            words = [w.encode() for w in words if w.startswith(self.hole.head) and w != self.hole.head][:WORDS]
            words = [w for w, alive in zip(words, self.steering.alive(words)) if alive] if words else []
            texts += (
                [w + one for w, some in zip(words, self.steering.closings(words)) for one in some[:1]] if words else []
            )
        self._try(texts, looks)

    def _repairs(self) -> Iterator[bytes]:
        """Texts for a hole that nothing else fits: what is missing to make both sides whole, and the language's words that begin
        with the head, end with the tail, or stand before it."""
        hole, words = self.hole, {one for some in spellings(self.language) for one in some if one.isalpha()}
        following = re.match(r"\w*", hole.after)[0] if not hole.head else ""
        for word in sorted(words, key=len):
            if hole.head and word.startswith(hole.head):
                yield from (word.encode(), f"{word} {hole.tail}".encode()) if hole.tail else (word.encode(),)
            elif following and word.endswith(following) and word != following:
                yield word.removesuffix(following).encode()
        for text in self.judge.repairs():
            yield from (f"{hole.head}{one}{hole.tail}".encode() for one in (text, f" {text} "))

    def _try(self, texts: Iterable[bytes], looks: list[np.ndarray]) -> None:
        """Judge texts, those first that the model likes best in its first look."""
        scored = []
        for text in dict.fromkeys(texts):
            ids = self.spelling.encode(text.decode())
            means = [_mean(log_p, ids, self.vocabulary.eos_ids) for log_p in looks if len(ids) <= len(log_p)]
            scored.append((max(means, default=LEAST_SCORE), text))
        kept = 0
        for score, text in sorted(scored, reverse=True):
            if kept == KEPT or score < self.least or not self.on_time():
                return
            kept += self._judge(text, score)

    def _ranked(self) -> list[CodeCompletion]:
        hole = self.hole
        best = sorted(self.found.items(), key=lambda one: (one[1][0], -self._liked(one[0], one[1][1]), one[0]))
        answers = {}
        for text, (errors, score) in best:
            if errors > best[0][1][0]:
                break  # the best shows that the hole can mend them
            new = hole.filled(text[len(hole.head) : len(text) - len(hole.tail)])
            answers.setdefault(new, CodeCompletion(new, hole.start, hole.end, self._liked(text, score)))
        return list(answers.values())[: self.count]

    def _liked(self, text: str, score: float) -> float:
        return score - self.penalty * self.unknown.count(text) if self.unknown else score


def _mean(log_p: np.ndarray, ids: list[int], ends: tuple[int, ...]) -> float:
    """The mean log-probability of these ids, and of an end behind them where there is room for one."""
    total = float(sum(log_p[k, i] for k, i in enumerate(ids)))
    if len(ids) < len(log_p):
        return (total + max((float(log_p[len(ids), e]) for e in ends), default=0.0)) / (len(ids) + 1)
    return total / len(ids)
