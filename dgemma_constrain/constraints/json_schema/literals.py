"""`enum` and `const`: sets of given values. Equal are those that JSON Schema calls equal: 1 and 1.0, any order of names."""

from __future__ import annotations

from typing import Any, Hashable, Sequence

from dgemma_constrain.constraints.json_schema import leaves, numbers
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import NEVER, Expr
from dgemma_constrain.constraints.json_schema.keywords import is_number
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.constraints.json_schema.space import Space
from dgemma_constrain.constraints.json_schema.values import Values, of_type


def literals(space: Space, listed: Sequence[Any]) -> Values:
    """Just these values."""
    texts = frozenset(value for value in listed if isinstance(value, str))
    counts = [value for value in listed if is_number(value)]

    def one(value: Any) -> Expr:
        made = space.place(("literal", key_of(value)), lambda: [literals(space, [value])])
        space.listed[made] = value
        return made

    def shape_of(value: Any) -> ArrayShape | ObjectShape:
        if isinstance(value, list):
            parts = tuple(map(one, value))
            return ArrayShape(parts, NEVER, len(parts), len(parts))
        members = tuple((name, one(member), True) for name, member in value.items())
        return ObjectShape(members, ((leaves.STRINGS, NEVER),), free=True)

    found = leaves.full(numbers.values(counts)) if counts else leaves.NONE
    named = leaves.words(texts) if texts else leaves.NONE
    return of_type(
        null=any(value is None for value in listed),
        booleans=frozenset(value for value in listed if isinstance(value, bool)),
        numbers=found,
        strings=named,
        listed_numbers=found,
        listed_strings=named,
        arrays=tuple(shape_of(value) for value in listed if isinstance(value, list)),
        objects=tuple(shape_of(value) for value in listed if isinstance(value, dict)),
    )


def key_of(value: Any) -> Hashable:
    """Equal for equal values only."""
    if isinstance(value, dict):
        return "object", frozenset((name, key_of(member)) for name, member in value.items())
    if isinstance(value, list):
        return "array", tuple(map(key_of, value))
    return ("number", numbers.canonical(value)) if is_number(value) else (type(value).__name__, value)
