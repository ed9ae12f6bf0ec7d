"""What is refused, with which error, and where it points."""

import json
import pathlib
import threading

import pytest

from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import LimitExceeded, SchemaError, UnsupportedSchema

STRING, NULL = {"type": "string"}, {"type": "null"}


def inside(schema):
    """The schema at /properties/a~1b/items."""
    items = {"type": "array", "items": schema, "minItems": 1}
    return {"type": "object", "properties": {"a/b": items}, "required": ["a/b"]}


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
    ({"dependentSchemas": {"a": ["b"]}}, "/dependentSchemas/a", None),
    ({"$ref": 3}, "/$ref", "$ref"),
    ({"$id": 3}, "/$id", "$id"),
    ({"$id": "http://[x"}, "/$id", "$id"),
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
        ({"type": "array", "contains": STRING, "items": NULL}, ["contains", "items"]),
        ({"type": "array", "contains": {}, "minContains": 3, "maxItems": 2}, ["minContains", "maxItems"]),
        (
            {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True, "minItems": 3},
            ["items", "uniqueItems", "minItems"],
        ),
        (
            {"prefixItems": [{}, {}], "items": False, "minItems": 2, "maxItems": 1, "type": "array"},
            ["minItems", "maxItems"],
        ),
        (
            {"type": "object", "properties": dict.fromkeys("abc", {}), "required": ["a"], "additionalProperties": False}
            | {"minProperties": 3, "maxProperties": 2},
            ["maxProperties", "minProperties"],
        ),
        ({"$ref": "#/$defs/a", "type": "null", "$defs": {"a": STRING}}, ["type", "$ref"]),
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


def test_a_contradiction_inside_is_pointed_at_where_it_stands():
    """Also one that only counting shows, and not as something that contains itself without end."""
    empty = {"type": "array", "contains": STRING, "items": NULL}
    with pytest.raises(SchemaError, match="'contains' and 'items' together") as caught:
        compile_schema(inside({"allOf": [{"$ref": "#/$defs/a"}]}) | {"$defs": {"a": empty}})
    assert caught.value.pointer == "/$defs/a/contains"
    with pytest.raises(SchemaError, match="contains itself without end"):
        compile_schema({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})


def test_a_pattern_that_no_length_allows():
    with pytest.raises(SchemaError, match="'pattern' and 'maxLength'") as caught:
        compile_schema(inside({**STRING, "pattern": "^a{5}$", "maxLength": 3})).nfa()
    assert caught.value.pointer == "/properties/a~1b/items/pattern"


def test_what_cannot_hold_anything_is_no_error_where_nothing_need_stand():
    for schema in (
        {"properties": {"a": False}},
        {"items": {**STRING, "minLength": 3, "maxLength": 2}},
        {"anyOf": [{}, False]},
    ):
        compile_schema({**schema, "type": ["object", "array"]}).nfa()


FREE_SET = {"type": "array", "items": STRING, "uniqueItems": True}
UNSUPPORTED = [
    ({**FREE_SET, "minItems": 100}, "", "uniqueItems"),
    ({"not": {"uniqueItems": True}}, "", "uniqueItems"),
    ({"type": "object", "minProperties": 100}, "", "minProperties"),
    ({**STRING, "$schema": "http://json-schema.org/draft-03/schema#"}, "/$schema", "$schema"),
    ({**STRING, "$schema": "https://example.com/draft-04/schema#"}, "/$schema", "$schema"),
]


@pytest.mark.parametrize("schema, pointer, keyword", UNSUPPORTED)
@pytest.mark.parametrize(
    "place, wrap",
    [
        ("", lambda s: s),
        ("/properties/x", lambda s: {"type": "object", "properties": {"x": s}, "required": ["x"]}),
    ],
)
def test_unsupported(schema, pointer, keyword, place, wrap):
    with pytest.raises(UnsupportedSchema) as caught:
        compile_schema(wrap(schema))
    assert (caught.value.pointer, caught.value.keyword) == (place + pointer, keyword)
    assert "\n" not in str(caught.value) and ";" in str(caught.value)


