"""Items and names that must all be different: what is written is right, and `matches` knows the rest."""

import itertools
import json
import random

import pytest

import dgemma_constrain as dc
from dgemma_constrain.constraints.json_schema import distinct, leaves

STRING = {"type": "string"}
SET = {"type": "array", "items": STRING, "uniqueItems": True}
RECORD = {"type": "object", "properties": {"id": STRING, "n": {"type": "integer"}}, "required": ["id"]}
SCHEMAS = [
    SET,
    {**SET, "minItems": 2, "maxItems": 3},
    {"type": "array", "uniqueItems": True},
    {"type": "array", "items": {"enum": [*"abcdefghijkl", 1, None]}, "uniqueItems": True},
    {"type": "array", "items": RECORD, "uniqueItems": True},
    {"type": "array", "prefixItems": [STRING, {"const": 1}], "items": {"type": "integer"}, "uniqueItems": True},
    {"type": "array", "contains": {"const": "b"}, "uniqueItems": True},
    {"not": SET},
    {"oneOf": [SET, {"type": "array", "maxItems": 2, "items": STRING}]},
    {"if": SET, "then": {"maxItems": 1}, "else": {"minItems": 3}},
    {"type": "object", "minProperties": 2},
    {"type": "object", "properties": {"a": {}, "id": STRING}, "minProperties": 3},
    {"type": "object", "propertyNames": {"pattern": "^[ab]+$"}, "minProperties": 2, "maxProperties": 3},
    {"not": {"type": "object", "minProperties": 2, "maxProperties": 2}},
]
ATOMS = ["a", "b", "aa", "", 1, 2, True, None, [], [1], {"id": "a"}, {"id": "a", "n": 1}, {"id": "b"}]


def values(seed):
    chance = random.Random(seed)
    yield from ATOMS
    for size in (2, 3):
        yield from (list(items) for items in chance.sample([*itertools.product(ATOMS, repeat=size)], 120))
    for names in itertools.product(["a", "b", "ab", "id"], repeat=3):
        yield {name: chance.choice(ATOMS) for name in names[: chance.randrange(4)]}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_what_is_written_is_right_and_whatever_is_right_matches(schema):
    jsonschema = pytest.importorskip("jsonschema")
    judge, constraint = jsonschema.Draft202012Validator(schema), dc.json_schema(schema)
    dfa, seen = constraint.dfa(), set()
    for value in values(repr(schema)):
        text = json.dumps(value)
        written, right = dfa.accepts(text), judge.is_valid(value)
        ordered = not isinstance(value, dict) or list(value) == sorted(value, key=lambda n: (n not in ("a", "id"), n))
        assert right or not written, value
        if ordered:
            assert constraint.matches(text) == right, value
        assert (constraint.explain(text) is None) == constraint.matches(text)
        seen.add(right)
    assert seen == {True, False}


@pytest.mark.parametrize(
    "values, bounds",
    [
        (list(range(12)), {}),
        (["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Moon", "Tuna", True, None, 0], {}),
        ([f"code {k}" for k in range(40)], {"maxItems": 2}),
        (list("abcdef"), {"minItems": 3, "maxItems": 4}),
    ],
)
def test_few_values_stand_on_a_canvas_in_any_order(values, bounds):
    constraint = dc.json_schema({"type": "array", "items": {"enum": values}, "uniqueItems": True, **bounds})
    assert all(note.keyword != "uniqueItems" for note in constraint.narrowed)
    dfa, chance = constraint.dfa(), random.Random(0)
    least, most = bounds.get("minItems", 0), bounds.get("maxItems", len(values))
    for size in [*range(len(values) + 1)] * 12:
        some = chance.sample(values, size)
        assert dfa.accepts(json.dumps(some)) == (least <= size <= most), some
        if some:
            some.insert(chance.randrange(size + 1), chance.choice(some))
            assert not dfa.accepts(json.dumps(some)), some


def test_what_is_left_out_is_listed_and_only_where_something_is():
    assert [(n.pointer, n.keyword) for n in dc.json_schema({"properties": {"x": SET}}).narrowed] == [
        ("/properties/x", "uniqueItems")
    ]
    few = {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True}
    for schema in (few, {**SET, "maxItems": 1}, {"type": "object", "minProperties": 1}):
        assert dc.json_schema(schema).narrowed == ()


def test_equal_values_have_the_same_mark_and_marks_cover_everything():
    for kind, whole in (distinct.string_marks(), leaves.STRINGS), (distinct.number_marks(), leaves.NUMBERS):
        total = leaves.NONE
        for mark in kind:
            assert leaves.meet(total, mark) is leaves.NONE
            total = leaves.join(total, mark)
        assert total is whole


def test_a_name_written_twice_does_not_count_twice():
    constraint = dc.json_schema({"type": "object", "minProperties": 2})
    assert not constraint.matches('{"a": 1, "a": 2}') and not constraint.matches(r'{"a": 1, "\u0061": 2}')
    assert constraint.matches('{"b": 1, "a": 2}')


def test_very_long_strings_are_left_out_where_counting_them_would_be_all_there_is():
    """As pydantic writes a URL: uri and 65,536 characters, whose product would be millions of states."""
    constraint = dc.json_schema({"type": "string", "format": "uri", "minLength": 3, "maxLength": 65536})
    assert "maxLength" in [n.keyword for n in constraint.narrowed]
    assert constraint.matches('"a:b"') and not constraint.matches('"a:"') and not constraint.matches('"a b"')
    assert "maxLength" not in [n.keyword for n in dc.json_schema({"maxLength": 1000}).narrowed]


def test_the_complement_of_what_is_narrowed_is_an_error():
    constraint = ~dc.json_schema({"type": "array", "uniqueItems": True, "items": {"type": "string"}})
    with pytest.raises(dc.ConstraintError, match="leaves out texts .uniqueItems at /"):
        constraint.dfa()
    assert (~dc.json_schema({"type": "string", "maxLength": 3})).matches('"abcd"')
