"""Formulas over places of a schema: what stands inside arrays and objects. Made and compared by `values.Space` only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True, eq=False)
class Expr:
    """op: "place", "non", "both" or "either"; parts: the formulas under it; read: what gives what a place says;
    name: where in the schema it is, for error messages. One object for equal formulas, so identity is equality."""

    op: str
    parts: tuple[Expr, ...] = ()
    read: Callable | None = None
    name: str | None = None


ANY = Expr("both")  # of nothing
NEVER = Expr("either")


def name_of(expr: Expr) -> str:
    """The first place in the schema that a formula is about."""
    while expr.name is None and expr.parts:
        expr = expr.parts[0]
    return expr.name or ""
