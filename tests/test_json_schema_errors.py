"""What is refused, with which error, and where it points."""

import json
import pathlib
import threading

import pytest

from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import LimitExceeded, SchemaError, UnsupportedSchema

STRING = {"type": "string"}


def inside(schema):
    """The schema at /properties/a~1b/items."""
    return {"type": "object", "properties": {"a/b": {"type": "array", "items": schema}}}


BAD = [
    ({"type": "strin"}, "/type", "type"),
    ({"type": []}, "/type", "type"),
    ({"type": ["string", "string"]}, "/type", "type"),
    ({"type": {"a": 1}}, "/type", "type"),
    ({**STRING, "minLength": -1}, "/minLength", "minLength"),
    ({**STRING, "maxLength": 1.5}, "/maxLength", "maxLength"),
    ({**STRING, "maxLength": True}, "/maxLength", "maxLength"),
    ({**STRING, "maxLength": "3"}, "/maxLength", "maxLength"),
    ({**STRING, "minLength": 3, "maxLength": 2}, "/minLength", "minLength"),
    ({**STRING, "pattern": 3}, "/pattern", "pattern"),
    ({**STRING, "pattern": "(a"}, "/pattern", "pattern"),
    ({"type": "array", "items": STRING, "minItems": 2, "maxItems": 1}, "/minItems", "minItems"),
    ({"type": "array", "items": False, "minItems": 1}, "/items", "items"),
    ({"type": "array", "items": 3}, "/items", "items"),
    ({"type": "object", "properties": []}, "/properties", "properties"),
    ({"type": "object", "properties": {"a": 3}}, "/properties/a", None),
    ({"type": "object", "properties": {"a": STRING}, "required": "a"}, "/required", "required"),
    ({"type": "object", "properties": {"a": STRING}, "required": ["a", "a"]}, "/required", "required"),
    ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "/properties/a", "properties"),
    ({"type": "object", "required": ["a"], "additionalProperties": False}, "/required", "required"),
    ({"enum": []}, "/enum", "enum"),
    ({"enum": "a"}, "/enum", "enum"),
    ({**STRING, "enum": [1]}, "/enum", "enum"),
    ({**STRING, "const": None}, "/const", "const"),
    ({**STRING, "minLength": 2, "const": "a"}, "/const", "const"),
    ({"enum": [1, 2], "const": 3}, "/const", "const"),
    ({**STRING, "anyOf": [{"type": "null"}, {"const": 1}]}, "/anyOf", "anyOf"),
    ({**STRING, "minLength": 3, "anyOf": [{"maxLength": 2}]}, "/anyOf", "anyOf"),
    ({"anyOf": []}, "/anyOf", "anyOf"),
    ({"anyOf": [False]}, "/anyOf", "anyOf"),
    ({"$ref": 3}, "/$ref", "$ref"),
    ({"$ref": "#/$defs/gone"}, "/$ref", "$ref"),
    ({"type": "integer", "$defs": []}, "/$defs", "$defs"),
]


@pytest.mark.parametrize("schema, pointer, keyword", BAD)
@pytest.mark.parametrize("place, wrap", [("", lambda s: s), ("/properties/a~1b/items", inside)])
def test_not_a_schema_or_one_that_contradicts_itself(schema, pointer, keyword, place, wrap):
    with pytest.raises(SchemaError) as caught:
        compile_schema(wrap(schema))
    assert not isinstance(caught.value, UnsupportedSchema)
    assert (caught.value.pointer, caught.value.keyword) == (place + pointer, keyword)


@pytest.mark.parametrize(
    "schema, named",
    [
        ({**STRING, "minLength": 3, "maxLength": 2}, ["minLength", "maxLength"]),
        ({"type": "array", "items": STRING, "minItems": 2, "maxItems": 1}, ["minItems", "maxItems"]),
        ({"type": "array", "items": False, "minItems": 1}, ["items", "minItems"]),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, ["'a'", "properties", "required"]),
        (
            {"type": "object", "required": ["a"], "additionalProperties": False},
            ["'a'", "required", "additionalProperties"],
        ),
        ({**STRING, "enum": [1]}, ["type", "enum"]),
        ({**STRING, "minLength": 2, "const": "a"}, ["minLength", "const"]),
        ({**STRING, "anyOf": [{"type": "null"}]}, ["type", "anyOf"]),
        ({"enum": [1, 2], "const": 3}, ["enum", "const"]),
    ],
)
def test_contradictions_name_both_sides(schema, named):
    with pytest.raises(SchemaError) as caught:
        compile_schema(schema)
    assert all(name in str(caught.value) for name in named)


def test_a_pattern_that_no_length_allows():
    with pytest.raises(SchemaError, match="'pattern' and 'maxLength'") as caught:
        compile_schema(inside({**STRING, "pattern": "^a{5}$", "maxLength": 3})).nfa()
    assert caught.value.pointer == "/properties/a~1b/items"


