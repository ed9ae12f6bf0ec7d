"""Schemas that are plausible and large, or small and explosive; which of them are refused, and where, is told at the end."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from typing import Any

EMAIL = {"type": "string", "format": "email"}
INTEGER, STRING = {"type": "integer"}, {"type": "string"}
_DRAFTS = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "07": "http://json-schema.org/draft-07/schema#",
    "04": "http://json-schema.org/draft-04/schema#",
}


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **more}


def _closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return _object(properties, additionalProperties=False, **more)


def _array(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _names(count: int, start: str = "p") -> list[str]:
    return [f"{start}{k}" for k in range(count)]


def _fields(count: int, of: Any = STRING, start: str = "field_") -> dict[str, Any]:
    return {name: of for name in _names(count, start)}


def _inside(depth: int, around: Callable[[Any, int], Any]) -> Any:
    schema: Any = INTEGER
    for k in range(depth):
        schema = around(schema, k)
    return schema


def _kinds(count: int, keyword: str, closed: bool) -> dict[str, Any]:
    """Objects that a member tells apart."""
    make = _closed if closed else _object
    branches = [
        make({"kind": {"const": f"k{k}"}, "value": INTEGER, f"x{k}": STRING}, required=["kind"]) for k in range(count)
    ]
    return {keyword: branches}


def _mixed(count: int) -> dict[str, Any]:
    kinds = [{"type": "string", "maxLength": 20}, {"type": "integer", "minimum": 0}, {"type": "boolean"}]
    return {f"field_{k}": [*kinds, {"enum": ["a", "b", k]}][k % 4] for k in range(count)}


def _needing(count: int) -> dict[str, Any]:
    needed = {f"p{k}": [f"p{k + count}"] for k in range(count)}
    return _object(_fields(2 * count, INTEGER, "p"), dependentRequired=needed)


def _when(names: dict[str, str]) -> list[dict[str, Any]]:
    """One name has a value: another one must be there."""
    return [
        {"if": _object({name: {"const": name.upper()}}, required=[name]), "then": {"required": [other]}}
        for name, other in names.items()
    ]


_WORDS = [f"value number {k * 7919 % 1000003}" for k in range(100_000)]
_CONSTANTS = [{"const": f"c{k}", "title": f"Constant {k}"} for k in range(5_000)]
_RECORD = _closed({"id": INTEGER, "name": STRING, "tags": _array(STRING)}, required=["id", "name"])
_NODE = _closed(
    {
        "type": {"enum": ["div", "button", "header", "section", "field", "form"]},
        "label": STRING,
        "children": _array({"$ref": "#/$defs/node"}),
        "attributes": _array(_closed({"name": STRING, "value": STRING}, required=["name", "value"])),
    },
    required=["type", "label", "children", "attributes"],
)
_OPERATION = {
    "left": {"$ref": "#/$defs/expr"},
    "right": {"$ref": "#/$defs/expr"},
    "args": _array({"$ref": "#/$defs/expr"}),
}

HOSTILE: dict[str, Any] = {
    **{f"meta-schema {draft}": {"$schema": uri, "$ref": uri} for draft, uri in _DRAFTS.items()},
    "a meta-schema inside": {
        "$schema": _DRAFTS["07"], **_closed({"name": STRING, "parameters": {"$ref": _DRAFTS["07"]}}, required=["name"])
    },
    "multipleOf 1e-8": {"type": "number", "multipleOf": 1e-8, "minimum": 0, "maximum": 21_000_000},
    "multipleOf 1e-12": {"type": "number", "multipleOf": 1e-12},
    "multipleOf 1e300": {"type": "number", "multipleOf": 1e300},
    "multipleOf 86400000": {"type": "number", "multipleOf": 86_400_000},
    "multipleOf 65536": {"type": "number", "multipleOf": 65_536},
    "multipleOf 9973": {"type": "number", "multipleOf": 9_973},
    "multipleOf 99991": {"type": "number", "multipleOf": 99_991},
    "multipleOf 123456789": {"type": "number", "multipleOf": 123_456_789},
    "multipleOf 123456789, bounded": {"type": "number", "multipleOf": 123_456_789, "minimum": 0, "maximum": 10**12},
    "multipleOf 12.3456789": {"type": "number", "multipleOf": 12.3456789},
    "multipleOf 12.3456789, bounded": {"type": "number", "multipleOf": 12.3456789, "minimum": 0, "maximum": 1_000},
    "doubles": {"type": "number", "minimum": -1.7976931348623157e308, "maximum": 1.7976931348623157e308},
    "300 ranges": _object(
        {f"f{k}": {"type": "integer", "minimum": k, "maximum": 1_000 * k + 7} for k in range(300)}, required=_names(300, "f")
    ),
    "1,000 properties": _closed(_fields(1_000)),
    "5,000 properties": _closed(_fields(5_000)),
    "5,000 properties, open": _object(_fields(5_000)),
    "5,000 properties, required": _closed(_fields(5_000), required=_names(5_000, "field_")),
    "5,000 properties, of four kinds": _closed(_mixed(5_000)),
    "1,000 objects as properties": _closed(_fields(1_000, _closed(_fields(5, INTEGER)))),
    "1,000 open objects as properties": _closed(_fields(1_000, _object(_fields(5, INTEGER)))),
    "enum of 3,000 objects": {"enum": [{"id": k, "name": f"item {k}", "tags": ["a", f"t{k % 7}"]} for k in range(3_000)]},
    "enum of 5,000 arrays": {"enum": [[k, k + 1, [str(k)]] for k in range(5_000)]},
    "enum of 100,000 strings": {"enum": _WORDS},
    "enum of 10,000 strings in 10 properties": {"$defs": {"e": {"enum": _WORDS[:10_000]}}, **_object(_fields(10, {"$ref": "#/$defs/e"}))},
    "enum of 10,000 hashes": {"enum": [md5(str(k).encode()).hexdigest() for k in range(10_000)]},
    "enum of 100,000 numbers": {"enum": list(range(0, 300_000, 3))},
    "const of 300 objects": {"const": {f"k{k}": {"v": list(range(20))} for k in range(300)}},
    "oneOf of 5,000 constants": {"oneOf": _CONSTANTS},
    "anyOf of 5,000 constants": {"anyOf": _CONSTANTS},
    "up to 20 e-mail addresses": _array(EMAIL, maxItems=20),
    "up to 100 e-mail addresses": _array(EMAIL, maxItems=100),
    "up to 1,000 e-mail addresses": _array(EMAIL, maxItems=1_000),
    "up to 50 date-times": _array({"type": "string", "format": "date-time"}, maxItems=50),
    "1,536 numbers": _array({"type": "number", "minimum": -1, "maximum": 1}, minItems=1_536, maxItems=1_536),
    "1,000 or more objects": _array(_RECORD, minItems=1_000),
    "up to 10,000 objects": _array(_RECORD, maxItems=10_000),
    "up to 100 values of any kind": {"type": "array", "maxItems": 100},
    "a matrix of 100 x 100": _array(_array({"type": "number"}, minItems=100, maxItems=100), minItems=100, maxItems=100),
    "arrays in arrays, 10 each": _inside(5, lambda schema, _: _array(schema, maxItems=10)),
    "500 different values": _array({"enum": _names(500)}, uniqueItems=True),
    "20 to 50 of 100 items": _array(INTEGER, contains={"minimum": 100}, minContains=20, maxContains=50, maxItems=100),
    "maxLength 100000": _object({"body": {"type": "string", "maxLength": 100_000}}),
    "maxLength 65535 in 200 properties": _object(_fields(200, {"type": "string", "maxLength": 65_535})),
    "minLength 5000": {"type": "string", "minLength": 5_000},
    "minLength 100000": {"type": "string", "minLength": 100_000},
    "up to 100 strings of up to 500": _array({"type": "string", "maxLength": 500}, maxItems=100),
    "a pattern and maxLength 2000": {"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$", "maxLength": 2_000},
    "a pattern that counts": {"type": "string", "pattern": r"^(\w{1,63}\.){1,20}[a-z]{2,63}$", "maxLength": 253},
    "allOf inside one another, 500": _inside(500, lambda schema, _: {"allOf": [schema]}),
    "allOf of 500": {"allOf": [_object({f"p{k}": INTEGER}, required=[f"p{k}"]) for k in range(500)]},
    "500 references": {"$ref": "#/$defs/d0", "$defs": {**{f"d{k}": {"$ref": f"#/$defs/d{k + 1}"} for k in range(500)}, "d500": STRING}},
    "oneOf of 200 objects": _kinds(200, "oneOf", closed=False),
    "oneOf of 200 closed objects": _kinds(200, "oneOf", closed=True),
    "anyOf of 500 objects": _kinds(500, "anyOf", closed=False),
    "oneOf of 12 objects that overlap": {"oneOf": [_object({"a": INTEGER, name: STRING}, required=[name]) for name in _names(12)]},
    "one of 200 names": _closed(_fields(200, STRING, "p"), oneOf=[{"required": [name]} for name in _names(200)]),
    "any of 500 names": _closed(_fields(500, STRING, "p"), anyOf=[{"required": [name]} for name in _names(500)]),
    "12 choices of three names": {"allOf": [{"anyOf": [{"required": [f"{c}{k}"]} for c in "abc"]} for k in range(12)]},
    "50 patterns of names": {"type": "object", "patternProperties": {f"^x{k}-": {"minimum": k} for k in range(50)}},
    "12 patterns that overlap": {"type": "object", "patternProperties": {c: {"minimum": k} for k, c in enumerate("abcdefghijkl")}},
    "dependentRequired of 8": _needing(8),
    "dependentRequired of 12": _needing(12),
    "dependentRequired of 40": _needing(40),
    "a chain of dependentRequired": _object(_fields(21, INTEGER, "p"), dependentRequired={f"p{k}": [f"p{k + 1}"] for k in range(20)}),
    "20 values of one name and what they need": _object(
        _fields(20, STRING, "p"),
        allOf=[
            {"if": _object({"p0": {"const": f"C{k}"}}, required=["p0"]), "then": {"required": [f"p{k}"]}} for k in range(20)
        ],
    ),
    "20 names and what each needs": _object(_fields(20, STRING, "p"), allOf=_when({f"p{k}": f"p{(k + 7) % 20}" for k in range(20)})),
    "30 pairs of names that exclude each other": _object(
        _fields(30, STRING, "p"), allOf=[{"not": {"required": [f"p{k}", f"p{(k + 1) % 30}"]}} for k in range(30)]
    ),
    "objects inside one another, 200": _inside(200, lambda schema, k: _object({f"n{k}": schema})),
    "objects inside one another, twice each": _inside(12, lambda schema, _: _closed({"left": schema, "right": schema})),
    "2,000 definitions": {
        "$defs": {f"d{k}": _closed({"next": {"$ref": f"#/$defs/d{k + 1}"}, "v": INTEGER}) for k in range(1_999)} | {"d1999": STRING},
        "$ref": "#/$defs/d1900",
    },
    "2,000 definitions, one of them": {
        "$defs": {f"d{k}": _closed({f"v{k}": INTEGER}) for k in range(2_000)}, "anyOf": [{"$ref": f"#/$defs/d{k}"} for k in range(2_000)]
    },
    "a user interface": {"$defs": {"node": _NODE}, "$ref": "#/$defs/node"},
    "30 operations": {
        "$defs": {"expr": {"anyOf": [_closed({"type": {"const": f"Op{k}"}, **_OPERATION}, required=["type"]) for k in range(30)]}},
        "$ref": "#/$defs/expr",
    },
    "unevaluated names of 20 cases": {
        "type": "object",
        "anyOf": [{"properties": {name: INTEGER}, "required": [name]} for name in _names(20)],
        "unevaluatedProperties": False,
    },
    "20 to 30 of 40 properties": _closed(_fields(40, INTEGER), minProperties=20, maxProperties=30),
    "up to 1,000 properties": {"type": "object", "additionalProperties": INTEGER, "maxProperties": 1_000},
    "names that are e-mail addresses": {"type": "object", "propertyNames": {"format": "email"}, "additionalProperties": _array(EMAIL, maxItems=20)},
    "80 formats": _object(
        {f"f{k}": {"type": "string", "format": ("email", "date-time", "uri", "hostname", "ipv6", "iri")[k % 6]} for k in range(80)},
        required=_names(80, "f"),
    ),
}  # fmt: skip

# What is refused, by what the message says of the place.
_REFUSED = {
    "(at /multipleOf)": [
        "multipleOf 99991",
        "multipleOf 123456789",
        "multipleOf 12.3456789",
    ],
    "(at /)": [
        "5,000 properties, of four kinds",
        "1,000 objects as properties",
        "1,000 open objects as properties",
        "enum of 10,000 hashes",
        "up to 1,000 e-mail addresses",
        "up to 10,000 objects",
        "20 to 50 of 100 items",
        "maxLength 65535 in 200 properties",
        "minLength 100000",
        "up to 100 strings of up to 500",
        "oneOf of 12 objects that overlap",
        "one of 200 names",
        "any of 500 names",
        "12 choices of three names",
        "dependentRequired of 12",
        "dependentRequired of 40",
        "20 names and what each needs",
        "30 pairs of names that exclude each other",
        "unevaluated names of 20 cases",
    ],
    "(at /items)": [
        "arrays in arrays, 10 each",
    ],
    "levels deep": [
        "allOf inside one another, 500",
        "objects inside one another, 200",
    ],
    "(at /patternProperties)": [
        "12 patterns that overlap",
    ],
    "(at /properties/right/properties/right/prope": [
        "objects inside one another, twice each",
    ],
}
REFUSED: dict[str, str] = {name: place for place, names in _REFUSED.items() for name in names}
REFUSED_AS_TOKENS = {"minLength 5000": "(at /)"}  # which have an automaton over characters
