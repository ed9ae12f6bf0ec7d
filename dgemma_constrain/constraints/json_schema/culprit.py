"""Which value of a text does not fit, by the parts of a formula: for schemas that no automaton holds.

The innermost one to which what is wrong can be traced: into the part of a conjunction that does not hold, into the item or
member that does not fit its shape, and of several cases into the one that goes wrong furthest inside.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr, name_of
from dgemma_constrain.constraints.json_schema.membership import FALSE, STRICT, Members, Truths, parsed

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space
    from dgemma_constrain.constraints.json_schema.values import Values

_GAP = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class Wrong(NamedTuple):
    """position: where a value begins, as a character offset; why: what it is not."""

    position: int
    why: str


def culprit(space: Space, expr: Expr, text: str, any_order: bool = False) -> Wrong:
    """What is wrong with a text that is none of a formula's (see `membership.is_text_of`)."""
    try:
        value = parsed(text)
    except json.JSONDecodeError as error:
        return Wrong(error.pos, f"JSON ({error.msg})")
    except ValueError as error:
        return Wrong(0, f"JSON that can be read ({error})")
    path, name = _Search(Truths(space, any_order)).of(expr, value, (), name_of(expr))
    position = _place(text, path)
    order = ", with names in its order" if text[position] == "{" and not any_order else ""
    return Wrong(position, f"a value that fits what the schema says at {name or '/'}{order}")


Found = tuple[tuple[int, ...], str]  # numbers of items and members on the way, and where in the schema


class _Search:
    def __init__(self, truths: Truths):
        self.truths = truths

    def of(self, expr: Expr, value: object, path: tuple[int, ...], name: str) -> Found:
        name = expr.name or name
        if expr.op == "either":
            found = [self.of(part, value, path, name) for part in expr.parts]
            inner = max(found, key=lambda one: len(one[0]), default=(path, name))
            return inner if len(inner[0]) > len(path) else (path, name)
        if expr.op == "non":
            return path, name_of(expr) or name
        for part in self.truths.space.said(expr) if expr.op == "place" else expr.parts:
            if isinstance(part, Expr):
                if self.truths.truth(part, value) == FALSE:
                    return self.of(part, value, path, name)
            elif self.truths.within(part, value, STRICT) == FALSE:
                return self.inside(part, value, path, name)
        return path, name

    def inside(self, values: Values, value: object, path: tuple[int, ...], name: str) -> Found:
        """Into the items or members: of the shape that goes wrong furthest inside."""
        inner = path, name
        shapes = values.objects if isinstance(value, Members) else values.arrays if isinstance(value, list) else ()
        for shape in shapes:
            if isinstance(value, Members):
                # A declared name under which nothing may stand is one case of several (that it is missing), not a place.
                declared = {name: ANY if part is NEVER else part for name, part, _ in shape.members}
                parts = [(declared.get(key) or shape.cell_of(key), held) for key, held in value]
            else:
                parts = [(shape.at(i), held) for i, held in enumerate(value)]
            for i, (part, held) in enumerate(parts):
                if self.truths.truth(part, held) == FALSE:
                    found = self.of(part, held, (*path, i), name)
                    inner = max(inner, found, key=lambda one: len(one[0]))
                    break
        return inner


def _place(text: str, path: tuple[int, ...]) -> int:
    """Where a value begins in a JSON text. path: the number of the item or member, from outside."""
    at = _GAP.match(text).end()
    for wanted in path:
        is_object = text[at] == "{"
        at = _GAP.match(text, at + 1).end()
        for i in range(wanted + 1):
            if is_object:  # past the name and the colon
                at = _GAP.match(text, _end(text, at) + 1).end()
            if i < wanted:  # and past the value and the comma
                at = _GAP.match(text, _end(text, at) + 1).end()
    return at


def _end(text: str, at: int) -> int:
    """Past a value and the space behind it."""
    return _GAP.match(text, _DECODER.raw_decode(text, at)[1]).end()
