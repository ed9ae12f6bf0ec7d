"""What a schema's texts are: types, names, order, white space, spellings, siblings, references, Python types."""

import dataclasses
import itertools
import json
import pickle
from typing import NotRequired, TypedDict

import pytest

from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import ConstraintError, SchemaError

WORD = {"type": "string", "pattern": "^[a-z]+$"}
NULL = {"type": "null"}


def accepted(schema, texts, whitespace="any"):
    """Those of `texts` that are in the schema's language."""
    dfa = compile_nfa(compile_schema(schema, whitespace).nfa())
    return [text for text in texts if dfa.accepts(text)]


NUMBERS = ["0", "-0", "12", "-7", "01", "+1", "1.", ".5", "1.50", "1e3", "-1.2E-07", "1e", "--1", "", "NaN", "0x1"]
SCALARS = ["null", "true", "false", "1", "1.5", '"a"', '""', "[]", "{}", "nul", "True"]


@pytest.mark.parametrize(
    "schema, texts, right",
    [
        ({"type": "integer"}, NUMBERS, ["0", "-0", "12", "-7", "1e3"]),
        ({"type": "number"}, NUMBERS, ["0", "-0", "12", "-7", "1.50", "1e3", "-1.2E-07"]),
        ({"type": "null"}, SCALARS, ["null"]),
        ({"type": "boolean"}, SCALARS, ["true", "false"]),
        ({"type": ["string", "null"]}, SCALARS, ["null", '"a"', '""']),
        ({"type": ["integer", "number"]}, SCALARS, ["1", "1.5"]),
        ({"enum": ["a", 1, None, [], {}]}, SCALARS, ["null", "1", '"a"', "[]", "{}"]),
        (
            {"const": {"b": [1, "x"], "a": {}}},
            ['{"b":[1,"x"],"a":{}}', '{"a":{},"b":[1,"x"]}'],
            ['{"b":[1,"x"],"a":{}}', '{"a":{},"b":[1,"x"]}'],
        ),
        ({"type": "object", "additionalProperties": False}, ["{}", '{"a":1}'], ["{}"]),
        ({"type": "array", "maxItems": 0}, ["[]", "[1]"], ["[]"]),
        ({"type": "array", "items": False}, ["[]", "[1]"], ["[]"]),
    ],
)
def test_values(schema, texts, right):
    assert accepted(schema, texts) == right


def nulls(names):
    return "{" + ",".join(f'"{name}":null' for name in names) + "}"


def test_names_keep_schema_order_and_optional_ones_may_be_absent():
    schema = {
        "type": "object",
        "properties": dict.fromkeys("abc", NULL),
        "required": ["b"],
        "additionalProperties": False,
    }
    texts = [nulls(names) for names in ("", *"abc", "ab", "bc", "ac", "abc", "ba", "bb", "abcd")]
    right = [nulls(names) for names in ("b", "ab", "bc", "abc")]
    assert accepted(schema, texts) == right
    assert accepted(schema, ['{,"b":null}', '{"b":null,}', '{"a":null "b":null}', '{"b":null']) == []


def test_a_property_that_fits_nothing_never_appears():
    schema = {"type": "object", "properties": {"a": False, "b": NULL}}
    assert accepted(schema, ["{}", '{"a":null}', '{"b":null}']) == ["{}", '{"b":null}']


def test_a_property_that_must_be_there_and_fits_nothing_leaves_no_object():
    """What é holds contains the object, so that it holds nothing is known only when all has been read."""
    schema = {
        "type": ["object", "null"],
        "properties": {"é": {"$ref": "#"}},
        "required": ["é"],
        "patternProperties": {"^.$": {"enum": [3, {"a": 1}]}},
    }
    assert accepted(schema, ["{}", '{"é": null}', '{"é": {"a": 1}}', '{"b": 3}', "null"]) == ["null"]


