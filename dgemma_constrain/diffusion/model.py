"""The model object: `generate` and `infill` under any constraint."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Callable, Sequence

from dgemma_constrain.canvas.canvas import scale_of
from dgemma_constrain.canvas.compiled import Compiled, compile
from dgemma_constrain.constraints.base import Constraint, as_constraint
from dgemma_constrain.constraints.terms import text as any_text
from dgemma_constrain.diffusion.blocks import write
from dgemma_constrain.diffusion.denoiser import Denoiser, Question, Renoiser, ask
from dgemma_constrain.diffusion.schedules import schedule as schedule_named
from dgemma_constrain.diffusion.settings import Settings
from dgemma_constrain.diffusion.together import run
from dgemma_constrain.diffusion.trace import Step, Trace
from dgemma_constrain.errors import ConstraintError, Infeasible
from dgemma_constrain.tokens.vocabulary import Vocabulary

INFILL_LENGTHS = (4, 8, 16, 32, 64)
ALTERNATIVES = 5


@dataclass(frozen=True)
class Output:
    """A text that satisfies its constraint.

    value: the parsed JSON value under a schema, otherwise None; fields: what a template's holes (or a pattern's named
    groups) hold; score: the sum of the tokens' log-probabilities, under the constraint, when each was committed;
    trace: what happened in every step.
    """

    text: str
    value: Any
    fields: dict[str, str]
    score: float
    trace: Trace
    ids: list[int]


@dataclass(frozen=True)
class Task:
    """One text to write: what was asked, and the ids around its canvas.

    compiled is `asked` and, where what follows is written along with it, that `ending`; behind a header that ends with
    the special id `header_end`, if the model writes one.
    """

    prompt: str
    asked: Constraint
    compiled: Compiled
    before: list[int]
    after: list[int]
    compile_ms: float
    ending: str = ""
    header_end: int | None = None


class Model:
    """A denoiser with everything one does with it. `vocabulary` is its tokenizer's."""

    def __init__(self, denoiser: Denoiser | Renoiser):
        self.denoiser = denoiser
        self._compiled = lru_cache(maxsize=32)(lambda constraint: compile(constraint, self.vocabulary))

    @property
    def vocabulary(self) -> Vocabulary:
        return self.denoiser.vocabulary

    def generate(
        self,
        prompt: str | Sequence[str],
        constraint: Constraint | str | None | Sequence[Constraint | str | None] = None,
        length: int = 64,
        steps: int = 16,
        seed: int = 0,
        candidates: int = 1,
        *,
        temperature: float | None = None,
        schedule: str | None = None,
        remask: float = 0.0,
        tail: str | None = None,
        pinned: dict[int, int] | None = None,
        trace: bool = False,
        on_step: Callable[[Step], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Output | list[Output | ConstraintError]:
        """Write a text of at most `length` tokens that satisfies the constraint.

        prompt       one, or several that are written together, each step of all in one forward. Then the answer is a list in
                     their order, which holds, instead of the output of a row that failed, its exception (as
                     `asyncio.gather(…, return_exceptions=True)` does); the other rows are finished all the same
        constraint   one for all prompts, or a list with one (or None) for each
        steps        denoising steps a canvas: fewer are faster, more are better (DiffusionGemma: at most so many, up to 48)
        seed         same seed, same output; every row of several has this one, so it is as if it were written alone (up to
                     rounding, where rows of different lengths are padded)
        candidates   write this many (from seed, seed + 1, …) and return the one with the best score
        temperature  0, as a masked model has it unless told otherwise: each step takes the jointly best string; above: a
                     joint sample. DiffusionGemma has a falling temperature of its own, which this replaces
        schedule     how many tokens a step commits: "linear" (the default), "cosine", "confidence" or "entropy"
        remask       commits less sure than this (0 … 1) are reconsidered once
        tail         what may follow the end token on the canvas, "end" (the default) or "any", as with DiffusionGemma (see
                     `Compiled.canvas`)
        pinned       {position: id} fixed from the start
        trace        record the likeliest alternatives of every position in every step, too
        on_step      called with every `Step` as it is done; cancel: an event that stops before the next step

        Raises Infeasible if no such text has that length, EmptyConstraint, LimitExceeded, Cancelled; of several prompts,
        only what is wrong with the arguments themselves, and what isn't a ConstraintError.
        """
        settings = self._settings(
            length, steps, candidates, temperature, schedule, remask, tail, trace, on_step, cancel
        )
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        constraints = constraint if isinstance(constraint, (list, tuple)) else [constraint] * len(prompts)
        if len(constraints) != len(prompts):
            raise ConstraintError(
                f"{len(constraints)} constraints were given for {len(prompts)} prompts; give one, or one each"
            )
        tasks = [self._task(p, c, self.denoiser.frame, p) for p, c in zip(prompts, constraints)]
        header = getattr(self.denoiser, "header", None)
        if header is not None:
            tasks = [_attempt(self._behind_header, task, *header) for task in tasks]
        outputs = self._write(tasks, [length] * len(tasks), seed, candidates, pinned or {}, settings)
        return _only(outputs) if isinstance(prompt, str) else outputs

    def infill(
        self,
        prefix: str,
        suffix: str,
        constraint: Constraint | str | None = None,
        length: int | str = "auto",
        steps: int = 16,
        seed: int = 0,
        candidates: int = 1,
        *,
        temperature: float | None = None,
        schedule: str | None = None,
        remask: float = 0.0,
        tail: str | None = None,
        pinned: dict[int, int] | None = None,
        trace: bool = False,
        on_step: Callable[[Step], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Output:
        """Write what stands between two texts; the constraint is on the hole alone. Options as in `generate`.

        length: tokens the hole may take at most, or "auto": of 4, 8, 16, 32 and 64, those that are feasible, the one of
        which the model is surest (best average log-probability of a whole string after one look). DiffusionGemma writes
        the suffix (as much of it as takes half a canvas) along with the hole, so that all lengths are weighed at once.
        """
        settings = self._settings(
            length, steps, candidates, temperature, schedule, remask, tail, trace, on_step, cancel
        )
        task = _only([self._task(prefix, constraint, self.denoiser.frame_infill, prefix, suffix)])
        if self._renoises:
            task = self._ending_with(task, suffix)
            room = self.denoiser.context_length - len(task.before)
            wanted = self.denoiser.block if length == "auto" else length + len(self.vocabulary.encode(task.ending))
            length = min(wanted, room // self.denoiser.block * self.denoiser.block)
        elif length == "auto":
            length = self._likely_length(task)
        return _only(self._write([task], [length], seed, candidates, pinned or {}, settings))

    @property
    def _renoises(self) -> bool:
        return getattr(self.denoiser, "renoises", False)

    def _behind_header(self, task: Task, end_id: int, start_id: int | None) -> Task:
        return replace(task, compiled=task.compiled.behind_header(end_id, start_id), header_end=end_id)

    def _ending_with(self, task: Task, suffix: str) -> Task:
        """The task of writing this suffix, too, as far as half a canvas takes it."""
        while len(self.vocabulary.encode(suffix)) > self.denoiser.block // 2:
            suffix = suffix[: len(suffix) * 3 // 4]
        return replace(task, compiled=self._compiled(task.asked + suffix), ending=suffix)

    def _likely_length(self, task: Task) -> int:
        room = self.denoiser.context_length - len(task.before) - len(task.after)
        canvases = [task.compiled.canvas(n) for n in INFILL_LENGTHS if n <= room]
        canvases = [canvas for canvas in canvases if canvas.feasible]
        if not canvases:
            needed = int(task.compiled.automaton.distance[0])
            raise Infeasible(
                f"no hole of up to {INFILL_LENGTHS[-1]} tokens fits; the constraint needs at least {needed}; pass length="
            )
        at, mask_id = len(task.before), self.vocabulary.mask_id
        looks = [
            Question([*task.before, *[mask_id] * canvas.length, *task.after], at, at + canvas.length)
            for canvas in canvases
        ]
        scores = [c.best(logits).score / c.length for c, logits in zip(canvases, ask(self.denoiser, looks))]
        return canvases[scores.index(max(scores))].length

    def _task(self, prompt: str, constraint, frame: Callable, *texts: str) -> Task | ConstraintError:
        """What is to be written, or why it can't be."""
        return _attempt(self._framed, prompt, constraint, frame, texts)

    def _framed(self, prompt: str, constraint, frame: Callable, texts: Sequence[str]) -> Task:
        before, after = frame(*texts)
        began = time.perf_counter()
        asked = any_text() if constraint is None else as_constraint(constraint)
        return Task(prompt, asked, self._compiled(asked), before, after, (time.perf_counter() - began) * 1e3)

    def _settings(
        self, length, steps, candidates, temperature, schedule, remask, tail, trace, on_step, cancel
    ) -> Settings:
        for name, value, least in (("length", length, 0), ("steps", steps, 1), ("candidates", candidates, 1)):
            if name == "length" and value == "auto":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConstraintError(f"{name} must be a whole number from {least} up, not {value!r}")
        if self._renoises and (schedule is not None or remask):
            raise ConstraintError(
                "DiffusionGemma accepts by entropy and renoises the rest: it takes no schedule and no remask"
            )
        if temperature is None and not self._renoises:
            temperature = 0.0
        if temperature is not None:
            scale_of(temperature)
        named = schedule_named(schedule or "linear")
        tail = tail or ("any" if self._renoises else "end")
        return Settings(steps, temperature, named, remask, tail, ALTERNATIVES if trace else 0, on_step, cancel)

    def _write(
        self,
        tasks: list[Task | ConstraintError],
        lengths: list[int],
        seed: int,
        candidates: int,
        pinned,
        settings: Settings,
    ) -> list[Output | ConstraintError]:
        """Every candidate of every task is a row; all run together."""
        rows, traces, owners = [], [], []
        for number, (task, length) in enumerate(zip(tasks, lengths)):
            for k in range(candidates if isinstance(task, Task) else 0):
                trace = Trace(task.prompt, compile_ms=task.compile_ms)
                listening = replace(settings, on_step=self._listener(trace, len(rows), settings.on_step))
                rows.append(self._row(task, length, pinned, listening, seed + k))
                traces.append(trace)
                owners.append(number)
        found: list[list] = [[] for _ in tasks]
        for owner, trace, result in zip(owners, traces, run(self.denoiser, rows)):
            found[owner].append((result, trace))
        return [task if isinstance(task, ConstraintError) else self._best(task, of) for task, of in zip(tasks, found)]

    def _row(self, task: Task, length: int, pinned, settings: Settings, seed: int):
        import torch

        room = self.denoiser.context_length - len(task.before) - len(task.after)
        whole = -(-length // self.denoiser.block) * self.denoiser.block if self._renoises else length
        if whole > room:
            raise ConstraintError(
                f"{length} tokens do not fit: {room} are left of the model's context of {self.denoiser.context_length}; "
                "shorten the prompt or the length"
            )
        generator = torch.Generator().manual_seed(seed)
        return (
            yield from write(self.denoiser, task.compiled, task.before, task.after, length, pinned, settings, generator)
        )

    def _listener(self, trace: Trace, row: int, listen: Callable[[Step], None] | None) -> Callable[[Step], None]:
        def on_step(step: Step) -> None:
            step = replace(step, row=row)
            trace.steps.append(step)
            self._name_pieces(trace, step)
            if listen is not None:
                listen(step)

        return on_step

    def _best(self, task: Task, found: list) -> Output | ConstraintError:
        written = [(result, trace) for result, trace in found if not isinstance(result, ConstraintError)]
        if not written:
            return found[0][0]
        (ids, score), trace = max(written, key=lambda one: one[0][1])
        return self._output(task, ids, score, trace)

    def _output(self, task: Task, ids: list[int], score: float, trace: Trace) -> Output:
        text_ids = ids[: self.vocabulary.text_length(ids)]
        if task.header_end in text_ids:
            text_ids = text_ids[text_ids.index(task.header_end) + 1 :]
        text = self.vocabulary.decode(text_ids)
        constraint = task.asked + task.ending if task.ending else task.asked
        if not constraint.matches(text):  # cannot happen; if it does, it must not pass in silence
            raise ConstraintError(
                f"internal error: the text written does not satisfy the constraint: {constraint.explain(text)}"
            )
        text = text[: len(text) - len(task.ending)]
        return Output(text, task.asked.value(text), task.asked.fields(text), score, trace, ids)

    def _name_pieces(self, trace: Trace, step: Step) -> None:
        v = self.vocabulary
        ids = {
            *step.proposal,
            *(t for t in step.canvas if t is not None),
            *(t for row in step.alternatives for t, _ in row),
        }
        for t in ids - trace.pieces.keys():
            named = "end" if t in v.eos_ids else "pad" if t == v.pad_id else "special"
            trace.pieces[t] = v.token_bytes(t) or f"<{named}>"


def _attempt(make: Callable, *arguments):
    """What it makes, or the ConstraintError that it raised or was given."""
    if isinstance(arguments[0], ConstraintError):
        return arguments[0]
    try:
        return make(*arguments)
    except ConstraintError as reason:
        return reason


def _only(results: list):
    """The single result, or its exception."""
    if isinstance(results[0], ConstraintError):
        raise results[0]
    return results[0]
