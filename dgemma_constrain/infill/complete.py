"""`complete`: texts for the middle of a file, ranked; every one leaves the file as whole as it was.

A masked model looks at the hole with several canvas lengths in one batch. On each canvas a beam finds the likeliest strings
(`search`) whose every prefix can still become code (`edge`), tidied and judged (`judge`) from the likeliest on. Then every
canvas commits a part of its best string, and the model looks again, until the canvases are full or time is up. What is whole
by then is ranked by the mean log-probability of its tokens, each at the moment it was committed. Nothing is returned that the
judge hasn't passed.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from dgemma_constrain.diffusion.denoiser import Question, ask
from dgemma_constrain.errors import ConstraintError, LanguageError
from dgemma_constrain.infill import languages
from dgemma_constrain.infill.edge import Edge, warm_up
from dgemma_constrain.infill.hole import Hole, context, find
from dgemma_constrain.infill.judge import Judge
from dgemma_constrain.infill.search import String, strings
from dgemma_constrain.infill.tidy import tidied

if TYPE_CHECKING:
    from dgemma_constrain.diffusion.model import Model

ONE_LINE, SEVERAL_LINES = (2, 4, 8, 16), (8, 16, 32, 64)  # canvas lengths in tokens
BUDGET = {False: 300.0, True: 1000.0}  # milliseconds, for one line and for several
JUDGED, KEPT = 48, 3  # strings of a canvas that are judged in one look; whole ones that are enough
NEAR, WORDS = 4000, 300  # characters around the hole whose words are tried, too; so many at most
LOOKS, LEAST, CHARACTERS = 4, 160, 3  # looks to have time for; characters a model sees at least; of a token
_SECONDS: WeakKeyDictionary = WeakKeyDictionary()  # a denoiser → what a token took in its last look
COMMON = ("0", "None", "null", "true", "pass", '""', "[]", "{}", "()", "x", "x;", "x: 0", '"x": 0', "return", ";", ":")


@dataclass(frozen=True)
class CodeCompletion:
    """`text` replaces the characters start:end of the source. score: mean log-probability of a token, ≤ 0."""

    text: str
    start: int
    end: int
    score: float


@dataclass
class Attempt:
    """A canvas of one length. pinned: position → id and its log-probability when it was committed."""

    length: int
    pinned: dict[int, tuple[int, float]] = field(default_factory=dict)
    done: bool = False


def complete(
    source: str,
    cursor_or_span: int | tuple[int, int],
    language: str | None = None,
    model: Model | str = "embedded",
    budget: float | None = None,
    *,
    path: str | None = None,
    count: int = 3,
    steps: int = 8,
    several: bool | None = None,
    cancel: threading.Event | None = None,
    patience: float = 1,
) -> list[CodeCompletion]:
    """Completions of code at a cursor, or instead of a span (start, end), best first; positions in characters.

    language  a name (`languages.KNOWN`, or an editor's); None: told by `path`, or the first line of the source
    model     a masked model, or its name for `dc.load`
    budget    milliseconds; 300 for one line and 1000 for several if not given. When they are over the best so far is
              returned, which is nothing if nothing was whole by then
    count     completions at most
    steps     looks that the model takes at most
    several   whether several lines are wanted; None: if the hole is an empty body
    cancel    an event that ends it as the budget does
    patience  where nothing is whole when the budget is over, it goes on until something is, up to so many times the budget

    Raises LanguageError if the language isn't known or its grammar isn't installed, and ConstraintError for a place outside
    the source and a model that isn't a masked one.
    """
    if isinstance(model, str):
        from dgemma_constrain.models.load import load

        model = load(model)
    if getattr(model.denoiser, "renoises", False):
        raise ConstraintError("code is completed by masked models; this one renoises its canvas: use Model.infill")
    warm_up()
    began = time.monotonic()  # loading a model is not part of the budget, nor is compiling
    hole = find(source, cursor_or_span, several)
    name = languages.canonical(language) if language else languages.detect(path, source)
    judge = Judge(name, hole.before, hole.after)
    if judge.inside and several is None and hole.several:
        hole = find(source, cursor_or_span, False)
    end = began + (BUDGET[hole.several] if budget is None else budget) / 1e3
    try:
        edge = Edge(name, hole.before.encode()[judge.nearest() :])
    except LanguageError:  # tables that are read wrongly: the judge alone decides
        edge = None
    work = _Work(hole, judge, edge, model, end, cancel)
    work.latest = began + patience * (end - began)
    return work.run(count, steps)


class _Work:
    """One call of `complete`: the hole, who judges, and what has been found."""

    def __init__(
        self,
        hole: Hole,
        judge: Judge,
        edge: Edge | None,
        model: Model,
        end: float,
        cancel: threading.Event | None,
    ):
        self.hole, self.judge, self.denoiser, self.end, self.cancel = hole, judge, model.denoiser, end, cancel
        self.latest = end  # as long as nothing is whole
        self.edge = edge
        self.vocabulary = model.vocabulary
        self.head = hole.head.encode()
        self.found: dict[str, tuple[int, float]] = {}  # text → errors it shares with the placeholder, score
        self.judged: dict[str, str | None] = {}  # a model's text → what it was tidied to, or None
        suffix = (hole.tail + hole.after).replace("\r\n", "\n")
        prefix = context(hole, judge.node, self._fits)
        near = self._affordable()
        prefix, suffix = prefix[-near:], suffix[: near // 2]
        self.before, self.after = self.denoiser.frame_infill(prefix, suffix)

    def on_time(self) -> bool:
        end = self.end if self.found else self.latest
        return time.monotonic() < end and not (self.cancel is not None and self.cancel.is_set())

    def _time_to_look(self, attempts: list[Attempt]) -> bool:
        """Whether a look will be over in time, by how long the last one took; as long as nothing is whole, it is worth it."""
        if not self.found:
            return self.on_time()
        tokens = sum(len(self.before) + one.length + len(self.after) for one in attempts)
        seconds = _SECONDS.get(self.denoiser, 0) * tokens
        return self.on_time() and time.monotonic() + seconds < self.end

    def run(self, count: int, steps: int) -> list[CodeCompletion]:
        room = min(self.denoiser.block, self.denoiser.context_length - len(self.before) - len(self.after))
        lengths = [n for n in (SEVERAL_LINES if self.hole.several else ONE_LINE) if n <= room] or [max(room, 1)]
        attempts = [Attempt(n) for n in lengths]
        for step in range(steps):
            open_ = [one for one in attempts if not one.done]
            if not open_ or not self._time_to_look(open_):
                break
            looks = self._look(open_)
            for attempt, log_p in zip(open_, looks):
                self._advance(attempt, log_p, steps - step)
            if not step:
                self._try_words(looks)
        return self._ranked(count)

    def _affordable(self) -> int:
        """Characters before the hole of which the model can take several looks in time, by how long its last look took."""
        seconds = _SECONDS.get(self.denoiser)
        if not seconds:
            return len(self.hole.before) + len(self.hole.after)
        tokens = (self.end - time.monotonic()) / LOOKS / (len(ONE_LINE) * seconds)
        return max(LEAST, int(tokens * CHARACTERS / 1.5))

    def _fits(self, text: str) -> bool:
        """Whether a model's window takes this whole text before the hole."""
        if not hasattr(self, "_window"):
            self._window = len(self.denoiser.frame_infill(self.hole.before.replace("\r\n", "\n"), "")[0]) - 1
        return len(text) <= self._window or len(self.vocabulary.encode(text)) <= self._window

    def _look(self, attempts: list[Attempt]) -> list[np.ndarray]:
        mask = self.vocabulary.mask_id
        questions = []
        for one in attempts:
            ids = [one.pinned[i][0] if i in one.pinned else mask for i in range(one.length)]
            start = len(self.before)
            questions.append(Question([*self.before, *ids, *self.after], start, start + one.length))
        began = time.monotonic()
        answers = ask(self.denoiser, questions)
        _SECONDS[self.denoiser] = (time.monotonic() - began) / sum(len(q.ids) for q in questions)
        return [x.float().log_softmax(-1).cpu().numpy() for x in answers]

    def _advance(self, attempt: Attempt, log_p: np.ndarray, looks_left: int) -> None:
        """Find the canvas's best strings, judge them, and commit a part of the best."""
        candidates = strings(log_p, self.vocabulary, attempt.pinned, self.head, self._allowed, self.on_time)
        lead, whole = None, 0
        for string in candidates[:JUDGED]:
            if whole == KEPT or not self.on_time():
                break
            if self._judge(string.text, string.score):
                lead, whole = lead or string, whole + 1
        lead = lead or (candidates[0] if candidates else None)
        if lead is None:
            attempt.done = True
            return
        self._commit(attempt, log_p, lead, looks_left)

    def _commit(self, attempt: Attempt, log_p: np.ndarray, lead: String, looks_left: int) -> None:
        ids = [*lead.ids]
        if lead.ended:
            ids.append(max(self.vocabulary.eos_ids, key=lambda e: log_p[len(lead.ids), e]))
        open_ = [i for i in range(len(ids)) if i not in attempt.pinned]
        count = -(-len(open_) // max(looks_left - 1, 1))
        while open_ and count:
            near = open_[: self.denoiser.window]
            best = max(near, key=lambda i: log_p[i, ids[i]])
            attempt.pinned[best] = ids[best], float(log_p[best, ids[best]])
            open_.remove(best)
            count -= 1
        attempt.done = not open_

    def _allowed(self, texts: list[bytes]) -> list[bool]:
        """Which prefixes can become a text for the hole."""
        fine = [b"\r" not in t and b"\x00" not in t and (self.hole.several or b"\n" not in t) for t in texts]
        if self.edge is None or not self.edge.known or self.judge.inside:
            return [ok and _is_utf8(text) for ok, text in zip(fine, texts)]
        return [ok and bool(alive) for ok, alive in zip(fine, self.edge.alive_each(texts))]

    def _judge(self, data: bytes, score: float) -> bool:
        """Whether a model's text, tidied, leaves the file whole; if so it is kept."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return False
        if text not in self.judged:
            self.judged[text] = None
            for one in tidied(self.hole, text, self.judge.ending):
                verdict = self.judge.verdict(self.hole.filled(one))
                if verdict.clean and self.judge.compiles(self.hole.filled(one)):
                    self.judged[text] = one
                    self.found.setdefault(one, (verdict.touching, score))
                    break
        one = self.judged[text]
        if one is None:
            return False
        touching, before = self.found[one]
        self.found[one] = touching, max(before, score)
        return True

    def _try_words(self, looks: list[np.ndarray]) -> None:
        """The names that stand near the hole, and what stands nearly everywhere, scored by the first look."""
        if self.judge.inside:
            return
        near = self.hole.before[-NEAR:] + "\n" + self.hole.after[:NEAR]
        words = dict.fromkeys([*reversed(re.findall(r"[^\W\d]\w*", near)), *COMMON])
        scored = []
        for word in [w for w in words if w.startswith(self.hole.head) and w != self.hole.head][:WORDS]:
            ids = self.vocabulary.encode(word)
            means = [_mean(log_p, ids, self.vocabulary.eos_ids) for log_p in looks if len(ids) <= len(log_p)]
            if means:
                scored.append((max(means), word))
        kept = 0
        for score, word in sorted(scored, reverse=True):
            if kept == KEPT or not self.on_time():
                return
            kept += self._judge(word.encode(), score)

    def _ranked(self, count: int) -> list[CodeCompletion]:
        hole = self.hole
        best = sorted(self.found.items(), key=lambda one: (one[1][0], -one[1][1], one[0]))
        answers = {}
        for text, (_, score) in best:
            new = hole.filled(text[len(hole.head) : len(text) - len(hole.tail)])
            answers.setdefault(new, CodeCompletion(new, hole.start, hole.end, score))
        return list(answers.values())[:count]


def _mean(log_p: np.ndarray, ids: list[int], ends: tuple[int, ...]) -> float:
    """The mean log-probability of these ids, and of an end behind them where there is room for one."""
    total = float(sum(log_p[k, i] for k, i in enumerate(ids)))
    if len(ids) < len(log_p):
        return (total + max((float(log_p[len(ids), e]) for e in ends), default=0.0)) / (len(ids) + 1)
    return total / len(ids)


def _is_utf8(text: bytes) -> bool:
    """Or the beginning of it, cut within a character."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.end == len(text) and error.reason == "unexpected end of data"
    return True
