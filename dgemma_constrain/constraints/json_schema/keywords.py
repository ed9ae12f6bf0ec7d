"""The keywords: which there are, what shape their values must have, and what to write instead of the missing ones."""

from __future__ import annotations

from typing import Any

from dgemma_constrain.errors import SchemaError, UnsupportedSchema

TYPES = ("null", "boolean", "object", "array", "number", "string", "integer")

# What each type's own keywords are. By the standard they say nothing about values of other types.
OF_TYPE = {
    "string": ("minLength", "maxLength", "pattern"),
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "required", "additionalProperties"),
}

# Assert nothing about a value: free to stand anywhere ($id only at the root, see below).
ANNOTATIONS = frozenset("$id $comment title description default examples deprecated readOnly writeOnly".split())

CURRENT = "https://json-schema.org/draft/2020-12/schema"

# The drafts in which everything supported here means the same (in 6 and 7 siblings of $ref count for nothing; that they
# count here only narrows).
DRAFTS = {CURRENT, "https://json-schema.org/draft/2019-09/schema"} | {
    f"http://json-schema.org/draft-0{n}/schema" for n in (6, 7)
}

WAY_OUT = {
    "oneOf": "write anyOf if a value that fits two branches may pass",
    "allOf": "write its parts as one schema",
    "not": "say what is allowed instead of what is not",
    "if": "write the cases as anyOf",
    "format": "write it as a pattern",
    "prefixItems": "write an object with named properties",
    "uniqueItems": "drop it and check the value afterwards",
    "patternProperties": "list the names under properties",
    "$dynamicRef": "write $ref",
    "$recursiveRef": "write $ref",
    "$anchor": "refer to it by JSON pointer, #/$defs/name",
}
for _bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
    WAY_OUT[_bound] = "list the values in enum, or drop it and check the value afterwards"


def check(schema: dict[str, Any], pointer: str) -> None:
    """Raise unless every keyword here is known and has a value of the right shape."""
    for keyword, value in schema.items():
        place = f"{pointer}/{keyword.replace('~', '~0').replace('/', '~1')}"
        if keyword in SHAPES:
            SHAPES[keyword](value, place, keyword)
        elif keyword not in ANNOTATIONS:
            hint = WAY_OUT.get(keyword, "remove it, or say the same with supported keywords")
            raise UnsupportedSchema(f"the keyword {keyword!r} is not supported; {hint}", place, keyword)
    if pointer and "$id" in schema:
        raise UnsupportedSchema("'$id' below the root is not supported; remove it", f"{pointer}/$id", "$id")


def _shape(expected: str, holds):
    """A check of one keyword's value."""

    def check_value(value: Any, place: str, keyword: str) -> None:
        if not holds(value):
            raise SchemaError(f"{keyword!r} must be {expected}, not {value!r:.60}", place, keyword)

    return check_value


def _is_count(value: Any) -> bool:
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    return whole and value >= 0 and value == int(value)


def _is_schema(value: Any) -> bool:
    return isinstance(value, (dict, bool))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value) and len(set(value)) == len(value)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _is_nonempty(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _type(value: Any, place: str, keyword: str) -> None:
    listed = [value] if isinstance(value, str) else value
    if not (_is_names(listed) and listed and all(name in TYPES for name in listed)):
        known = ", ".join(TYPES)
        raise SchemaError(f"'type' must be one of {known}, or a list of some, not {value!r:.60}", place, keyword)


def _items(value: Any, place: str, keyword: str) -> None:
    if isinstance(value, list):
        raise UnsupportedSchema(
            "'items' as a list (the tuples of older drafts) is not supported; write an object with named properties",
            place, keyword,
        )  # fmt: skip
    _shape("a schema", _is_schema)(value, place, keyword)


def _draft(value: Any, place: str, keyword: str) -> None:
    if not isinstance(value, str) or value.rstrip("#") not in DRAFTS:
        raise UnsupportedSchema(
            f"the dialect {value!r:.80} is not known; write {CURRENT} or leave '$schema' out", place, keyword
        )


_count, _map = _shape("a whole number from 0", _is_count), _shape("an object", _is_map)
SHAPES = {
    "type": _type,
    "enum": _shape("a list of at least one value", _is_nonempty),
    "const": _shape("a value", lambda value: True),
    "anyOf": _shape("a list of at least one schema", _is_nonempty),
    "$ref": _shape("a string", lambda value: isinstance(value, str)),
    "minLength": _count,
    "maxLength": _count,
    "pattern": _shape("a string", lambda value: isinstance(value, str)),
    "items": _items,
    "minItems": _count,
    "maxItems": _count,
    "properties": _map,
    "required": _shape("a list of distinct names", _is_names),
    "additionalProperties": _shape("a schema", _is_schema),
    "$defs": _map,
    "definitions": _map,
    "$schema": _draft,
}
