"""A constraint as plain data, as a command line or a row of a file gives it: its kind, with what belongs to it.

"schema" (a JSON value, or JSON text), "regex", "grammar", "template" with "holes" (by name: a regex, or an object
that holds one kind), "choices".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import dgemma_constrain as dc
from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.constraints.template import filled
from dgemma_constrain.errors import ConstraintError

KINDS = ("schema", "regex", "grammar", "template", "choices")
HOW = {
    "schema": ("whitespace", "max_depth"),
    "regex": ("flavor", "ignore_case"),
    "grammar": ("start", "max_depth"),
    "template": (),
    "choices": (),
}


def kinds_in(given: Mapping[str, Any]) -> list[str]:
    return [kind for kind in KINDS if kind in given]


def constraint_from(given: Mapping[str, Any], how: Mapping[str, Any], values_from: str | None = None) -> Constraint:
    """The constraint of data that hold exactly one kind. how: options by name; each kind takes its own (`HOW`), and so
    do holes.

    values_from: a text that the values of a schema are taken from. Raises ConstraintError for what is none.
    """
    (kind,) = kinds_in(given)
    value, options = given[kind], {name: how[name] for name in HOW[kind] if name in how}
    if kind == "schema":
        return dc.json_schema(value, values_from=values_from, **options)
    if kind == "choices":
        if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
            raise ConstraintError('"choices" must be a list of strings')
        return dc.choice(value)
    if not isinstance(value, str):
        raise ConstraintError(f'"{kind}" must be a string, not {json.dumps(value)[:60]}')
    if kind != "template":
        return {"regex": dc.regex, "grammar": dc.grammar}[kind](value, **options)
    holes = given.get("holes", {})
    if not isinstance(holes, dict) or not all(isinstance(hole, str) or _holds_one(hole) for hole in holes.values()):
        raise ConstraintError('"holes" must be an object by name, of regexes or of objects that hold one constraint')
    given = {name: {"regex": hole} if isinstance(hole, str) else hole for name, hole in holes.items()}
    return filled(value, {name: constraint_from(hole, how, values_from) for name, hole in given.items()})


def _holds_one(hole: Any) -> bool:
    if not isinstance(hole, dict) or len(kinds_in(hole)) != 1:
        return False
    return {*hole} <= {*KINDS, "holes"} and ("template" in hole or "holes" not in hole)
