"""Texts to write, and what became of them: all candidates of all tasks are rows that run together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Generator, Sequence

from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.diffusion.blocks import write
from dgemma_constrain.diffusion.denoiser import Denoiser, Renoiser
from dgemma_constrain.diffusion.settings import Settings
from dgemma_constrain.diffusion.together import run
from dgemma_constrain.diffusion.trace import Step, Trace
from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class Output:
    """A text that satisfies its constraint.

    value: the parsed JSON value under a schema, otherwise None; fields: what a template's holes (or a pattern's named
    groups) hold; score: the sum of the tokens' log-probabilities, under the constraint, when each was committed;
    trace: what happened in every step; others: the other candidates, best first, every text once; spans: where the spans of
    a revision now stand.
    """

    text: str
    value: Any
    fields: dict[str, str]
    score: float
    trace: Trace
    ids: list[int]
    others: tuple[Output, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Task:
    """One text to write: what was asked, the ids around its canvas, its length in tokens and what of it is fixed.

    compiled is `asked` and, where what follows is written along with it, that `ending`; behind a header that ends with
    the special id `header_end`, if the model writes one.
    """

    prompt: str
    asked: Constraint
    compiled: Compiled
    before: list[int]
    after: list[int]
    compile_ms: float = 0.0
    length: int = 0
    pinned: dict[int, int] = field(default_factory=dict)
    ending: str = ""
    header_end: int | None = None


def write_all(
    denoiser: Denoiser | Renoiser,
    tasks: Sequence[Task | ConstraintError],
    seed: int,
    candidates: int,
    settings: Settings,
) -> list[Output | ConstraintError]:
    """The best candidate of each task, or the exception that ended it. A task that has failed already stays so."""
    rows, traces, owners = [], [], []
    for number, task in enumerate(tasks):
        for k in range(candidates if isinstance(task, Task) else 0):
            trace = Trace(task.prompt, compile_ms=task.compile_ms)
            listen = _listener(denoiser.vocabulary, trace, number * candidates + k, settings.on_step)
            rows.append(_row(denoiser, task, replace(settings, on_step=listen), seed + k))
            traces.append(trace)
            owners.append(number)
    found: list[list] = [[] for _ in tasks]
    for owner, trace, result in zip(owners, traces, run(denoiser, rows)):
        found[owner].append((result, trace))
    return [
        task if not isinstance(task, Task) else _ranked(denoiser.vocabulary, task, of) for task, of in zip(tasks, found)
    ]


def _row(denoiser, task: Task, settings: Settings, seed: int) -> Generator:
    import torch

    room = denoiser.context_length - len(task.before) - len(task.after)
    whole = task.length
    if getattr(denoiser, "renoises", False):
        whole = -(-task.length // denoiser.block) * denoiser.block
    if whole > room:
        raise ConstraintError(
            f"{task.length} tokens do not fit: {room} are left of the model's context of {denoiser.context_length}; "
            "shorten the prompt or the length"
        )
    generator = torch.Generator().manual_seed(seed)
    return (
        yield from write(
            denoiser, task.compiled, task.before, task.after, task.length, task.pinned, settings, generator
        )
    )


def _ranked(vocabulary: Vocabulary, task: Task, found: list) -> Output | ConstraintError:
    """The candidate with the best score, and the others behind it; of several with the same text, the best one."""
    written = [(result, trace) for result, trace in found if not isinstance(result, ConstraintError)]
    if not written:
        return found[0][0]
    written.sort(key=lambda one: -one[0][1])
    outputs: dict[str, Output] = {}
    for (ids, score), trace in written:
        out = _output(vocabulary, task, ids, score, trace)
        outputs.setdefault(out.text, out)
    best, *others = outputs.values()
    return replace(best, others=tuple(others))


def _output(vocabulary: Vocabulary, task: Task, ids: list[int], score: float, trace: Trace) -> Output:
    text_ids = ids[: vocabulary.text_length(ids)]
    if task.header_end in text_ids:
        text_ids = text_ids[text_ids.index(task.header_end) + 1 :]
    text = vocabulary.decode(text_ids)
    constraint = task.asked + task.ending if task.ending else task.asked
    fits, body = constraint.matches(text), text[: len(text) - len(task.ending)]
    if not fits:
        task.asked.value(body)  # of a schema that was relaxed it says what is wrong
        raise ConstraintError(  # cannot happen; if it does, it must not pass in silence
            f"internal error: the text written does not satisfy the constraint: {constraint.explain(text)}"
        )
    return Output(body, task.asked.value(body), task.asked.fields(body), score, trace, ids)


def _listener(
    vocabulary: Vocabulary, trace: Trace, row: int, listen: Callable[[Step], None] | None
) -> Callable[[Step], None]:
    def on_step(step: Step) -> None:
        step = replace(step, row=row)
        trace.steps.append(step)
        _name_pieces(vocabulary, trace, step)
        if listen is not None:
            listen(step)

    return on_step


def _name_pieces(v: Vocabulary, trace: Trace, step: Step) -> None:
    ids = {
        *step.proposal,
        *(t for t in step.canvas if t is not None),
        *(t for row in step.alternatives for t, _ in row),
    }
    for t in ids - trace.pieces.keys():
        named = "end" if t in v.eos_ids else "pad" if t == v.pad_id else "special"
        trace.pieces[t] = v.token_bytes(t) or f"<{named}>"
