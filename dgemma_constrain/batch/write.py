"""Rows of a batch, answered by a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from dgemma_constrain import records
from dgemma_constrain.batch.rows import Asked, Job, Row, asked, members_of

if TYPE_CHECKING:
    from dgemma_constrain.diffusion.model import Model


def locally(job: Job, model: Model, rows: Iterable[Row], size: int) -> Iterator[list[tuple[Row, str]]]:
    """The lines of `size` rows at a time, written here."""
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield list(zip(some, lines(job, model, some)))


def lines(job: Job, model: Model, rows: list[Row]) -> list[str]:
    """A line of JSON for each row, in their order: its text, or why it has none. Rows of one length are written together."""
    found: list[Any] = [None] * len(rows)
    ids: list[Any] = [None] * len(rows)
    together: dict[int, list[tuple[int, Asked]]] = {}
    for k, row in enumerate(rows):
        try:
            members = members_of(row)
            ids[k] = members.get("id") if isinstance(members, dict) else None
            ask = asked(job, members)
            length = ask.length
            if length == "auto":
                length = records.usual_length(model, ask.prompt, ask.constraint, ask.room_for)
            together.setdefault(length, []).append((k, ask))
        except Exception as reason:
            found[k] = reason
    for length, some in together.items():
        for (k, ask), output in zip(some, _written(job, model, [ask for _, ask in some], length)):
            found[k] = output if isinstance(output, Exception) else records.record(model, output, ask.parsed)
    return [_line(row, id_, result) for row, id_, result in zip(rows, ids, found)]


def _written(job: Job, model: Model, asks: list[Asked], length: int) -> list[Any]:
    """Outputs or exceptions. What ends all rows at once is narrowed down to the rows that cause it."""
    options = {**job.options, "length": length}
    try:
        return model.generate([ask.prompt for ask in asks], [ask.constraint for ask in asks], **options)
    except Exception as reason:
        if len(asks) == 1:
            return [reason]
    half = len(asks) // 2
    return _written(job, model, asks[:half], length) + _written(job, model, asks[half:], length)


def _line(row: Row, id_: Any, result: dict[str, str] | Exception) -> str:
    members = {"line": json.dumps(row.number)} | ({} if id_ is None else {"id": json.dumps(id_)})
    if isinstance(result, Exception):
        why = " ".join(str(result).split()) or "out of memory"
        members |= {"error": json.dumps(why), "kind": json.dumps(type(result).__name__)}
    else:
        members |= result
    return records.line(members | {"key": json.dumps(row.key)})
