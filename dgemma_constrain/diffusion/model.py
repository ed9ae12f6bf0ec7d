"""The model object: `generate` and `infill` under any constraint."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Callable

from dgemma_constrain.canvas.compiled import Compiled, compile
from dgemma_constrain.constraints.base import Constraint, as_constraint
from dgemma_constrain.constraints.terms import text as any_text
from dgemma_constrain.diffusion.denoise import Settings, write
from dgemma_constrain.diffusion.denoiser import Denoiser
from dgemma_constrain.diffusion.schedules import schedule as schedule_named
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


class Model:
    """A denoiser with everything one does with it. `vocabulary` is its tokenizer's."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser = denoiser
        self._compiled = lru_cache(maxsize=32)(lambda constraint: compile(constraint, self.vocabulary))

    @property
    def vocabulary(self) -> Vocabulary:
        return self.denoiser.vocabulary

    def generate(
        self,
        prompt: str,
        constraint: Constraint | str | None = None,
        length: int = 64,
        steps: int = 16,
        seed: int = 0,
        candidates: int = 1,
        *,
        temperature: float = 0.0,
        schedule: str = "linear",
        remask: float = 0.0,
        tail: str = "end",
        pinned: dict[int, int] | None = None,
        trace: bool = False,
        on_step: Callable[[Step], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Output:
        """Write a text of at most `length` tokens that satisfies the constraint.

        steps        denoising steps a canvas: fewer are faster, more are better
        seed         same seed, same output
        candidates   write this many (from seed, seed + 1, …) and return the one with the best score
        temperature  0: each step takes the jointly best string; above: a joint sample
        schedule     how many tokens a step commits: "linear", "cosine", "confidence" or "entropy"
        remask       commits less sure than this (0 … 1) are reconsidered once
        tail         what may follow the end token on the canvas: "end" or "any" (see `Compiled.canvas`)
        pinned       {position: id} fixed from the start
        trace        record the likeliest alternatives of every position in every step, too
        on_step      called with every `Step` as it is done; cancel: an event that stops before the next step

        Raises Infeasible if no such text has that length, EmptyConstraint, LimitExceeded, Cancelled.
        """
        before, after = self.denoiser.frame(prompt)
        return self._write(
            prompt, constraint, before, after, length, steps, seed, candidates, temperature=temperature, schedule=schedule,
            remask=remask, tail=tail, pinned=pinned or {}, trace=trace, on_step=on_step, cancel=cancel,
        )  # fmt: skip

    def infill(
        self,
        prefix: str,
        suffix: str,
        constraint: Constraint | str | None = None,
        length: int | str = "auto",
        steps: int = 16,
        seed: int = 0,
        candidates: int = 1,
        **options,
    ) -> Output:
        """Write what stands between two texts; the constraint is on the hole alone. Options as in `generate`.

        length: tokens the hole may take at most, or "auto": of 4, 8, 16, 32 and 64, those that are feasible, the one of
        which the model is surest (best average log-probability of a whole string after one look).
        """
        before, after = self.denoiser.frame_infill(prefix, suffix)
        if length == "auto":
            length = self._likely_length(before, after, constraint)
        settings = dict(
            temperature=0.0,
            schedule="linear",
            remask=0.0,
            tail="end",
            pinned={},
            trace=False,
            on_step=None,
            cancel=None,
        )
        return self._write(
            prefix, constraint, before, after, length, steps, seed, candidates, **{**settings, **options}
        )

    def _likely_length(self, before, after, constraint) -> int:
        import torch

        compiled = self._compile(constraint)
        best = None
        for n in INFILL_LENGTHS:
            canvas = compiled.canvas(n)
            if len(before) + n + len(after) > self.denoiser.context_length or not canvas.feasible:
                continue
            row = [*before, *[self.vocabulary.mask_id] * n, *after]
            logits = self.denoiser.logits(torch.tensor([row]), len(before), len(before) + n)[0]
            score = canvas.best(logits).score / n
            if best is None or score > best[0]:
                best = score, n
        if best is None:
            needed = int(compiled.automaton.distance[0])
            raise Infeasible(
                f"no hole of up to {INFILL_LENGTHS[-1]} tokens fits; the constraint needs at least {needed}; pass length="
            )
        return best[1]

    def _compile(self, constraint: Constraint | str | None) -> Compiled:
        return self._compiled(any_text() if constraint is None else as_constraint(constraint))

    def _write(self, prompt, constraint, before, after, length, steps, seed, candidates, **options) -> Output:
        import torch

        for name, value, least in (("length", length, 0), ("steps", steps, 1), ("candidates", candidates, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConstraintError(f"{name} must be a whole number from {least} up, not {value!r}")
        began = time.perf_counter()
        compiled = self._compile(constraint)
        compile_ms = (time.perf_counter() - began) * 1e3
        room = self.denoiser.context_length - len(before) - len(after)
        if length > room:
            raise ConstraintError(
                f"{length} tokens do not fit: {room} are left of the model's context of {self.denoiser.context_length}; "
                "shorten the prompt or the length"
            )
        best = None
        for k in range(candidates):
            trace = Trace(prompt, compile_ms=compile_ms)
            listen = options["on_step"]

            def on_step(step: Step) -> None:
                trace.steps.append(step)
                self._name_pieces(trace, step)
                if listen is not None:
                    listen(step)

            settings = Settings(
                steps, options["temperature"], schedule_named(options["schedule"]), options["remask"], options["tail"],
                ALTERNATIVES if options["trace"] else 0, on_step, options["cancel"],
            )  # fmt: skip
            generator = torch.Generator().manual_seed(seed + k)
            ids, score = write(self.denoiser, compiled, before, after, length, options["pinned"], settings, generator)
            if best is None or score > best[1]:
                best = ids, score, trace
        return self._output(compiled, *best)

    def _output(self, compiled: Compiled, ids: list[int], score: float, trace: Trace) -> Output:
        text = self.vocabulary.decode(ids[: self.vocabulary.text_length(ids)])
        constraint = compiled.constraint
        if not constraint.matches(text):  # cannot happen; if it does, it must not pass in silence
            raise ConstraintError(
                f"internal error: the text written does not satisfy the constraint: {constraint.explain(text)}"
            )
        return Output(text, constraint.value(text), constraint.fields(text), score, trace, ids)

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
