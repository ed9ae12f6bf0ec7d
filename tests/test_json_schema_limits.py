"""Schemas that would grow: what is written in little, and what is refused where."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

import dgemma_constrain as dc
from benchmarks.hostile_schemas import HOSTILE, REFUSED
from benchmarks.json_schema_hostile import as_text
from dgemma_constrain.automata.dfa import compile_nfa, intersect
from dgemma_constrain.automata.nfa import concat
from dgemma_constrain.constraints.json_schema import (
    applicators,
    compile_schema,
    constants,
    leaves,
    numbers,
    plan,
    spelling,
    write,
)
from dgemma_constrain.errors import LimitExceeded, SchemaError

NAMES = ["a", "ab", "abc", "b", "", "é", "\n", '"', "a/b", "\\", "long name", "long names", "𝒳"]


@pytest.mark.parametrize("seed", range(12))
def test_names_read_as_tries_are_the_same_as_names_read_one_by_one(seed, monkeypatch):
    chance = random.Random(seed)
    names = chance.sample(NAMES, 9)
    kinds = [{"type": "integer"}, {"type": "string"}, {"const": 0}, True, False]
    schema: dict[str, Any] = {"properties": {name: chance.choice(kinds) for name in names}, "type": "object"}
    schema["required"] = chance.sample(names, chance.choice([0, 0, 1, 3]))
    schema["additionalProperties"] = chance.choice([False, True, {"type": "null"}])
    if chance.random() < 0.5:
        schema["minProperties"] = chance.choice([1, 3])
    if chance.random() < 0.5:
        schema["maxProperties"] = chance.choice([3, 5])
    if chance.random() < 0.5:
        schema["not"] = {"additionalProperties": chance.choice(kinds)}
    if chance.random() < 0.3:  # so large that letters have one spelling
        schema["properties"]["x" * 1100] = {"type": "null"}
    made = []
    for many in (0, 1000):
        monkeypatch.setattr(plan, "MANY", many)
        try:
            made.append(compile_schema(schema).dfa())
        except ValueError as error:
            made.append(error)
    if isinstance(made[0], ValueError):
        assert str(made[0]) == str(made[1])
    else:
        assert made[0].same_language(made[1])


def test_a_schema_too_large_for_an_automaton_says_which_value_is_wrong():
    count = 12  # of names that each ask for another one: which were written, no small automaton can remember
    properties: dict[str, Any] = {f"p{k}": {"type": "integer"} for k in range(2 * count)}
    properties["list"] = {"items": {"properties": {"a": {"enum": ["x", "y"]}}, "additionalProperties": False}}
    needed = {f"p{k}": [f"p{k + count}"] for k in range(count)}
    constraint = dc.json_schema({"type": "object", "properties": properties, "dependentRequired": needed})
    with pytest.raises(LimitExceeded, match=r"\(at /\)"):
        constraint.dfa()

    def explained(text: str) -> tuple[int, str] | None:
        mismatch = constraint.explain(text)
        return None if mismatch is None else (mismatch.position, mismatch.expected)

    assert explained('{"p0": 1, "p12": 2}') is None
    assert explained('{"p0": 1}') == (0, "a value that fits what the schema says at /, with names in its order")
    assert explained(' {"p1": "a"}') == (8, "a value that fits what the schema says at /properties/p1")
    text = '{"list": [ {"a" : "x"} , {"a" : "z"}]}'
    assert explained(text) == (
        text.index('"z"'),
        "a value that fits what the schema says at /properties/list/items/properties/a",
    )
    text = '{"list": [{"a": "x", "b": [1, {"c": 2}]}]}'
    assert explained(text)[0] == text.index("[1")
    assert explained('{"p1": 1,') == (9, "JSON (Expecting property name enclosed in double quotes)")
    assert explained('{"p1": 2, "p0": 1, "p12": 3, "p13": 3}')[1].endswith("with names in its order")


@pytest.mark.parametrize("whitespace", ["any", "compact", "pretty", "[ ]?", " *"])
def test_many_listed_values_have_the_same_texts_as_few(whitespace, monkeypatch):
    chance = random.Random(5)

    def value(depth: int) -> Any:
        kinds = [None, True, 0, 17, -2, 1.5, "", 'a"b', "é", "\\", "}", [], {}]
        if depth == 0 or chance.random() < 0.4:
            return chance.choice(kinds)
        if chance.random() < 0.5:
            return [value(depth - 1) for _ in range(chance.randrange(4))]
        names = chance.sample(["a", "b", "c d", ""], chance.randrange(2))  # of one name, so that there is one order
        return {name: value(depth - 1) for name in names}

    listed = [value(3) for _ in range(40)] + [{}, []]
    schema = {"items": {"enum": listed}, "maxItems": 2, "type": "array", "$comment": "x" * 2000}
    schema["prefixItems"] = [{"enum": ["x" * 1100]}]  # so large that letters have one spelling
    made = []
    for few in (1, 1000):
        monkeypatch.setattr(constants, "FEW", few)
        made.append(compile_schema(schema, whitespace))
    assert made[0].dfa().same_language(made[1].dfa())
    assert [note.keyword for note in made[0].narrowed] == ["enum", ""] and [n.keyword for n in made[1].narrowed] == [""]


def test_many_listed_objects_stand_in_the_order_listed_and_match_in_any():
    listed = [{"id": k, "name": f"item {k}", "tags": ["a", k % 7]} for k in range(200)]
    constraint = dc.json_schema({"enum": listed})
    dfa = constraint.dfa()
    for item in listed[:3]:
        turned = json.dumps(dict(reversed(item.items())))
        assert dfa.accepts(json.dumps(item)) and dfa.accepts(json.dumps(item, indent=1))
        assert not dfa.accepts(turned) and constraint.matches(turned)
        assert not constraint.matches(json.dumps(item | {"id": 1000}))
    assert constraint.narrowed[0].pointer == "/enum"
    some = dc.json_schema({"enum": listed, "properties": {"id": {"maximum": 4}}})  # no longer just what is listed
    assert sum(some.dfa().accepts(json.dumps(item)) for item in listed) == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_schemas_work_or_say_where_they_grow(name):
    try:
        dfa = dc.json_schema(as_text(HOSTILE[name])).dfa()
    except LimitExceeded as error:
        assert REFUSED.get(name, "works") in str(error)
    else:
        assert name not in REFUSED and not dfa.is_empty


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_many_constants_are_one_set_of_those_in_one_branch_or_in_any(keyword, monkeypatch):
    chance = random.Random(7)
    values = [
        "a",
        "b",
        1,
        1.0,
        2,
        True,
        False,
        None,
        [1],
        [1.0],
        {"a": 1, "b": 2},
        {"b": 2, "a": 1.0},
        1e2,
        100,
        "1",
        0,
        -0.0,
    ]
    branches: list[Any] = [{"const": value, "title": "T"} for value in values]
    branches += [{"enum": chance.sample(values, 3), "description": "D"} for _ in range(4)]
    schema = {keyword: branches, "$comment": "one way and the other"}
    made = []
    for many in (1, 1000):
        monkeypatch.setattr(applicators, "MANY", many)
        made.append(compile_schema(schema))
    assert made[0].dfa().same_language(made[1].dfa())
    with pytest.raises(SchemaError, match=f"/{keyword}/1/enum"):
        compile_schema({keyword: [{"const": 1}, {"enum": 5}, *branches]})


@pytest.mark.parametrize("closed", [False, True])
def test_branches_that_a_member_tells_apart_are_held_against_no_others(closed, monkeypatch):
    chance = random.Random(9)
    branches = [
        {
            "type": "object",
            "properties": {"kind": {"enum": chance.sample("abcdefgh", 2)}, chance.choice("xyz"): {"type": "integer"}},
            "required": ["kind"],
            **({"additionalProperties": False} if closed else {}),
        }
        for _ in range(5)
    ]
    made = []
    for many in (1, 1000):
        monkeypatch.setattr(applicators, "MANY", many)
        made.append(compile_schema({"oneOf": branches}).dfa())
    assert made[0].same_language(made[1])


def test_a_word_in_quotes_is_spelt_as_any_set_of_words():
    for word in ["a", "aab", "x y", "é", 'a"b', "field_17", "a/b", "~", "\x7f", "\U0010ffff", ""]:
        dfa = leaves.words(frozenset({word}))
        whole = concat([spelling.QUOTE, spelling.spelt(dfa, False), spelling.QUOTE])
        assert compile_nfa(spelling.quoted(dfa, False)).same_language(compile_nfa(whole))


@pytest.mark.parametrize("seed", range(20))
def test_multiples_between_bounds_are_those_that_arithmetic_gives(seed):
    chance = random.Random(seed)
    size, exponent = chance.choice([3, 7, 11, 250, 1234, 9999]), chance.choice([-2, -1, 0, 2])
    low, high = sorted(Decimal(chance.randint(-900, 900)) / chance.choice([1, 10]) for _ in "ab")
    within = numbers.interval(least=low, most=high)
    found = intersect(numbers._listed(size, exponent, within), within)
    step = Decimal(size).scaleb(exponent)
    wanted = {k * step for k in range(int(low / step) - 1, int(high / step) + 2) if low <= k * step <= high}
    assert {Decimal(text) for text in found.words()} == wanted


def test_equal_parts_are_written_once_with_the_same_texts(monkeypatch):
    chance = random.Random(3)

    def schema(depth: int) -> Any:
        if depth == 0:
            return chance.choice([{"type": "integer"}, {"enum": ["a", "b"]}, {"type": "integer", "title": "T"}])
        if chance.random() < 0.4:
            return {"type": "array", "items": schema(depth - 1), "maxItems": 2}
        return {"type": "object", "properties": {n: schema(depth - 1) for n in "ab"}, "additionalProperties": False}

    whole = {"type": "array", "prefixItems": [schema(3) for _ in range(4)], "minItems": 4, "items": False}
    merged = compile_schema(whole)
    monkeypatch.setattr(write, "merge_alike", lambda plans, parts, scalars: {expr: expr for expr in plans})
    each = compile_schema(whole)
    assert len(merged.outline.plans) < len(each.outline.plans)
    assert merged.dfa().same_language(each.dfa())


@pytest.mark.parametrize("depth", [3, 156, 157, 190])
def test_of_many_listed_values_one_may_be_nested_deeply(depth):
    deep: Any = {"a": [True, 1.5, "x"]}
    for _ in range(depth):
        deep = [deep]
    schema = compile_schema({"enum": [[f"x{i}"] for i in range(40)] + [deep]})
    texts = schema.dfa()
    assert texts.accepts(json.dumps(deep)) and texts.accepts('["x1"]')
    assert not texts.accepts(json.dumps([deep])) and not texts.accepts(json.dumps(deep[0])) and not texts.accepts('["x41"]')
