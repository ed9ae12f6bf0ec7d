"""The keywords: in which drafts each one means something, and what shape its value must have."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Callable

from dgemma_constrain.errors import SchemaError

TYPES = ("null", "boolean", "object", "array", "number", "string", "integer")


@dataclass(frozen=True)
class Dialect:
    """A draft. year: 4, 6, 7, 2019 or 2020; validation: whether its vocabularies assert anything but the shape of schemas;
    formats: whether one of them says that `format` is an assertion; guessed: nothing in the schema names the draft, so
    what is malformed in it (a list under `items`, a boolean `exclusiveMinimum`) is read as older drafts do."""

    year: int
    validation: bool = True
    formats: bool = False
    guessed: bool = False

    @property
    def ref_alone(self) -> bool:
        """Whether nothing beside a $ref counts."""
        return self.year <= 7

    @property
    def uri(self) -> str:
        return _URIS[self.year]


_URIS = {
    2020: "https://json-schema.org/draft/2020-12/schema",
    2019: "https://json-schema.org/draft/2019-09/schema",
    7: "http://json-schema.org/draft-07/schema",
    6: "http://json-schema.org/draft-06/schema",
    4: "http://json-schema.org/draft-04/schema",
}
CURRENT = _URIS[2020]
GUESSED = Dialect(2020, guessed=True)
_NAMES = {"2020-12": 2020, "2019-09": 2019, "07": 7, "06": 6, "05": 4, "04": 4}  # 05 changed nothing in validation
_URI = re.compile(
    r"(?:https?://)?(?:www\.)?json-schema[.-]org/draft[-/](2020-12|2019-09|0[4-7])(?:/(?:hyper-)?schema)?/?#?/?"
)
# Meta-schemas that are a draft's and a few annotations, under the names that real schemas give them.
_EXTENSIONS = (
    (re.compile(r"https?://iglucentral\.com/schemas/com\.snowplowanalytics\.self-desc/.*"), Dialect(4)),
    (re.compile(r"https://schema\.cloudformation\..*/provider\.definition\.schema\.v1\.json#?"), Dialect(7)),
    (
        re.compile(r"https://raw\.githubusercontent\.com/aws-cloudformation/.*/provider\.definition\.schema.*"),
        Dialect(7),
    ),
    (re.compile(r"https?://json-schema\.org/schema/?#?"), GUESSED),  # once "the latest draft, whichever it is"
)


def dialect_of(uri: str) -> Dialect | None:
    """The draft that a `$schema` names, however it is spelt: with http or https, of hyper-schemas or not, with # or without;
    None if it names none of them."""
    named = _URI.fullmatch(uri)
    if named:
        return Dialect(_NAMES[named[1]])
    return next((dialect for pattern, dialect in _EXTENSIONS if pattern.fullmatch(uri)), None)


def _shape(expected: str, holds: Callable[[Any], bool]) -> Callable[[Any, str, str], None]:
    """A check of one keyword's value at a place."""

    def check_value(value: Any, pointer: str, keyword: str) -> None:
        if not holds(value):
            raise SchemaError(f"{keyword!r} must be {expected}, not {shown(value)}", pointer + step(keyword), keyword)

    return check_value


