"""What `matches` knows beyond the automaton of a schema: any depth, and schemas that are too large for one."""

import copy
import itertools
import json
import random

import pytest
from json_schema_cases import Cases, orders
from test_json_schema_differential import random_text

import dgemma_constrain as dc
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import LimitExceeded, SchemaError, UnsupportedSchema

LEAF = {"type": "integer", "minimum": 0}
TREE = {
    "type": "object",
    "properties": {"v": LEAF, "kids": {"type": "array", "items": {"$ref": "#"}, "maxItems": 3}},
    "required": ["v"],
    "additionalProperties": False,
}
RECURSIVE = [
    TREE,
    {"type": ["array", "null"], "items": {"$ref": "#"}, "uniqueItems": True, "maxItems": 2},
    {"anyOf": [LEAF, {"type": "object", "additionalProperties": {"$ref": "#"}, "minProperties": 1}]},
    {"oneOf": [LEAF, {"type": "array", "items": {"not": {"$ref": "#"}}}]},
    {"type": "object", "properties": {"a": {"$ref": "#"}, "b": LEAF}, "dependentRequired": {"a": ["b"]}},
    {"if": {"type": "array"}, "then": {"contains": {"$ref": "#"}, "maxContains": 1}, "else": {"const": 1}},
    {"type": "object", "patternProperties": {"^x": {"$ref": "#"}}, "properties": {"n": LEAF}, "unevaluatedProperties": False},
]  # fmt: skip


def judged(schema):
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(schema)


def deep(judge, chance, levels):
    """Values nested so deep, valid ones where there is a way to go on so."""
    found = [chance.choice([None, 1, [], {}, {"v": 1}, {"b": 1}, {"a": 1}])]
    for _ in range(levels):
        inner = found[-1]
        ways = [
            [inner],
            {"a": inner, "b": 1},
            {"x1": inner},
            {"v": 1, "kids": [inner]},
            {"v": 0, "kids": []},
            [[], inner],
        ]
        valid = [way for way in ways if judge.is_valid(way)]
        found.append(chance.choice(valid if valid and chance.random() < 0.97 else ways))
    return found[levels // 2 :]


def spoilt(value, chance):
    """The value with something else at some place inside."""
    value = copy.deepcopy(value)
    here = value
    while isinstance(here, (dict, list)) and here:
        key = chance.choice(list(here)) if isinstance(here, dict) else chance.randrange(len(here))
        if chance.random() < 0.15 or not isinstance(here[key], (dict, list)):
            here[key] = chance.choice([None, -1, 1, "s", [], {}, [1, 1], {"b": 1}, {"v": 2}])
            return value
        here = here[key]
    return chance.choice([None, 1, [], {}])


@pytest.mark.parametrize("schema", RECURSIVE)
def test_values_nested_deeper_than_the_automaton_goes(schema):
    judge, constraint, chance = judged(schema), compile_schema(schema), random.Random(repr(schema))
    seen = {True: 0, False: 0}
    for _ in range(6):
        for value in deep(judge, chance, 24):
            for value in (value, spoilt(value, chance)):
                right, texts = judge.is_valid(value), list(map(json.dumps, itertools.islice(orders(value), 40)))
                assert any(map(constraint.accepts, texts)) == right, value
                seen[right] += 1
    assert min(seen.values()) >= 5, seen


def test_a_chain_of_hundreds():
    constraint = dc.json_schema(TREE)
    assert constraint.depth() < 20
    for bottom, right in (('{"v": 0}', True), ('{"v": -1}', False), ('{"v": 0, "w": 0}', False)):
        text = '{"v": 1, "kids": [' * 70 + bottom + "]}" * 70
        assert constraint.matches(text) == right
        assert (constraint.explain(text) is None) == right
        assert not dc.json_schema(TREE, max_depth=4).matches(text)
    assert not constraint.matches("[" * 100_000)
    with pytest.raises(LimitExceeded, match="inside one another"):
        constraint.matches('{"v": 1, "kids": [' * 5_000 + "]}" * 5_000)


def test_texts_of_the_automaton_match_in_every_layout():
    for seed in range(20):
        schema, chance = Cases(seed).schema(), random.Random(seed)
        layout = ["any", "compact", "pretty", " ?", " "][seed % 5]
        try:
            constraint = compile_schema(schema, layout, property_order=["schema", "any"][seed % 2])
            dfa = constraint.dfa()
        except (LimitExceeded, SchemaError, UnsupportedSchema):
            continue
        if dfa.states > 500:
            continue
        for text in filter(None, (random_text(dfa, chance) for _ in range(4))):
            assert constraint.accepts(text), (schema, text)
            if layout != "any":
                spaced = text.replace(",", " \n,", 1)
                assert constraint.accepts(spaced) == dfa.accepts(spaced), (schema, text)
            assert not constraint.accepts(text + "]") and not constraint.accepts(text[:-1] + "\x00")


@pytest.mark.parametrize(
    "text, right",
    [
        ('{"a": 1, "z": 2}', True),
        ('{"z": 2, "a": 1}', False),  # declared names first
        ('{"a": 1, "a": 1}', False),
        ('{"a": 1, "\\u0061": 1}', False),
        ('{"z": 1, "z": 2}', True),  # the last counts
        ('{"z": "s", "z": 2}', False),  # but whatever is written must fit
        ('{"a": 1e5, "z": 0.1E+1}', True),
        ('{"a": 1e999}', False),
        ('{"a": NaN}', False),
        ('{"a": 01}', False),
        ('{"a": 1, "\\ud83d\\ude00": 1}', True),
        ('{"a": 1, "\\ud83d": 1}', False),
        ('{"a": 1, "\\\\ud83d": 1}', True),
        ('{"a": 1, "\\ude00\\ud83d": 1}', False),
        ('\ufeff{"a": 1}', False),
        ('{"a": 1}\u00a0', False),
        ('{"a": 1,}', False),
        ("", False),
    ],
)
def test_texts_are_read_as_the_automaton_reads_them(text, right):
    constraint = dc.json_schema({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "number"}})
    assert constraint.matches(text) == right == constraint.dfa().accepts(text)