@pytest.mark.parametrize(
    "least, most", [(0, 0), (0, 1), (1, 1), (0, 3), (2, 3), (3, 3), (0, None), (1, None), (3, None)]
)
def test_item_counts(least, most):
    bounds = {"minItems": least} if most is None else {"minItems": least, "maxItems": most}
    texts = [json.dumps([1] * n) for n in range(6)]
    right = [json.dumps([1] * n) for n in range(least, 6 if most is None else most + 1)]
    assert accepted({"type": "array", "items": {"type": "integer"}, **bounds}, texts) == right


def test_lengths_count_decoded_characters():
    texts = [
        '""',
        '"é"',
        '"\\u00e9"',
        '"\\n"',
        '"😀"',
        '"\\uD83d\\uDe00"',
        '"ab"',
        '"a\\/"',
        '"\\ud83d"',
        '"\n"',
        '"\\x"',
        '"abc"',
    ]
    one = ['"é"', '"\\u00e9"', '"\\n"', '"😀"', '"\\uD83d\\uDe00"']
    two = ['"ab"', '"a\\/"']
    assert accepted({"type": "string", "minLength": 1, "maxLength": 1}, texts) == one
    assert accepted({"type": "string", "minLength": 1, "maxLength": 2}, texts) == one + two
    assert accepted({"type": "string", "minLength": 3}, texts) == ['"abc"']
    assert accepted({"type": "string", "maxLength": 2.0}, texts) == ['""', *one, *two]


def test_patterns_search_the_decoded_string_and_keep_the_lengths():
    texts = ['"b"', '"abc"', '"a\\u0062c"', '"ac"', '"abcd"', '"aBc"']
    assert accepted({"type": "string", "pattern": "b", "maxLength": 3}, texts) == texts[:3]
    assert accepted({"type": "string", "pattern": "^[a-z]+$", "minLength": 3}, texts) == texts[1:3] + ['"abcd"']


WHITE = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {"const": {"k": [], "l": [1]}}},
}


def test_white_space_any():
    right = ['{"a":[1,2]}', '{ "a" :\t[ 1 ,\n2 ]\r}', "{ }", '{"a": [ ], "b": { "k" : [ ] , "l":[ 1 ] }}']
    right += [' {"a":[1,2]}', '{"a":[1,2]}\n']
    wrong = ['{"a":[1 2]}', '{"a":[\u00a01]}']
    assert accepted(WHITE, right + wrong) == right


@pytest.mark.parametrize("whitespace, options", [("compact", {"separators": (",", ":")}), ("pretty", {"indent": 2})])
def test_white_space_fixed(whitespace, options):
    values = [{}, {"a": []}, {"a": [1]}, {"a": [1, 2], "b": {"k": [], "l": [1]}}, {"b": {"k": [], "l": [1]}}]
    texts = [json.dumps(value, **options) for value in values]
    wrong = ['{"a": [1]}', '{"a":[ ]}', "{ }", '{\n"a": [1]\n}', '{\n  "a": [\n  1\n  ]\n}']
    assert accepted(WHITE, texts + wrong, whitespace) == texts
    assert set(texts) <= set(accepted(WHITE, texts))


def test_white_space_must_be_a_known_kind():
    with pytest.raises(ConstraintError, match="compact"):
        compile_schema(NULL, whitespace="none")


def test_white_space_of_ones_own():
    right = ['{"a":[1, 2]}', '{"a": [1,2]}']
    assert accepted(WHITE, [*right, '{"a":[1,  2]}', '{"a":\n[1,2]}', ' {"a":[]}'], " ?") == right
    for strange in ("a?", "(", "[^ ]"):
        with pytest.raises(ConstraintError, match="whitespace"):
            compile_schema(NULL, whitespace=strange)


def test_pretty_indents_by_as_much_as_is_asked_for():
    dfa = compile_nfa(compile_schema(WHITE, "pretty", indent=3).nfa())
    assert dfa.accepts(json.dumps({"a": [1, 2]}, indent=3)) and not dfa.accepts(json.dumps({"a": [1, 2]}, indent=2))


