"""Which keywords contradict each other where no value fits: the fewest that do, as deep inside as they can be named."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from typing import TYPE_CHECKING

from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.documents import Place
from dgemma_constrain.constraints.json_schema.exprs import Expr
from dgemma_constrain.constraints.json_schema.keywords import ANNOTATIONS, PLACES, VALIDATION
from dgemma_constrain.constraints.json_schema.write import Outline
from dgemma_constrain.errors import ConstraintError, SchemaError

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.read import Reader

MAX_KEYWORDS = 24

_REST = frozenset(("additionalProperties", "items", "additionalItems", "unevaluatedProperties", "unevaluatedItems"))
_TAKING = frozenset(("properties", "patternProperties", "prefixItems", "items"))
# Without these, what is unevaluated is the same.
_LEAVES = VALIDATION | ANNOTATIONS | PLACES.keys() | _TAKING | {"format", "not", "propertyNames"}
# Mean something together only.
_TOGETHER = (("contains", "minContains", "maxContains"), ("if", "then", "else"))
# At which of several keywords to point: the last of them here.
_ORDER = """type maxLength minLength maximum minimum exclusiveMaximum exclusiveMinimum multipleOf pattern format maxItems
    minItems items prefixItems contains maxProperties minProperties additionalProperties propertyNames properties required
    enum const $ref allOf oneOf anyOf not if""".split()


def conflict(reader: Reader, place: Place, deep: int = 0) -> SchemaError:
    """What to say of a place that no value fits."""
    if not isinstance(place.schema, dict):
        return SchemaError("no value fits false", place.pointer)
    said = list(reader.asserted(place))[:MAX_KEYWORDS]
    units = [tuple(k for k in group if k in said) for group in _TOGETHER]
    units = [unit for unit in units if unit]
    units += [(k,) for k in said if k != "type" and not any(k in unit for unit in units)]
    with_type = ("type",) if "type" in said else ()
    for size in range(1, 4):
        for some in combinations(units, size):
            keywords = [k for unit in some for k in unit]
            if _never(reader, place, keywords):
                return _name(reader, place, keywords, deep)
            if with_type and _never(reader, place, [*with_type, *keywords]):
                named = keywords if size > 1 or _inner(reader, place, keywords) else [*with_type, *keywords]
                return _name(reader, place, named, deep)
    return SchemaError("no value fits this schema", place.pointer)


def _never(reader: Reader, place: Place, keywords: list[str]) -> bool:
    said = {k: place.schema[k] for k in keywords}
    if any(k.startswith("unevaluated") for k in keywords) and not place.schema.keys() - said.keys() <= _LEAVES:
        return False
    if not _REST.isdisjoint(keywords):
        # What is left over depends on which names and places the others take, if not on how.
        for keyword in _TAKING & place.schema.keys() - said.keys():
            value = place.schema[keyword]
            if isinstance(value, dict) and keyword != "items":
                said[keyword] = dict.fromkeys(value, True)
            elif isinstance(value, list):
                said[keyword] = [True] * len(value)
    some = dataclasses.replace(place, schema=said)
    try:
        return _fits_nothing(reader, reader.space.known(reader.values(some)))
    except ConstraintError:
        return False


def _fits_nothing(reader: Reader, expr: Expr) -> bool:
    """Whether the normal form is empty, or shows no way to count items as it must."""
    values = reader.space.values(expr)
    if values.null or values.booleans or values.numbers is not leaves.NONE or values.all_strings is not leaves.NONE:
        return False
    return values.is_never or Outline(reader.space, expr).contradicts()


def _name(reader: Reader, place: Place, keywords: list[str], deep: int) -> SchemaError:
    inner = _inner(reader, place, keywords)
    if inner is not None and deep < 20 and isinstance(inner.schema, dict):
        return conflict(reader, inner, deep + 1)
    at = max(keywords, key=lambda k: _ORDER.index(k) if k in _ORDER else -1)
    pointer = f"{place.pointer}/{at}"
    if len(keywords) > 1:
        who = ""
        if inner is not None and "required" in keywords:
            name = inner.pointer.rpartition("/")[2]
            who, at, pointer = f"; {name!r} must be there and cannot hold anything", "properties", inner.pointer
        elif set(keywords) == {"required", "additionalProperties"}:
            name = next(n for n in place.schema["required"] if n not in place.schema.get("properties", ()))
            who = f"; {name!r} must be there and is not declared"
        *first, last = map(repr, keywords)
        return SchemaError(f"no value fits {', '.join(first)} and {last} together{who}", pointer, at)
    if at in ("anyOf", "oneOf"):
        return SchemaError(f"no value fits {'any' if at == 'anyOf' else 'just one'} branch of {at!r}", pointer, at)
    if at == "allOf":
        both = _branches(reader, place)
        return SchemaError(f"no value fits {both} of 'allOf' together", pointer, at)
    return SchemaError(f"no value fits {at!r}", pointer, at)


def _inner(reader: Reader, place: Place, keywords: list[str]) -> Place | None:
    """The place inside that already is the trouble."""
    documents = reader.documents

    def bad(*steps: str | int) -> Place | None:
        inner = documents.inside(place, *steps)
        try:
            return inner if _fits_nothing(reader, reader.expr(inner)) else None
        except ConstraintError:
            return None

    if set(keywords) == {"properties", "required"}:
        names = (n for n in place.schema["required"] if n in place.schema["properties"])
        return next((inner for n in names if (inner := bad("properties", n))), None)
    if set(keywords) == {"items", "minItems"} and isinstance(place.schema["items"], (dict, bool)):
        return bad("items")
    if keywords == ["allOf"]:
        return next((inner for i in range(len(place.schema["allOf"])) if (inner := bad("allOf", i))), None)
    if len(keywords) == 1 and keywords[0] in ("$ref", "$dynamicRef", "$recursiveRef"):
        target = documents.target(place, keywords[0])
        return target if _fits_nothing(reader, reader.expr(target)) else None
    return None


def _branches(reader: Reader, place: Place) -> str:
    parts = reader.listed(place, "allOf")
    for i, j in combinations(range(len(parts)), 2):
        if reader.space.disjoint(parts[i], parts[j]):
            return f"branches {i} and {j}"
    return "the branches"
