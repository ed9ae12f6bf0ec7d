"""Schemas that would grow: what is written in little, and what is refused where."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dgemma_constrain.constraints.json_schema import compile_schema, plan

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