def test_names_and_listed_strings_in_every_spelling():
    schema = {"type": "object", "properties": {'é"\n/': {"enum": ["ü\\😀"]}}, "additionalProperties": False}
    value = {'é"\n/': "ü\\😀"}
    texts = [json.dumps(value, ensure_ascii=False), json.dumps(value)]
    texts.append('{"\\u00E9\\u0022\\u000a\\/":"\\u00fc\\u005C\\uD83D\\ude00"}')
    assert [json.loads(text) for text in texts] == [value] * 3
    assert accepted(schema, [*texts, '{"é\\n/":"ü"}', '{"\\ud83d":1}']) == texts


def test_keywords_of_absent_types_have_no_effect():
    assert accepted({"type": "integer", "minLength": 3, "items": {}, "required": ["x"]}, SCALARS) == ["1"]


def test_without_type_values_of_other_types_fit():
    assert accepted({"minLength": 1}, SCALARS) == [text for text in SCALARS[:-2] if text != '""']
    assert accepted({"properties": {"a": NULL}}, ["{}", "1", "[]", '{"a":1}']) == ["{}", "1", "[]"]


def test_other_names_come_after_the_declared_ones_and_are_none_of_them():
    schema = {"type": "object", "properties": {"a": NULL}, "additionalProperties": {"type": "integer"}}
    right = ['{"a":null,"b":1,"c":2}', '{"b":1}', '{"aa":1}', '{"":1}']
    wrong = ['{"b":1,"a":null}', '{"a":1}', '{"\\u0061":1}', '{"a":null,"\\u0061":1}', '{"b":null}', '{"a":null,}']
    assert accepted(schema, right + wrong) == right


def test_any_order():
    schema = {"type": "object", "properties": dict.fromkeys("abc", NULL), "required": ["b"]}
    dfa = compile_nfa(compile_schema({**schema, "additionalProperties": False}, property_order="any").nfa())
    for count in range(4):
        for names in itertools.product("abc", repeat=count):
            assert dfa.accepts(nulls(names)) == ("b" in names and len(set(names)) == len(names)), names


NAMED_TWICE = [
    {"type": "object", "not": {"additionalProperties": {"type": "integer"}}},
    {"type": "object", "not": {"patternProperties": {"^a": NULL}}},
    {"type": "object", "minProperties": 1, "maxProperties": 2},
    {"type": "object", "properties": {"a": {}}, "minProperties": 2, "required": ["a"]},
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "patternProperties": {"b": NULL},
        "additionalProperties": {"type": "string"},
    },
]


@pytest.mark.parametrize("schema", NAMED_TWICE)
def test_what_a_parser_keeps_of_names_that_stand_twice_is_valid(schema):
    jsonschema = pytest.importorskip("jsonschema")
    dfa, judge = compile_schema(schema).dfa(), jsonschema.Draft202012Validator(schema)
    members = [f'"{name}":{value}' for name in ("a", "b", "ab", "c") for value in ("1", '"x"', "null")]
    kept = 0
    for count in range(4):
        for some in itertools.product(members, repeat=count):
            text = "{" + ",".join(some) + "}"
            if dfa.accepts(text):
                kept += 1
                judge.validate(json.loads(text))
    assert kept > 20


def test_depth():
    assert compile_schema({"type": "object", "additionalProperties": False}).depth() is None
    tree = {"type": "array", "items": {"$ref": "#"}}
    texts = ["[]", "[[],[]]", "[[[]]]", "[[[[]]]]"]
    for depth in range(3):
        schema = compile_schema(tree, max_depth=depth)
        assert schema.depth() == depth
        assert list(filter(compile_nfa(schema.nfa()).accepts, texts)) == texts[: depth + 1]
        assert all(map(compile_nfa(schema.wider()).accepts, texts))
    assert compile_schema(tree).depth() > 10
    linked = {"properties": {"next": {"$ref": "#"}}, "required": ["next"], "type": "object"}
    with pytest.raises(SchemaError, match="no value"):
        compile_schema(linked).nfa()


def test_alternatives_beside_types():
    schema = {"type": ["string", "integer"], "anyOf": [{"minLength": 3}, {"type": "null"}]}
    assert accepted(schema, ['"abc"', '"ab"', "3", "null", "1.5"]) == ['"abc"', "3"]