def test_a_schema_too_large_for_an_automaton_still_matches():
    names = {f"n{i}": {"type": "string", "maxLength": 1_000} for i in range(40)}
    constraint = dc.json_schema({"type": "object", "properties": names, "additionalProperties": False})
    with pytest.raises(LimitExceeded, match="states"):
        constraint.dfa()
    assert constraint.matches('{"n1": "x", "n30": "y"}')
    assert not constraint.matches('{"n1": "x", "n40": "y"}') and not constraint.matches('{"n1": 1}')


@pytest.mark.parametrize("draft", ["2019-09", "2020-12"])
def test_dependencies_assert_in_drafts_that_have_split_it(draft):
    schema = {"dependencies": {"b": ["a"], "c": {"maxProperties": 1}}}
    constraint = dc.json_schema({"$schema": f"https://json-schema.org/draft/{draft}/schema", **schema})
    assert all(map(constraint.matches, ["1", "{}", '{"b": 1, "a": 1}', '{"c": 1}']))
    assert not any(map(constraint.matches, ['{"b": 1}', '{"b": 1, "c": 1, "a": 1}']))


@pytest.mark.parametrize("combine", [lambda c: c & dc.regex(r"[^x]*"), lambda c: c | dc.literal("x")])
def test_what_is_combined_explains_nothing_where_it_matches(combine):
    value = {"v": 1}
    for _ in range(20):
        value = {"v": 1, "kids": [value]}
    constraint, text = combine(dc.json_schema(TREE)), json.dumps(value)
    assert constraint.matches(text) and constraint.explain(text) is None
    assert constraint.explain(text.replace("1", "y", 1)).position == text.index("1")


def test_what_has_no_automaton_together_is_explained_by_its_parts():
    long = dc.regex("[ab]*a[ab]{24}")  # 2²⁵ states
    assert (dc.literal("b") | dc.literal("ac")).explain("ad").position == 1
    with pytest.raises(LimitExceeded):
        (long & dc.literal("a")).explain("b")
