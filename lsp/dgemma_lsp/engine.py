"""What the worker does with its model: completes code, and JSON under its schema."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Callable

import dgemma_constrain as dc
from dgemma_constrain.warm_up import warm_up
from dgemma_lsp.json_holes import hole_at, schema_name, schema_of

STEPS = 8
NEAR = 4_000  # characters on either side that a model is shown at most
PATIENCE = 8  # deadlines: late, something is still better than nothing
LINE, BLOCK = 16, 48  # tokens at most; what needs more has as many as it needs, and so many

Report = Callable[[int, int], None]
Answer = Callable[[dict[str, Any], threading.Event, Report], list[dict[str, Any]]]


def load(name: str) -> Answer:
    """The engine for the worker: takes a request, an event that stops it, and whom to tell of steps."""
    model = dc.load(name)
    warm_up()
    page = "value = 1\n" * 200
    # compiles what only code needs, and tells how long a long look takes
    dc.infill.complete(page + "x = ", len(page) + 4, "python", model)

    def answer(request: dict[str, Any], cancel: threading.Event, report: Report) -> list[dict[str, Any]]:
        source, start, end = request["source"], request["start"], request["end"]
        stop = Stop(cancel, request["budget"] / 1e3)
        is_json = request["language"] == "json"
        schema = schema_of(source, request["path"], request["schemas"]) if is_json else None
        if request["do"] == "json":
            if schema is None:
                return []
            return _item(_whole(model, schema, schema_name(source), stop, report), 0, len(source))
        if not is_json:
            return _code(model, request, cancel)
        hole = hole_at(True if schema is None else schema, source, start, end, not request["block"])
        if hole is None:
            return []
        length = BLOCK if request["block"] else LINE
        return _item(written(model, source[:start], source[end:], hole, length, stop, report), start, end)

    return answer


class Stop(threading.Event):
    """Set when the request is cancelled; and at its deadline, once there is something to show."""

    def __init__(self, cancel: threading.Event, seconds: float):
        super().__init__()
        self.cancel, self.end = cancel, time.monotonic() + seconds
        self.ids: list[int] | None = None  # the best text so far, whole and valid

    def is_set(self) -> bool:
        return self.cancel.is_set() or (self.ids is not None and time.monotonic() > self.end)


def _code(model: dc.Model, request: dict[str, Any], cancel: threading.Event) -> list[dict[str, Any]]:
    """What fits into code at a place, best first; nothing in a language that isn't known or has no grammar here."""
    span = request["start"] if request["start"] == request["end"] else (request["start"], request["end"])
    try:
        found = dc.infill.complete(
            request["source"], span, request["language"] or None, model, request["budget"],
            path=request["path"], several=request["block"], cancel=cancel, patience=PATIENCE,
        )  # fmt: skip
    except dc.LanguageError:
        return []
    return [{"text": one.text, "start": one.start, "end": one.end, "score": one.score} for one in found]


def written(
    model: dc.Model, left: str, right: str, hole: dc.Constraint, length: int, stop: Stop, report: Report
) -> str | None:
    """A text for a hole; at the deadline the best so far: every step of the denoiser proposes a whole one.

    length: tokens at most. Not "auto", which looks at five lengths before the first step: an end token ends a text anywhere.
    """

    def on_step(step) -> None:
        stop.ids = step.proposal if not step.offset else None
        report(sum(i is not None for i in step.canvas), len(step.canvas))

    options = {"steps": STEPS, "on_step": on_step, "cancel": stop}
    left, right = left[-NEAR:], right[:NEAR]
    try:
        try:
            return model.infill(left, right, hole, length, **options).text
        except dc.Infeasible:
            needed = int(dc.compile(hole, model.vocabulary).automaton.distance[0])
            return model.infill(left, right, hole, needed + length, **options).text
    except dc.Cancelled:
        if stop.cancel.is_set() or stop.ids is None:
            return None
        v = model.vocabulary
        text = v.decode(stop.ids[: v.text_length(stop.ids)])
        return text if hole.matches(text) else None


def _whole(model: dc.Model, schema: Any, name: str | None, stop: Stop, report: Report) -> str | None:
    """A JSON text for a schema that still names it, laid out."""
    left = "{" if name is None else '{"$schema": ' + json.dumps(name)
    hole = hole_at(schema, left, len(left), len(left), False)
    found = hole and written(model, left, "", hole, BLOCK, stop, report)
    return found and json.dumps(json.loads(left + found), indent=2, ensure_ascii=False) + "\n"


def _item(text: str | None, start: int, end: int) -> list[dict[str, Any]]:
    return [{"text": text, "start": start, "end": end, "score": 0.0}] if text else []