def test_alternatives_that_require_names():
    schema = {
        "type": "object",
        "properties": dict.fromkeys("abc", NULL),
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    texts = ["{}", '{"a":null}', '{"b":null}', '{"c":null}', '{"a":null,"b":null,"c":null}']
    assert accepted(schema, texts) == [texts[1], texts[2], texts[4]]


def test_alternatives_that_declare_names():
    schema = {
        "type": "object",
        "properties": {"a": NULL},
        "anyOf": [{"properties": {"b": NULL}}, {"properties": {"b": {"type": "integer"}}}],
    }
    texts = ["{}", '{"a":null,"b":null}', '{"a":null,"b":1}', '{"b":"x"}', '{"b":1,"a":null}']
    assert accepted(schema, texts) == texts[:3]
    assert accepted({**schema, "additionalProperties": False}, texts) == texts[:1]


def test_listed_values_are_filtered_by_their_siblings():
    values = ["a", "abc", "ABC", 1, 1.5, 2.0, True, None, [1], {"a": 1}, {"a": "x"}]
    texts = [json.dumps(value) for value in values]
    assert accepted({"enum": values, "type": "string", "minLength": 2}, texts) == ['"abc"', '"ABC"']
    assert accepted({"enum": values, "pattern": "^[a-z]", "type": "string"}, texts) == ['"a"', '"abc"']
    assert accepted({"enum": values, "type": "integer"}, texts) == ["1", "2.0"]
    assert accepted({"enum": values, "type": ["boolean", "null"]}, texts) == ["true", "null"]
    assert accepted({"enum": values, "type": "object", "properties": {"a": WORD}}, texts) == ['{"a": "x"}']
    assert accepted({"enum": values, "const": 2}, texts) == ["2.0"]
    assert accepted({"enum": values, "anyOf": [{"const": 1}, {"const": False}]}, texts) == ["1"]
    assert accepted({"enum": values, "anyOf": [{"type": "array", "items": {"type": "number"}}, NULL]}, texts) == [
        "null",
        "[1]",
    ]


def test_references():
    schema = {
        "$defs": {
            "a/b~c%": {"type": "integer"},
            "pair": {"type": "array", "items": {"$ref": "#/$defs/a~1b~0c%25"}, "maxItems": 2},
        },
        "definitions": {"word": WORD},
        "type": "object",
        "properties": {
            "x": {"$ref": "#/$defs/pair", "title": "X"},
            "y": {"$ref": "#/definitions/word", "maxLength": 2},
            "z": {"$ref": "#/properties/y"},
        },
    }
    texts = ['{"x":[1,2],"y":"ab","z":"c"}', '{"x":[1,2,3]}', '{"y":"abc"}', '{"z":"abc"}', '{"y":"A"}']
    assert accepted(schema, texts) == texts[:1]


def test_references_unescape_in_the_right_order():
    schema = {"$ref": "#/$defs/a~01b", "$defs": {"a~1b": {"type": "integer"}, "a/b": {"type": "null"}}}
    assert accepted(schema, SCALARS) == ["1"]


def test_a_closed_reference_closes_what_stands_beside_it():
    closed = {"type": "object", "properties": {"a": NULL}, "additionalProperties": False}
    schema = {"$ref": "#/$defs/c", "$defs": {"c": closed}, "type": "object", "enum": [{"a": None}, {"b": 1}]}
    assert accepted(schema, ['{"a": null}', '{"b": 1}']) == ['{"a": null}']


def test_annotations_assert_nothing():
    notes = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.org/schema",
        "$comment": "c",
        "$defs": {"unused": {"oneOf": []}},
        **{"title": "t", "description": "d", "default": 1, "examples": [2]},
        **{"deprecated": True, "readOnly": True, "writeOnly": False},
    }
    assert accepted({**notes, "type": "integer"}, SCALARS) == ["1"]


class Point(TypedDict):
    x: int
    y: float
    label: NotRequired[str]


@dataclasses.dataclass
class Person:
    name: str
    age: int | None = None