def shown(value: Any) -> str:
    """As JSON, and short."""
    return f"{json.dumps(value, default=float):.60}"


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _is_schema(value: Any) -> bool:
    return isinstance(value, (dict, bool))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value) and len(set(value)) == len(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _type(value: Any, pointer: str, keyword: str) -> None:
    if isinstance(value, str) and value in TYPES:
        return
    listed = [value] if isinstance(value, str) else value
    if not (_is_names(listed) and listed and all(name in TYPES for name in listed)):
        known = ", ".join(TYPES)
        raise SchemaError(
            f"'type' must be one of {known}, or a list of some, not {shown(value)}", pointer + step(keyword), keyword
        )


_count = _shape("a whole number from 0", lambda v: is_number(v) and v >= 0 and v == int(v))
_number = _shape("a number", is_number)
_map = _shape("an object", lambda v: isinstance(v, dict))
_schema = _shape("a schema", _is_schema)
_schemas = _shape("a list of at least one schema", _is_list)
_string = _shape("a string", lambda v: isinstance(v, str))
_anything = _shape("a value", lambda v: True)
_items = _shape("a schema, or (before 2020-12) a list of some", lambda v: _is_schema(v) or isinstance(v, list))
_limit = _shape("a number, or (in draft 04) true or false", lambda v: is_number(v) or isinstance(v, bool))

ALL, SINCE_6, SINCE_7, SINCE_2019, SINCE_2020 = ((4, 6, 7, 2019, 2020)[k:] for k in range(5))
BEFORE_2020 = (4, 6, 7, 2019)

# What asserts, or leads to what does: the drafts, and the shape.
ASSERTIONS: dict[str, tuple[tuple[int, ...], Callable]] = {
    "type": (ALL, _type),
    "enum": (ALL, _shape("a list of at least one value", _is_list)),
    "const": (SINCE_6, _anything),
    "allOf": (ALL, _schemas),
    "anyOf": (ALL, _schemas),
    "oneOf": (ALL, _schemas),
    "not": (ALL, _schema),
    "if": (SINCE_7, _schema),
    "then": (SINCE_7, _schema),
    "else": (SINCE_7, _schema),
    "$ref": (ALL, _string),
    "$dynamicRef": (SINCE_2020, _string),
    "$recursiveRef": ((2019,), _string),
    "minLength": (ALL, _count),
    "maxLength": (ALL, _count),
    "pattern": (ALL, _string),
    "format": (ALL, _string),
    "contentEncoding": (SINCE_7, _string),
    "minimum": (ALL, _number),
    "maximum": (ALL, _number),
    "exclusiveMinimum": (ALL, _limit),
    "exclusiveMaximum": (ALL, _limit),
    "multipleOf": (ALL, _shape("a number above 0", lambda v: is_number(v) and v > 0)),
    "items": (ALL, _items),
    "prefixItems": (SINCE_2020, _schemas),
    "additionalItems": (BEFORE_2020, _schema),
    "contains": (SINCE_6, _schema),
    "minContains": (SINCE_2019, _count),
    "maxContains": (SINCE_2019, _count),
    "minItems": (ALL, _count),
    "maxItems": (ALL, _count),
    "uniqueItems": (ALL, _shape("true or false", lambda v: isinstance(v, bool))),
    "unevaluatedItems": (SINCE_2019, _schema),
    "properties": (ALL, _map),
    "patternProperties": (ALL, _map),
    "additionalProperties": (ALL, _schema),
    "propertyNames": (SINCE_6, _schema),
    "required": (ALL, _shape("a list of distinct names", _is_names)),
    "minProperties": (ALL, _count),
    "maxProperties": (ALL, _count),
    "dependentRequired": (SINCE_2019, _map),
    "dependentSchemas": (SINCE_2019, _map),
    "dependencies": (ALL, _map),
    "unevaluatedProperties": (SINCE_2019, _schema),
}

# What says where things are.
PLACES: dict[str, tuple[tuple[int, ...], Callable]] = {
    "$schema": (ALL, _string),
    "id": ((4,), _string),
    "$id": (SINCE_6, _string),
    "$anchor": (SINCE_2019, _string),
    "$dynamicAnchor": (SINCE_2020, _string),
    "$recursiveAnchor": ((2019,), _shape("true or false", lambda v: isinstance(v, bool))),
    "$vocabulary": (SINCE_2019, _map),
    "$defs": (ALL, _map),
    "definitions": (ALL, _map),
}
KNOWN = ASSERTIONS | PLACES

# Assert nothing by the standard, or by OpenAPI, from where many schemas come.
ANNOTATIONS = frozenset(
    """$comment title description default examples deprecated readOnly writeOnly contentMediaType contentSchema
    example nullable discriminator xml externalDocs""".split()
)

# Without the validation vocabulary these mean nothing.
VALIDATION = frozenset(
    """type enum const minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems
    maxItems uniqueItems minContains maxContains required minProperties maxProperties dependentRequired""".split()
)

_LOWER = {keyword.lower(): keyword for keyword in KNOWN}


def step(name: str | int) -> str:
    """A name or index as one step of a JSON pointer."""
    name = str(name)
    return "/" + (name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name)


def check(schema: dict[str, Any], dialect: Dialect, pointer: str) -> tuple[dict[str, Any], dict[str, str]]:
    """(what asserts in this draft, the keywords that nobody knows and why they assert nothing). Raises SchemaError for values
    of the wrong shape."""
    found, unknown = {}, {}
    year = dialect.year
    for keyword, value in schema.items():
        years, shape = KNOWN.get(keyword, ((), None))
        if year in years:
            shape(value, pointer, keyword)
            if keyword in ASSERTIONS and (dialect.validation or keyword not in VALIDATION):
                found[keyword] = value
        elif keyword not in ANNOTATIONS:
            meant = _LOWER.get(keyword.lower(), keyword)
            hint = "" if meant == keyword else f"; {meant!r} would"
            unknown[keyword] = f"unknown keywords assert nothing{hint}"
    return found, unknown
