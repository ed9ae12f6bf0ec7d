"""Whether a value satisfies a formula: read off the normal form, without an automaton of its texts.

It knows what no automaton can: that items are all different, and how many names there are. As everywhere, equal are 1 and
1.0, and objects with the same members in any order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Hashable

from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr
from dgemma_constrain.constraints.json_schema.numbers import canonical
from dgemma_constrain.constraints.json_schema.objects import ObjectShape

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.values import Space


def holds(space: Space, expr: Expr, value: Any) -> bool:
    """Whether a value, as `json.loads(text, parse_float=Decimal)` gives it, is in the set of a formula."""
    if expr is ANY or expr is NEVER:
        return expr is ANY
    values = space.values(expr)
    if value is None:
        return values.null
    if isinstance(value, bool):
        return value in values.booleans
    if isinstance(value, str):
        return values.strings is leaves.STRINGS or values.strings.accepts(value)
    if isinstance(value, list):
        return any(_is_array_of(space, shape, value) for shape in values.arrays)
    if isinstance(value, dict):
        return any(_is_object_of(space, shape, value) for shape in values.objects)
    numbers = values.all_fractions if isinstance(value, Decimal) else values.numbers
    return numbers is leaves.NUMBERS or numbers.accepts(canonical(value))


def _is_array_of(space: Space, shape: ArrayShape, items: list[Any]) -> bool:
    if len(items) < shape.least or (shape.most is not None and len(items) > shape.most):
        return False
    if shape.unique or shape.repeats:
        if shape.unique == (len(set(map(_frozen, items))) < len(items)):
            return False
    if not all(holds(space, shape.at(i), item) for i, item in enumerate(items)):
        return False
    for start, part, low, high in shape.counts:
        count = sum(holds(space, part, item) for item in items[start:])
        if count < low or (high is not None and count > high):
            return False
    return True


def _is_object_of(space: Space, shape: ObjectShape, members: dict[str, Any]) -> bool:
    if len(members) < shape.least or (shape.most is not None and len(members) > shape.most):
        return False
    declared = {name for name, _, _ in shape.members}
    if not all(
        holds(space, part, members[name]) if name in members else not required for name, part, required in shape.members
    ):
        return False
    if not all(holds(space, shape.cell_of(name), value) for name, value in members.items() if name not in declared):
        return False
    return all(
        any(names.accepts(name) and holds(space, part, value) for name, value in members.items())
        for names, part in shape.needs
    )


def _frozen(value: Any) -> Hashable:
    """Equal for equal values only."""
    if isinstance(value, dict):
        return "object", frozenset((name, _frozen(member)) for name, member in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_frozen, value))
    return type(value).__name__ if value is None or isinstance(value, (bool, str)) else "number", value