@pytest.mark.parametrize("schema, pointer, keyword", UNSUPPORTED[:3])
def test_relaxed(schema, pointer, keyword):
    relaxed = compile_schema({"type": "object", "properties": {"x": schema}}, on_unsupported="relax").relaxed
    assert [(r.pointer, r.keyword) for r in relaxed] == [("/properties/x" + pointer, keyword)]


def test_what_is_relaxed_is_still_checked():
    pytest.importorskip("jsonschema")
    schema = compile_schema(FREE_SET, on_unsupported="relax")
    assert compile_nfa(schema.nfa()).accepts('["a", "a"]')
    assert schema.value('["a", "b"]') == ["a", "b"]
    with pytest.raises(SchemaError, match="uniqueItems|unique"):
        schema.value('["a", "a"]')


def test_what_is_relaxed_never_makes_a_negation_narrower():
    loose = {"not": {"type": "array", "items": {"type": "array", "items": STRING, "uniqueItems": True}}}
    dfa = compile_nfa(compile_schema(loose, on_unsupported="relax").nfa())
    assert all(map(dfa.accepts, ['[["a","a"]]', "1", "[2]"]))


def test_unknown_keywords_assert_nothing_and_are_listed():
    schema = compile_schema({**STRING, "x~/y": 1, "nullable": True})
    assert [(r.pointer, r.keyword) for r in schema.relaxed] == [("/x~0~1y", "x~/y")]
    schema = compile_schema({**STRING, "maxlength": 3})
    assert schema.accepts('"long"') and schema.relaxed[0].why == "unknown keywords assert nothing; 'maxLength' would"


REFERENCES = [
    ({"$ref": "other.json"}, "/$ref", "nothing is fetched"),
    ({"$ref": "#anchor"}, "/$ref", "no anchor"),
    ({"$ref": "#/$defs/a/b", "$defs": {"a": {}}}, "/$ref", "leads nowhere"),
    ({"$ref": "#/$defs/a", "$defs": {"a": 3}}, "/$ref", "no schema is"),
    ({"$ref": "#"}, "", "in a circle: # → #"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "/$defs/a", "in a circle"),
    ({"$id": "http://x/a", "$ref": "b"}, "/$ref", "registry"),
]


@pytest.mark.parametrize("schema, pointer, message", REFERENCES)
def test_references_that_lead_nowhere(schema, pointer, message):
    with pytest.raises(SchemaError, match=message) as caught:
        compile_schema(schema)
    assert caught.value.pointer == pointer


def test_a_list_of_items_belongs_to_older_drafts():
    with pytest.raises(SchemaError, match="prefixItems"):
        compile_schema({"$schema": "https://json-schema.org/draft/2020-12/schema", "items": [STRING]})


def test_a_boolean_bound_belongs_to_draft_04_and_a_number_beside_it_does_not():
    with pytest.raises(SchemaError, match="draft 04"):
        compile_schema({"$schema": "http://json-schema.org/draft-07/schema#", "exclusiveMinimum": True})
    with pytest.raises(SchemaError, match="draft 04"):
        compile_schema({"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMaximum": 3})


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
        ("3", "an object, true or false, not 3"),
        ('[{"a": 1}]', 'an object, true or false, not .{"a": 1}.'),
        (3, "int"),
        (None, "NoneType"),
        (pathlib.Path("schema.json"), "schema.json.*cannot be read"),
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
    for source in [*sources, {"$defs": chain, "$ref": "#/$defs/d0"}]:
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
        {**STRING, "minLength": 10**9},
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


def test_the_part_that_grew_is_named():
    long = {"type": "array", "items": {**STRING, "maxLength": 1_000}, "maxItems": 40}
    schema = {"type": "object", "properties": {"small": STRING, "long": long}, "additionalProperties": False}
    with pytest.raises(LimitExceeded, match="/properties/long"):
        compile_schema(schema).dfa()
