"""The model object: `generate`, `infill` and `revise` under any constraint."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import lru_cache
from typing import Callable, Sequence

from dgemma_constrain.canvas.canvas import scale_of
from dgemma_constrain.canvas.compiled import compile
from dgemma_constrain.constraints.base import Constraint, as_constraint
from dgemma_constrain.constraints.terms import text as any_text
from dgemma_constrain.diffusion import revise
from dgemma_constrain.diffusion.denoiser import Denoiser, Renoiser
from dgemma_constrain.diffusion.lengths import LENGTHS, Place, surest
from dgemma_constrain.diffusion.schedules import schedule as schedule_named
from dgemma_constrain.diffusion.settings import Settings
from dgemma_constrain.diffusion.trace import Step
from dgemma_constrain.diffusion.writing import Output, Task, write_all
from dgemma_constrain.errors import ConstraintError, Infeasible, LimitExceeded
from dgemma_constrain.tokens.vocabulary import Vocabulary

ALTERNATIVES = 5


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
        length: int | str = 64,
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
        length       or "auto": of some lengths that are feasible, the one of which the model is surest after one look
                     (`lengths.surest`); with DiffusionGemma, as many canvases as a text has that is twice the shortest
        steps        denoising steps a canvas: fewer are faster, more are better (DiffusionGemma: at most so many, up to 48)
        seed         same seed, same output; every row of several has this one, so it is as if it were written alone (up to
                     rounding, where rows of different lengths are padded)
        candidates   write this many (from seed, seed + 1, …), together, and return the one with the best score; `others`
                     are the rest, best first, every text once
        temperature  0, as a masked model has it unless told otherwise: each step takes the jointly best string; above: a
                     joint sample. DiffusionGemma has a falling temperature of its own, which this replaces
        schedule     how many tokens a step commits: "linear" (the default), "cosine", "confidence" or "entropy"; the last two
                     also with a threshold of your own, "entropy=0.5"
        remask       commits less sure than this (0 … 1) are reconsidered once
        tail         what may follow the end token on the canvas, "end" (the default) or "any", as with DiffusionGemma (see
                     `Compiled.canvas`)
        pinned       {position: id} fixed from the start
        trace        record the likeliest alternatives of every position in every step, too
        on_step      called with every `Step` as it is done; cancel: an event that stops before the next step

        Raises Infeasible if no such text has that length, EmptyConstraint, LimitExceeded, Cancelled; of several prompts,
        only what is wrong with the arguments themselves, and what isn't a ConstraintError.
        """
        self._check_length(length)
        settings = self._settings(steps, candidates, temperature, schedule, remask, tail, trace, on_step, cancel)
        if not isinstance(prompt, (str, Sequence)):
            raise ConstraintError(f"a prompt is a text, or several in a list, not {type(prompt).__name__}: {prompt!r}")
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
        if length == "auto":
            tasks = self._with_lengths(tasks, pinned or {}, settings.tail)
        else:
            tasks = [_attempt(replace, task, length=length, pinned=pinned or {}) for task in tasks]
        outputs = write_all(self.denoiser, tasks, seed, candidates, settings)
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
        pinned: dict[int, int] | None = None,
        **options,
    ) -> Output:
        """Write what stands between two texts; the constraint is on the hole alone. Options as in `generate`.

        length: tokens the hole may take at most, or "auto", as in `generate`. DiffusionGemma writes the suffix (as much of
        it as takes half a canvas) along with the hole, so that all lengths are weighed at once.
        """
        self._check_length(length)
        settings = self._settings(steps, candidates, **options)
        task = _only([self._task(prefix, constraint, self.denoiser.frame_infill, prefix, suffix)])
        if self._renoises:
            task = self._ending_with(task, suffix)
            wanted = self.denoiser.block if length == "auto" else length + len(self.vocabulary.encode(task.ending))
            task = replace(task, length=min(wanted, self._whole_canvases(task)), pinned=pinned or {})
        elif length == "auto":
            task = _only(self._with_lengths([task], pinned or {}, settings.tail))
        else:
            task = replace(task, length=length, pinned=pinned or {})
        return _only(write_all(self.denoiser, [task], seed, candidates, settings))

    def revise(
        self,
        text: str,
        spans: Sequence[tuple[int, int]],
        constraint: Constraint | str | None = None,
        length: int | str = "auto",
        steps: int = 16,
        seed: int = 0,
        candidates: int = 1,
        **options,
    ) -> Output:
        """Write spans of a text anew, and keep the rest byte for byte; the constraint is on the whole text.

        spans: (start, end) in characters, in order, apart; an empty one is a place to write something into. length: tokens
        that each span takes, or "auto". A masked model sees what is kept on both sides of every span, and of some lengths
        about those that the spans had it takes the one of which it is surest; DiffusionGemma weighs all at once.
        The output's `spans` say where what is new stands. Options as in `generate`, but for `pinned`.
        """
        self._check_length(length)
        settings = self._settings(steps, candidates, **options)
        pieces = revise.cut(text, spans)
        kept = revise.around(pieces)
        task = _only([self._task(text, kept if constraint is None else kept & as_constraint(constraint), self._bare)])
        task = self._laid_out(task, text, spans, length, settings.tail)
        out = _only(write_all(self.denoiser, [task], seed, candidates, settings))
        others = tuple(replace(o, spans=revise.find_spans(o.text, pieces)) for o in out.others)
        return replace(out, spans=revise.find_spans(out.text, pieces), others=others)

    def _bare(self) -> tuple[list[int], list[int]]:
        """The ids around a text that stands alone."""
        return self.denoiser.frame_infill("", "")

    def _laid_out(self, task: Task, text: str, spans, length: int | str, tail: str) -> Task:
        """The task of a revision with its length and what is pinned of it."""
        room = self._room(task)
        if not self._renoises:
            found = [
                (total, pinned)
                for total, pinned in revise.layouts(self.vocabulary, text, spans, length, room)
                if task.compiled.canvas(total, pinned, 0, tail).feasible
            ]
            if found:
                places = [Place(task.compiled.canvas(*one, 0, tail), task.before, task.after) for one in found]
                [best] = surest(self.denoiser, [places]) if len(found) > 1 else [0]
                return replace(task, length=found[best][0], pinned=found[best][1])
        # No layout is known to fit: let the constraint alone say where the kept pieces stand.
        more = LENGTHS[-1] if length == "auto" else length * len(spans)
        wanted = len(text.encode()) + more  # no token of a text is shorter than a byte
        if self._renoises:
            return replace(task, length=min(wanted, self._whole_canvases(task)))
        return replace(task, length=min(wanted, room))

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

    def _room(self, task: Task) -> int:
        return self.denoiser.context_length - len(task.before) - len(task.after)

    def _whole_canvases(self, task: Task) -> int:
        """How many tokens all canvases have that fit behind the task's context."""
        return self._room(task) // self.denoiser.block * self.denoiser.block

    def _with_lengths(self, tasks: list[Task | ConstraintError], pinned: dict[int, int], tail: str) -> list:
        """The tasks with the length of which the model is surest; all are looked at in one batch."""
        if self._renoises:
            return [_attempt(self._with_canvases, task, pinned) for task in tasks]
        groups = [_attempt(self._places, task, pinned, tail) for task in tasks]
        try:
            choices = iter(surest(self.denoiser, [group for group in groups if not isinstance(group, ConstraintError)]))
        except LimitExceeded as reason:  # no memory for a look
            return [reason] * len(tasks)
        return [
            group
            if isinstance(group, ConstraintError)
            else replace(task, length=group[next(choices)].canvas.length, pinned=pinned)
            for task, group in zip(tasks, groups)
        ]

    def _with_canvases(self, task: Task, pinned: dict[int, int]) -> Task:
        shortest, room = int(task.compiled.automaton.distance[0]), self._whole_canvases(task)
        if shortest > room:
            raise Infeasible(f"the constraint needs at least {shortest} tokens, and {room} have room behind the prompt")
        wanted = max(2 * shortest, 1 + max(pinned, default=0), 1)
        whole = -(-wanted // self.denoiser.block) * self.denoiser.block
        return replace(task, length=max(self.denoiser.block, min(whole, room)), pinned=pinned)

    def _places(self, task: Task, pinned: dict[int, int], tail: str) -> list[Place]:
        """The canvases that "auto" looks at: some lengths, and those of the shortest text and of twice as long a one."""
        room, shortest = self._room(task), int(task.compiled.automaton.distance[0])
        least = max(1, 1 + max(pinned, default=0))
        lengths = sorted({*LENGTHS, shortest, shortest + 1, 2 * shortest})
        canvases = [
            task.compiled.canvas(n, pinned, 0, tail) for n in lengths if least <= n <= min(room, self.denoiser.block)
        ]
        places = [Place(canvas, task.before, task.after) for canvas in canvases if canvas.feasible]
        if not places:
            raise Infeasible(
                f"no text of a length that was tried fits ({', '.join(map(str, lengths))} tokens); the constraint needs at "
                f"least {shortest}, and {min(room, self.denoiser.block)} have room; pass length="
            )
        return places

    def _task(self, prompt: str, constraint, frame: Callable, *texts: str) -> Task | ConstraintError:
        """What is to be written, or why it can't be."""
        return _attempt(self._framed, prompt, constraint, frame, texts)

    def _framed(self, prompt: str, constraint, frame: Callable, texts: Sequence[str]) -> Task:
        for text in texts:
            if not isinstance(text, str):
                raise ConstraintError(f"a text is needed, not {type(text).__name__}: {text!r}")
        before, after = frame(*texts)
        began = time.perf_counter()
        asked = any_text() if constraint is None else as_constraint(constraint)
        return Task(prompt, asked, self._compiled(asked), before, after, (time.perf_counter() - began) * 1e3)

    def _check_length(self, length: int | str) -> None:
        if length != "auto":
            _check_whole("length", length, 0)

    def _settings(
        self,
        steps: int,
        candidates: int,
        temperature: float | None = None,
        schedule: str | None = None,
        remask: float = 0.0,
        tail: str | None = None,
        trace: bool = False,
        on_step: Callable[[Step], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Settings:
        _check_whole("steps", steps, 1)
        _check_whole("candidates", candidates, 1)
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


def _check_whole(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConstraintError(f"{name} must be a whole number from {least} up, not {value!r}")


def _attempt(make: Callable, *arguments, **named):
    """What it makes, or the ConstraintError that it raised or was given."""
    if isinstance(arguments[0], ConstraintError):
        return arguments[0]
    try:
        return make(*arguments, **named)
    except ConstraintError as reason:
        return reason


def _only(results: list):
    """The single result, or its exception."""
    if isinstance(results[0], ConstraintError):
        raise results[0]
    return results[0]
