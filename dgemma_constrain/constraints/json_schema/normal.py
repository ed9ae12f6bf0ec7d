"""Schema → normal form: references followed, siblings intersected, everything else refused by name.

A schema object says several things at once: what its type keywords say, and its `enum`, `const`, `anyOf`, `$ref`.
Each becomes a node of its own, and the schema is their intersection.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import unquote

from dgemma_constrain.constraints import regex
from dgemma_constrain.constraints.json_schema import keywords
from dgemma_constrain.constraints.json_schema.algebra import array, intersect, obj
from dgemma_constrain.constraints.json_schema.nodes import (
    NEVER,
    Anything,
    Boolean,
    Literals,
    Node,
    Null,
    Number,
    String,
    any_of,
    is_never,
)
from dgemma_constrain.constraints.json_schema.source import escape
from dgemma_constrain.errors import LimitExceeded, RegexError, SchemaError, UnsupportedSchema

MAX_DEPTH = 64  # schemas inside one another, references followed


def normalise(schema: Any) -> Node:
    """The node of a whole schema (checked JSON, see `source`). Raises SchemaError where no value can fit."""
    node = _Reader(schema).node(schema, "")
    if is_never(node):
        raise SchemaError("no value fits this schema")
    return node


class _Reader:
    """Reads each place of a schema once, however many references lead there."""

    def __init__(self, document: Any):
        self.document = document
        self.done: dict[str, Node] = {}
        self.active: dict[str, None] = {}  # the places being read, outermost first
        self.known: dict[tuple, Node] = {}  # one node for equal schemas: their fields are nodes, compared by identity

    def node(self, schema: Any, pointer: str) -> Node:
        if pointer in self.done:
            return self.done[pointer]
        if len(self.active) == MAX_DEPTH:
            raise LimitExceeded(f"more than {MAX_DEPTH} schemas inside one another (at {pointer}); flatten the schema")
        self.active[pointer] = None
        node = self.read(schema, pointer)
        if not isinstance(node, (Literals, Anything)):
            fields = [getattr(node, field.name) for field in dataclasses.fields(node)[1:]]
            node = self.known.setdefault((type(node), *fields), node)
        del self.active[pointer]
        self.done[pointer] = node
        return node

    def read(self, schema: Any, pointer: str) -> Node:
        if schema is True:
            return Anything(pointer)
        if schema is False:
            return NEVER
        if not isinstance(schema, dict):
            raise SchemaError(f"a schema must be an object, true or false, not {schema!r:.60}", pointer)
        keywords.check(schema, pointer)
        node = self.typed(schema, pointer)
        said = [keyword for keyword in ("type", *_TYPE_KEYWORDS) if keyword in schema]
        for keyword, read in _COMBINING.items():
            if keyword not in schema:
                continue
            place = f"{pointer}/{keyword}"
            more = read(self, schema[keyword], place)
            joint = intersect(node, more)
            if is_never(joint) and not is_never(node) and not is_never(more):
                if "type" in schema and is_never(intersect(self.typed({"type": schema["type"]}, ""), more)):
                    said = ["type"]
                raise SchemaError(
                    f"no value fits {', '.join(map(repr, said))} and {keyword!r} together", place, keyword
                )
            node, said = joint, [*said, keyword]
        return node

    # What `type` and the keywords of single types say.

    def typed(self, schema: dict, pointer: str) -> Node:
        speaks = [kind for kind, own in keywords.OF_TYPE.items() if any(keyword in schema for keyword in own)]
        if "type" in schema:
            listed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            kinds = [kind for kind in listed if not (kind == "integer" and "number" in listed)]
            return any_of(pointer, [_READERS[kind](self, schema, pointer) for kind in kinds], [])
        if not speaks:
            return Anything(pointer)
        silent = [kind for kind in ("null", "boolean", "number", "string", "array", "object") if kind not in speaks]
        read = {kind: _READERS[kind](self, schema, pointer) for kind in speaks + silent}
        return any_of(pointer, [read[kind] for kind in speaks], [read[kind] for kind in silent])

    def string(self, schema: dict, pointer: str) -> Node:
        least, most = _bounds(schema, pointer, "minLength", "maxLength")
        patterns = (schema["pattern"],) if "pattern" in schema else ()
        for source in patterns:
            try:
                regex.parse(source, flavor="ecma", search=True)
            except RegexError as error:
                raise SchemaError(f"'pattern' cannot be read: {error}", f"{pointer}/pattern", "pattern") from None
        return String(pointer, least, most, patterns)

    def array(self, schema: dict, pointer: str) -> Node:
        least, most = _bounds(schema, pointer, "minItems", "maxItems")
        items = self.node(schema["items"], f"{pointer}/items") if "items" in schema else Anything(pointer)
        if is_never(items) and least:
            raise SchemaError("no value fits both 'items' and 'minItems'", f"{pointer}/items", "items")
        return array(pointer, items, least, most)

    def object(self, schema: dict, pointer: str) -> Node:
        extra = schema.get("additionalProperties")
        if extra is True or isinstance(extra, dict):
            raise UnsupportedSchema(
                "open objects are not supported; list the names under 'properties' and write "
                "'additionalProperties': false",
                f"{pointer}/additionalProperties", "additionalProperties",
            )  # fmt: skip
        properties = [
            (name, self.node(member, f"{pointer}/properties/{escape(name)}"))
            for name, member in schema.get("properties", {}).items()
        ]
        declared, closed = dict(properties), extra is False
        for name in schema.get("required", ()):
            if closed and name not in declared:
                raise SchemaError(
                    f"{name!r} is in 'required', not in 'properties', and 'additionalProperties' is false",
                    f"{pointer}/required", "required",
                )  # fmt: skip
            if name in declared and is_never(declared[name]):
                raise SchemaError(
                    f"{name!r} is in 'required', and its schema in 'properties' fits no value",
                    f"{pointer}/properties/{escape(name)}", "properties",
                )  # fmt: skip
        return obj(pointer, properties, frozenset(schema.get("required", ())), closed)

    # What stands beside them.

    def ref(self, reference: str, pointer: str) -> Node:
        if not (reference == "#" or reference.startswith("#/")):
            raise UnsupportedSchema(
                f"only references into this schema are supported, not {reference!r:.80}; copy the target under $defs "
                "and write #/$defs/name",
                pointer, "$ref",
            )  # fmt: skip
        target, place = self.document, ""
        for step in unquote(reference[1:]).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and name in target:
                target = target[name]
            elif isinstance(target, list) and name.isdecimal() and name.isascii() and int(name) < len(target):
                target = target[int(name)]
            else:
                raise SchemaError(f"'$ref' leads nowhere: there is no {name!r} at {place or '/'}", pointer, "$ref")
            place = f"{place}/{escape(name)}"
            if isinstance(target, dict) and any(isinstance(target.get(key), str) for key in ("$id", "id")):
                raise UnsupportedSchema("'$id' below the root is not supported; remove it", f"{place}/$id", "$id")
        if place in self.active:
            places = list(self.active)
            cycle = " → ".join("#" + p for p in [*places[places.index(place) :], place])
            raise UnsupportedSchema(f"recursion is not supported: {cycle}; write the levels out", pointer, "$ref")
        return self.node(target, place)

    def literals(self, values: list, pointer: str) -> Node:
        return Literals(pointer, tuple(values))

    def any_of(self, branches: list, pointer: str) -> Node:
        node = any_of(pointer, [self.node(branch, f"{pointer}/{i}") for i, branch in enumerate(branches)], [])
        if is_never(node):
            raise SchemaError("no value fits any branch of 'anyOf'", pointer, "anyOf")
        return node


_READERS = {
    "null": lambda reader, schema, pointer: Null(pointer),
    "boolean": lambda reader, schema, pointer: Boolean(pointer),
    "integer": lambda reader, schema, pointer: Number(pointer, True),
    "number": lambda reader, schema, pointer: Number(pointer, False),
    "string": _Reader.string,
    "array": _Reader.array,
    "object": _Reader.object,
}

_TYPE_KEYWORDS = [keyword for own in keywords.OF_TYPE.values() for keyword in own]

_COMBINING = {
    "$ref": _Reader.ref,
    "enum": _Reader.literals,
    "const": lambda reader, value, pointer: Literals(pointer, (value,)),
    "anyOf": _Reader.any_of,
}


def _bounds(schema: dict, pointer: str, lower: str, upper: str) -> tuple[int, int | None]:
    least, most = int(schema.get(lower, 0)), schema.get(upper)
    if most is not None and least > most:
        raise SchemaError(f"{lower!r} is {least} and {upper!r} is {int(most)}", f"{pointer}/{lower}", lower)
    return least, None if most is None else int(most)