UNSUPPORTED = [
    (True, "", None),
    ({}, "", None),
    ({"anyOf": [STRING, {}]}, "/anyOf/1", None),
    ({"title": "only"}, "", None),
    ({"type": "array"}, "", "items"),
    ({"type": "array", "items": {}}, "", "items"),
    ({"type": "object"}, "", "properties"),
    ({"type": "object", "properties": {}}, "", "properties"),
    ({"type": "object", "required": ["a"]}, "/required", "required"),
    ({"type": "object", "properties": {"b": STRING}, "required": ["a"]}, "/required", "required"),
    ({"type": "object", "additionalProperties": True}, "/additionalProperties", "additionalProperties"),
    ({"type": "object", "additionalProperties": STRING}, "/additionalProperties", "additionalProperties"),
    ({"type": "array", "items": [STRING]}, "/items", "items"),
    ({**STRING, "$id": "x"}, "/$id", "$id"),
    ({"$ref": "other.json"}, "/$ref", "$ref"),
    ({"$ref": "#anchor"}, "/$ref", "$ref"),
    ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "/$ref", "$ref"),
    ({**STRING, "$schema": "http://json-schema.org/draft-03/schema#"}, "/$schema", "$schema"),
    *(
        ({**STRING, keyword: {}}, f"/{keyword}", keyword)
        for keyword in "oneOf allOf not if then else format minimum multipleOf uniqueItems contains prefixItems "
        "patternProperties propertyNames minProperties dependentRequired unevaluatedItems $anchor $dynamicRef "
        "contentEncoding discriminator nullable maxlength".split()
    ),
    ({**STRING, "$schema": "http://json-schema.org/draft-04/schema#"}, "/$schema", "$schema"),
    ({**STRING, "x~/y": 1}, "/x~0~1y", "x~/y"),
]


@pytest.mark.parametrize("schema, pointer, keyword", UNSUPPORTED)
@pytest.mark.parametrize(
    "place, wrap", [("", lambda s: s), ("/properties/x", lambda s: {"type": "object", "properties": {"x": s}})]
)
def test_unsupported(schema, pointer, keyword, place, wrap):
    if keyword == "$id" and not place:
        pytest.skip("$id may stand at the root")
    with pytest.raises(UnsupportedSchema) as caught:
        compile_schema(wrap(schema))
    assert (caught.value.pointer, caught.value.keyword) == (place + pointer, keyword)
    assert pointer.split("/")[-1] in str(caught.value)


def test_recursion_names_the_cycle():
    schema = {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}
        },
    }
    with pytest.raises(UnsupportedSchema, match="#/\\$defs/tree → .*kids.* → #/\\$defs/tree") as caught:
        compile_schema(schema)
    assert (caught.value.pointer, caught.value.keyword) == ("/$defs/tree/properties/kids/items/$ref", "$ref")


def test_a_reference_into_a_schema_with_its_own_id():
    schema = {"$ref": "#/$defs/a/properties/b", "$defs": {"a": {"$id": "http://x/", "properties": {"b": STRING}}}}
    with pytest.raises(UnsupportedSchema) as caught:
        compile_schema(schema)
    assert (caught.value.pointer, caught.value.keyword) == ("/$defs/a/$id", "$id")


@pytest.mark.parametrize(
    "source, message",
    [
        ("{", "not JSON"),
        ('{"const": NaN}', "NaN"),
        ('{"type": "null", "type": "null"}', "'type' twice"),
        ({"const": float("inf")}, "inf"),
        ({1: 2}, "not a string"),
        ({"enum": ("a", "b")}, "not JSON"),
        ({"enum": ["\ud800"]}, "surrogate"),
        ({"type": "object", "properties": {"\ud800": STRING}}, "surrogate"),
        (3, "int"),
        (None, "NoneType"),
        (pathlib.Path("schema.json"), "Path"),
        (threading.Event, "pydantic finds no JSON Schema"),
    ],
)
def test_sources_that_are_no_schema(source, message):
    if source is threading.Event:
        pytest.importorskip("pydantic")
    with pytest.raises(SchemaError, match=message):
        compile_schema(source)


def deep(levels, leaf):
    for _ in range(levels):
        leaf = {"type": "array", "items": leaf}
    return leaf


def test_depth_is_limited():
    cyclic = {"type": "array"}
    cyclic["items"] = cyclic
    chain = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(10_000)}
    nested = []
    for _ in range(10_000):
        nested = [nested]
    sources = [deep(10_000, STRING), "[" * 10_000, '{"items":' * 10_000, cyclic, {"const": nested}]
    for source in [*sources, deep(70, STRING), {"$defs": chain, "$ref": "#/$defs/d0"}]:
        with pytest.raises(LimitExceeded, match="nested|inside one another"):
            compile_schema(source)
    compile_schema(deep(60, STRING)).nfa()


def test_size_is_limited():
    with pytest.raises(LimitExceeded, match="bits"):
        compile_schema({"const": 1 << 20_000})
    wide = {"enum": [f"{i:020}" for i in range(500_000)]}
    with pytest.raises(LimitExceeded, match="4,000,000"):
        compile_schema(wide)
    with pytest.raises(LimitExceeded, match="4,000,000"):
        compile_schema(json.dumps(wide))


def doubling(levels):
    """2 ** levels copies of one string, by references."""
    defs = {
        f"d{i}": {"type": "object", "properties": dict.fromkeys("ab", {"$ref": f"#/$defs/d{i + 1}"})}
        for i in range(levels)
    }
    return {"$defs": {**defs, f"d{levels}": STRING}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "schema",
    [
        {**STRING, "maxLength": 10**9},
        {"type": "array", "items": {"type": "null"}, "maxItems": 10**9},
        deep(3, {"type": "array", "items": {"type": "null"}, "maxItems": 1000}) | {"maxItems": 1000},
        doubling(25),
    ],
)
def test_growth_is_limited(schema):
    if "$defs" not in schema:
        schema = {"type": "array", "items": {**schema, "maxItems": 10**6} if schema["type"] == "array" else schema}
    with pytest.raises(LimitExceeded, match="states|edges"):
        compile_schema(schema).nfa(Limits(states=100_000))
