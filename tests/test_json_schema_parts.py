"""Schemas whose normal form has too many cases: `matches` asks their parts, and finds the same."""

import itertools
import json
import random

import pytest
from json_schema_cases import Cases, orders

import dgemma_constrain as dc
from dgemma_constrain.constraints.json_schema import compile_schema, space
from dgemma_constrain.errors import ConstraintError, LimitExceeded, SchemaError, UnsupportedSchema

KINDS = ["string", "integer", "boolean", "null"]


def overlapping(count=14, names=8):
    """One of several objects that share all of their optional names, but not what these hold."""
    chance = random.Random(1)
    branches = [
        {"type": "object", "properties": {f"n{k}": {"type": chance.sample(KINDS, 2)} for k in range(names)}}
        for _ in range(count)
    ]
    return {"oneOf": branches}


def members(chance, names=8):
    some = {"string": "s", "integer": 3, "boolean": True, "null": None}
    return {f"n{k}": some[chance.choice(KINDS)] for k in range(names) if chance.random() < 0.6}


def test_too_many_cases_for_an_automaton_are_judged_one_by_one():
    jsonschema = pytest.importorskip("jsonschema")
    schema = overlapping()
    constraint, judge, chance = dc.json_schema(schema), jsonschema.Draft202012Validator(schema), random.Random(2)
    found = [
        (constraint.matches(json.dumps(value)), judge.is_valid(value))
        for value in (members(chance) for _ in range(400))
    ]
    assert all(ours == theirs for ours, theirs in found) and {True, False} == {theirs for _, theirs in found}
    with pytest.raises(LimitExceeded, match="too many to keep apart"):
        constraint.dfa()


def test_a_name_at_the_wrong_place_makes_no_negation_true(monkeypatch):
    """As two objects that overlap, one of which would be excluded by its order alone."""
    monkeypatch.setattr(space, "MAX_WORK", -1)
    ordered = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    schema = compile_schema({"allOf": [{"type": "object", "required": ["a"]}, {"not": ordered}]})
    assert not schema.accepts('{"b": 1, "a": 1}') and schema.accepts('{"a": 1, "b": "s"}')


def test_errors_anywhere_in_the_schema_are_found_all_the_same():
    schema = overlapping()
    schema["oneOf"][3]["properties"]["deep"] = {"items": {"items": {"pattern": "("}}}
    with pytest.raises(SchemaError, match="/oneOf/3/properties/deep/items/items/pattern"):
        compile_schema(schema)


@pytest.mark.parametrize("seed", range(60))
def test_parts_agree_with_the_normal_form(monkeypatch, seed):
    """On random schemas: where some order of names is right for one of them, one is for the other."""
    cases = Cases(seed)
    schema = cases.schema()
    try:
        whole = compile_schema(schema, formats=False)
    except ConstraintError:
        return
    monkeypatch.setattr(space, "MAX_WORK", -1)
    try:
        parts = compile_schema(schema, formats=False)
    except (UnsupportedSchema, SchemaError):  # that no value fits, say
        return
    for _ in range(16):
        value = cases.value(schema, cases.pick([0, 0.1, 0.3]))
        ways = list(itertools.islice(orders(value), 201))
        if len(ways) <= 200:
            texts = list(map(cases.spelling, ways))
            assert any(map(whole.accepts, texts)) == any(map(parts.accepts, texts)), (schema, value)
            assert not any(whole.accepts(text) and not parts.accepts(text) for text in texts), (schema, value)


def test_what_has_many_cases_is_negated_law_by_law():
    jsonschema = pytest.importorskip("jsonschema")
    needs = {
        "dependentRequired": {"b": ["c"], "e": ["b"], "a": ["e", "c"]},
        "properties": dict.fromkeys("abd", {"const": 1}),
    }
    schema = {"type": "object", "not": needs}
    constraint, judge = dc.json_schema(schema), jsonschema.Draft202012Validator(schema)
    dfa, seen = constraint.dfa(), set()
    for names in (c for size in range(6) for c in itertools.combinations("abcde", size)):
        for value in (dict.fromkeys(names, 1), dict.fromkeys(names, 1) | {"d": 2}):
            texts, right = list(map(json.dumps, orders(value))), judge.is_valid(value)
            assert any(map(dfa.accepts, texts)) == any(map(constraint.matches, texts)) == right, value
            seen.add(right)
    assert seen == {True, False}