def test_python_types():
    pydantic = pytest.importorskip("pydantic")

    class Order(pydantic.BaseModel):
        customer: Person
        amounts: list[float]

    schema = compile_schema(Order)
    text = '{"customer": {"name": "Ann", "age": null}, "amounts": [1, 2.5]}'
    assert compile_nfa(schema.nfa()).accepts(text)
    assert schema.value(text) == Order(customer=Person("Ann"), amounts=[1, 2.5])
    assert compile_schema(Person).value('{"name":"Bo","age":3}') == Person("Bo", 3)
    assert compile_schema(Point).value('{"x":1,"y":2}') == {"x": 1, "y": 2.0}
    assert compile_schema(list[Point] | None).value('[{"x":1,"y":2}]') == [{"x": 1, "y": 2.0}]
    assert compile_schema(list[int]).value("[1, 2]") == [1, 2]
    assert compile_schema(int).value("12") == 12


def test_a_python_type_without_pydantic_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydantic", None)
    with pytest.raises(SchemaError, match="pip install pydantic"):
        compile_schema(Person)
    assert compile_schema('{"type": "null"}').value("null") is None


def test_schemas_are_values():
    schema = compile_schema({"type": "object", "properties": {"a": WORD}}, "compact")
    assert schema == compile_schema(json.dumps({"type": "object", "properties": {"a": WORD}}), "compact")
    assert schema != compile_schema(NULL)
    copy = pickle.loads(pickle.dumps(schema))
    assert copy == schema and hash(copy) == hash(schema)
    assert compile_nfa(copy.nfa()).same_language(compile_nfa(schema.nfa()))


def test_a_schema_is_read_once_and_may_change_afterwards():
    document = {"enum": ["a"]}
    schema = compile_schema(document)
    document["enum"].append("b")
    assert not compile_nfa(schema.nfa()).accepts('"b"')


LARGE = {
    "80 optional names": {
        "type": "object",
        "properties": {f"property_{i}": NULL for i in range(80)},
        "additionalProperties": False,
    },
    "80 required names": {
        "type": "object",
        "properties": {f"property_{i}": NULL for i in range(80)},
        "required": [f"property_{i}" for i in range(80)],
        "additionalProperties": False,
    },
    "5,000 listed strings": {"enum": [f"value {i * 7919 % 100_003}" for i in range(5000)]},
    "2,000 characters": {"type": "string", "maxLength": 2000},
    "arrays in arrays": {"type": "array", "items": NULL},
}
for _ in range(40):
    LARGE["arrays in arrays"] = {"type": "array", "items": LARGE["arrays in arrays"]}


@pytest.mark.parametrize("name", LARGE)
def test_large_schemas_stay_small(name):
    """Sizes, not times: linear in the schema. (Each takes some 10 ms.)"""
    nfa = compile_schema(LARGE[name]).nfa()
    assert nfa.states < 40_000
    assert compile_nfa(nfa).states < 30_000


def test_many_names_that_need_the_same_others_are_few_cases():
    names = [f"n{k}" for k in range(14)]
    schema = {
        "type": "object",
        "properties": dict.fromkeys(names, NULL),
        "dependentRequired": {name: ["n1", "n0"] if k % 2 else ["n0"] for k, name in enumerate(names) if k > 1},
        "additionalProperties": False,
    }
    texts = [
        nulls(some) for some in (["n0"], ["n0", "n2", "n12"], ["n1", "n2"], ["n0", "n3"], ["n0", "n1", "n3"], ["n4"])
    ]
    assert accepted(schema, texts) == [texts[0], texts[1], texts[4]]


@pytest.mark.parametrize("schema", [{"enum": [[1.5], ["1.5"]]}, {"enum": [["1.5"], [1.5]]}, {"enum": [[{"a": 1.5}], [{"a": "1.5"}]]}])
def test_a_listed_number_is_not_the_string_that_spells_it(schema):
    listed = compile_schema(schema)
    assert all(listed.accepts(json.dumps(value)) for value in schema["enum"])
    one = compile_schema({"properties": {"a": {"const": schema["enum"][0]}, "b": {"const": schema["enum"][1]}}})
    for name, value in zip("ab", schema["enum"]):
        other = next(other for other in schema["enum"] if other != value)
        assert one.accepts(json.dumps({name: value})) and not one.accepts(json.dumps({name: other}))
