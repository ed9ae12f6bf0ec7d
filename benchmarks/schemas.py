"""Forty larger schemas after real kinds: API payloads, CI configuration, event envelopes, open objects, long enums, deep
references. Each is as such schemas are found, with what their writers leave open left open."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
STRING, INTEGER, NUMBER, BOOLEAN = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
UUID, DATE_TIME, EMAIL, URI = ({"type": "string", "format": name} for name in ("uuid", "date-time", "email", "uri"))
NAME = {"type": "string", "minLength": 1, "maxLength": 100}
SLUG = {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}
MONEY = {"type": "object", "properties": {"amount": {"type": "number", "minimum": 0}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}}, "required": ["amount", "currency"]}  # fmt: skip
_ROOTS = "amount customer address order invoice region channel device session status batch carrier parcel route".split()
_ENDS = "id name code type count total at by ref".split()


def words(count: int) -> list[str]:
    """Names as fields have them."""
    pairs = [f"{root}_{end}" for root in _ROOTS for end in _ENDS]
    return [pairs[i % len(pairs)] + (f"_{i // len(pairs)}" if i >= len(pairs) else "") for i in range(count)]


def obj(properties: Schema, required: list[str] | None = None, closed: bool = False, **more: Any) -> Schema:
    made = {"type": "object", "properties": properties, "required": list(properties) if required is None else required}
    return {**made, **({"additionalProperties": False} if closed else {}), **more}


def array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def envelope(fields: int, closed: bool, required: int) -> Schema:
    kinds = [STRING, INTEGER, DATE_TIME, {"enum": ["new", "open", "done"]}, NUMBER, BOOLEAN, UUID, {"type": ["string", "null"]}]
    names = words(fields)
    return obj({name: kinds[i % len(kinds)] for i, name in enumerate(names)}, names[:required], closed)


def tagged(count: int, closed: bool, keyword: str) -> Schema:
    branches = [
        obj({"type": {"const": f"{name}"}, "data": obj({f"{name}_value": STRING, "at": DATE_TIME})}, closed=closed)
        for name in words(count)
    ]
    return {keyword: branches}


def nested(levels: int, width: int, closed: bool) -> Schema:
    inner = NAME if levels == 1 else nested(levels - 1, width, closed)
    return obj({name: inner if i == 0 else STRING for i, name in enumerate(words(width))}, closed=closed)


ADDRESS = obj({"street": NAME, "city": NAME, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "country": {"enum": ["DE", "FR", "PT", "US"]}}, ["street", "city"])  # fmt: skip
CUSTOMER = obj({"id": UUID, "name": NAME, "email": EMAIL, "address": ADDRESS, "tags": array(STRING, maxItems=10)}, ["id", "name"])  # fmt: skip
LINE = obj({"sku": SLUG, "quantity": {"type": "integer", "minimum": 1}, "price": MONEY}, closed=True)
STEP = {
    "oneOf": [
        obj({"name": STRING, "run": STRING, "env": {"type": "object", "additionalProperties": STRING}}, ["run"], True),
        obj({"name": STRING, "uses": STRING, "with": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}}, ["uses"], True),
    ]
}  # fmt: skip
JOB = obj({"runs-on": {"anyOf": [STRING, array(STRING)]}, "needs": {"anyOf": [STRING, array(STRING)]}, "timeout-minutes": {"type": "integer", "minimum": 1, "maximum": 360}, "steps": array(STEP, minItems=1)}, ["runs-on", "steps"])  # fmt: skip
TREE = {"$defs": {"node": obj({"label": NAME, "children": array({"$ref": "#/$defs/node"})}, ["label"], True)}, "$ref": "#/$defs/node"}
CHAIN = {"$defs": {**{f"d{i}": obj({"value": STRING, "next": {"$ref": f"#/$defs/d{i + 1}"}}, ["value"], True) for i in range(20)}, "d20": STRING}, "$ref": "#/$defs/d0"}  # fmt: skip
EXPRESSION = {
    "$defs": {
        "e": {
            "oneOf": [
                NUMBER,
                obj({"op": {"enum": ["+", "-", "*"]}, "left": {"$ref": "#/$defs/e"}, "right": {"$ref": "#/$defs/e"}}, closed=True),
            ]
        }
    },
    "$ref": "#/$defs/e",
}
FILTER = {
    "$defs": {
        "filter": {
            "anyOf": [
                obj({"field": STRING, "op": {"enum": ["eq", "lt", "gt"]}, "value": {"type": ["string", "number"]}}, closed=True),
                obj({"and": array({"$ref": "#/$defs/filter"}, minItems=1)}, closed=True),
                obj({"or": array({"$ref": "#/$defs/filter"}, minItems=1)}, closed=True),
                obj({"not": {"$ref": "#/$defs/filter"}}, closed=True),
            ]
        }
    },
    "$ref": "#/$defs/filter",
}
CASES = [
    {"if": {"properties": {"kind": {"const": name}}}, "then": {"properties": {f"{name}_note": STRING}, "required": [f"{name}_note"]}}
    for name in words(12)
]  # fmt: skip

SCHEMAS: dict[str, Schema] = {
    "order": obj({"id": UUID, "customer": CUSTOMER, "lines": array(LINE, minItems=1), "total": MONEY, "placed": DATE_TIME}),
    "order closed": obj({"id": UUID, "customer": {**CUSTOMER, "additionalProperties": False}, "lines": array(LINE)}, closed=True),
    "customer": CUSTOMER,
    "list of customers": obj({"items": array(CUSTOMER), "next": {"anyOf": [URI, {"type": "null"}]}, "total": INTEGER}),
    "search request": obj({"query": NAME, "page": {"type": "integer", "minimum": 1}, "size": {"type": "integer", "minimum": 1, "maximum": 100}, "sort": {"enum": ["name", "-name", "date", "-date"]}}, ["query"]),
    "problem details": obj({"type": URI, "title": STRING, "status": {"type": "integer", "minimum": 100, "maximum": 599}, "detail": STRING}, []),
    "payment": obj({"amount": {"type": "integer", "minimum": 1}, "method": tagged(4, True, "oneOf"), "captured": BOOLEAN}),
    "patch": array(obj({"op": {"enum": ["add", "remove", "replace"]}, "path": {"type": "string", "format": "json-pointer"}, "value": True}, ["op", "path"])),
    "webhook": obj({"event": {"enum": words(30)}, "at": DATE_TIME, "payload": {"type": "object"}}),
    "token": obj({"access_token": {"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}, "expires_in": {"type": "integer", "exclusiveMinimum": 0}, "scope": STRING}, closed=True),
    "function call": obj({"name": {"enum": words(20)}, "arguments": {"type": "object"}}, closed=True),
    "chat": obj({"messages": array(obj({"role": {"enum": ["system", "user", "assistant"]}, "content": {"anyOf": [STRING, array(tagged(3, False, "anyOf"))]}}), minItems=1), "temperature": {"type": "number", "minimum": 0, "maximum": 2}}),
    "workflow": obj({"name": STRING, "on": {"anyOf": [STRING, array(STRING), {"type": "object"}]}, "jobs": {"type": "object", "additionalProperties": JOB, "minProperties": 1}}, ["on", "jobs"]),
    "pipeline": {"type": "object", "properties": {"stages": array(STRING)}, "patternProperties": {"^[a-z_]+$": {"anyOf": [JOB, STRING, array(STRING)]}}},
    "compose": obj({"version": STRING, "services": {"type": "object", "patternProperties": {"^[a-zA-Z0-9._-]+$": obj({"image": STRING, "ports": array({"type": ["string", "integer"]}), "environment": {"oneOf": [array(STRING), {"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}}]}, "depends_on": array(STRING)}, [])}, "additionalProperties": False}}, ["services"]),
    "package": obj({"name": {"type": "string", "pattern": "^(@[a-z0-9-]+/)?[a-z0-9-]+$"}, "version": {"type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$"}, "scripts": {"type": "object", "additionalProperties": STRING}, "dependencies": {"type": "object", "additionalProperties": STRING}}, ["name", "version"]),
    "lint rules": {"type": "object", "properties": {"rules": {"type": "object", "additionalProperties": {"anyOf": [{"enum": ["off", "warn", "error"]}, {"type": "array", "prefixItems": [{"enum": ["off", "warn", "error"]}], "items": True}]}}}},
    "metrics": array(obj({"name": SLUG, "value": NUMBER, "labels": {"type": "object", "propertyNames": {"pattern": "^[a-z_]+$"}, "additionalProperties": STRING}}, ["name", "value"])),
    "geometry": {"oneOf": [obj({"type": {"const": "Point"}, "coordinates": array(NUMBER, minItems=2, maxItems=3)}), obj({"type": {"const": "LineString"}, "coordinates": array(array(NUMBER, minItems=2, maxItems=3), minItems=2)})]},
    "envelope of 20": envelope(20, True, 10),
    "envelope of 40": envelope(40, True, 40),
    "envelope of 80": envelope(80, True, 40),
    "envelope of 80, all optional": envelope(80, True, 0),
    "open envelope of 20": envelope(20, False, 10),
    "open envelope of 80": envelope(80, False, 40),
    "open objects in open objects": nested(4, 5, False),
    "closed objects in closed objects": nested(6, 5, True),
    "events, anyOf of 20": tagged(20, True, "anyOf"),
    "events, oneOf of 20": tagged(20, True, "oneOf"),
    "open events, oneOf of 12": tagged(12, False, "oneOf"),
    "12 conditions": obj({"kind": {"enum": words(12)}, "id": INTEGER}, allOf=CASES),
    "either of five": {**obj({name: STRING for name in words(5)}, []), "oneOf": [{"required": [name]} for name in words(5)]},
    "dependent": obj({name: STRING for name in words(6)}, [], dependentRequired={a: [b] for a, b in zip(words(3), words(6)[3:])}),
    "enum of 3,000": {"enum": [f"{name}-{i:04}" for i, name in enumerate(words(3000))]},
    "enum of 300 in an object": obj({"code": {"enum": [f"{name}-{i}" for i, name in enumerate(words(300))]}, "note": STRING}, closed=True),
    "tree": TREE,
    "deep references": CHAIN,
    "expression": EXPRESSION,
    "filter": FILTER,
    "any JSON": {},
}  # fmt: skip
