"""The rows of a file of prompts, and what each of them asks for.

A row is a line of JSON: a prompt (a string), or an object with "prompt" and perhaps "id" (any value, given back), "length",
and a constraint of its own in place of the command's: "schema", "regex", "grammar", "template" (with "holes", by name: a
regex, or an object with one of these) or "choices". Blank lines are no rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import dgemma_constrain as dc
from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.given import KINDS, constraint_from, kinds_in
from dgemma_constrain.inputs import LARGEST

if TYPE_CHECKING:
    from dgemma_constrain.diffusion.model import Model

MEMBERS = ("prompt", "id", "length", *KINDS, "holes")


class Row(NamedTuple):
    """A line of the input: its number (from 1), its bytes, and a digest of it and of the job."""

    number: int
    raw: bytes
    key: str


@dataclass(frozen=True)
class Job:
    """All that decides what is written for a row, but for the row itself. Plain data, so that it travels.

    given    the constraint of rows without one: members as in a row, or none
    how      options of constraints by name, see `given`
    from_text  values of a schema are taken from the prompt
    options  keyword arguments of `Model.generate`; "length" may be "auto"
    loading  keyword arguments of `dc.load`
    """

    model: str
    given: Mapping[str, Any] = field(default_factory=dict)
    how: Mapping[str, Any] = field(default_factory=dict)
    from_text: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    loading: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Model:
        return dc.load(self.model, **self.loading)

    def rows(self, path: str | PathLike) -> Iterator[Row]:
        """The rows of a file. A line of more than LARGEST bytes is cut there, so that it cannot be read as a row."""
        mine = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode())
        with open(path, "rb") as file:
            for number, raw in enumerate(_lines(file), 1):
                if raw := raw.strip():
                    of_row = mine.copy()
                    of_row.update(raw)
                    yield Row(number, raw, of_row.hexdigest()[:16])


def _lines(file) -> Iterator[bytes]:
    while line := file.readline(LARGEST):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(LARGEST)):
            pass
        yield line


class Asked(NamedTuple):
    """What a row asks for. room_for: texts that have to fit, if the length is "auto"."""

    prompt: str
    constraint: Constraint
    length: int | str
    parsed: bool
    room_for: tuple[str, ...]


def members_of(row: Row) -> dict[str, Any]:
    """The members of a row. Raises ConstraintError for what is no row."""
    if len(row.raw) >= LARGEST:
        raise ConstraintError(f"this line is larger than {LARGEST // 1_000_000} MB")
    try:
        members = json.loads(row.raw.decode("utf-8-sig" if row.number == 1 else "utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConstraintError(f"this line is not JSON: {error}") from None
    return {"prompt": members} if isinstance(members, str) else members


def asked(job: Job, members: Any) -> Asked:
    """Read the members of a row. Raises ConstraintError for what cannot be read."""
    from dgemma_constrain.models.embedded.prompts import choice_prompt, fill_prompt, record_prompt

    if not isinstance(members, dict) or not isinstance(members.get("prompt"), str):
        raise ConstraintError('a row is a string, or an object with "prompt", a string')
    strange = [name for name in members if name not in MEMBERS]
    if strange:
        raise ConstraintError(
            f'a row has no {json.dumps(strange[0])}; it has {", ".join(MEMBERS)}; anything else goes into "id"'
        )
    if "holes" in members and "template" not in members:
        raise ConstraintError('"holes" belongs to "template"')
    spec = members if kinds_in(members) else job.given
    kinds = kinds_in(spec)
    if len(kinds) != 1:
        raise ConstraintError(
            f"a row needs one constraint, its own or the command's: {', '.join(KINDS)}; {len(kinds) or 'none'} given"
        )
    prompt, kind = members["prompt"], kinds[0]
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise ConstraintError("the prompt holds half a surrogate pair, which is no text") from None
    length = members.get("length", job.options.get("length", "auto"))
    if length != "auto" and (type(length) is not int or length < 0):
        raise ConstraintError(f'"length" must be a whole number from 0 up, or "auto", not {length!r}')
    constraint = constraint_of(job, spec, prompt)
    choices: tuple[str, ...] = ()
    if kind == "schema":
        schema = spec[kind]
        prompt = record_prompt(json.loads(schema) if isinstance(schema, str) else schema, prompt)
    elif kind == "template":
        prompt = fill_prompt(spec[kind], prompt)
    elif kind == "choices":
        choices = tuple(spec[kind])
        prompt = choice_prompt(list(choices), prompt)
    return Asked(prompt, constraint, length, kind == "schema", choices)


def constraint_of(job: Job, given: Mapping[str, Any], prompt: str | None = None) -> Constraint:
    """The constraint of these members. Equal members are one constraint, so that it is compiled once."""
    values_from = prompt if job.from_text and "schema" in given else None
    return _constraint(json.dumps([{k: given[k] for k in (*KINDS, "holes") if k in given}, dict(job.how)]), values_from)


@lru_cache(maxsize=64)
def _constraint(members: str, values_from: str | None) -> Constraint:
    return constraint_from(*json.loads(members), values_from)
