"""Schemas that would grow: what is written in little, and what is refused where."""

from __future__ import annotations

import random
from typing import Any

import pytest

import dgemma_constrain as dc
from dgemma_constrain.constraints.json_schema import compile_schema, plan
from dgemma_constrain.errors import LimitExceeded

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
