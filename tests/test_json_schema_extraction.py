"""`values_from`: strings are runs of the source's words, numbers stand in it; everything else stays as it is."""

import itertools
import json
import pickle
import re
from decimal import Decimal

import pytest
import torch

import dgemma_constrain as dc
from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.json_schema import numbers
from dgemma_constrain.constraints.json_schema.extraction import Source
from dgemma_constrain.models.embedded.prompts import record_prompt

MARIA = "Maria Lopez, 29, moved to Lisbon last year."
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "city": {"type": "string"}},
    "required": ["name", "age", "city"],
    "additionalProperties": False,
}


def runs(source):
    """All runs of words, by brute force."""
    pieces = list(re.finditer(r"\w+|[^\w\s]", source))
    return {source[a.start() : b.end()] for i, a in enumerate(pieces) for b in pieces[i:]}


@pytest.mark.parametrize(
    "source",
    [
        MARIA,
        'She said: "no" \\ yes\n\tand\x01left\x7f.',
        "  é – naïve 한국 😀😀 a_b  ",
        "a a a b a a b",
        '"\\"\\',
        "the then the",
    ],
)
def test_strings_are_the_runs_of_words_as_json_writes_them(source):
    found = compile_nfa(Source(source).strings())
    assert set(found.words()) == {json.dumps(run, ensure_ascii=False)[1:-1] for run in runs(source)}


@pytest.mark.parametrize(
    "source, values",
    [
        (MARIA, ["29"]),
        ("from 10-20, -5 (-7) a-3 x−4 −6", ["10", "20", "-5", "-7", "3", "4", "-6"]),
        ("$1,234.50; 12,34 and 1234,567; 1,000,000", ["1234.50", "12", "34", "1234", "567", "1000000"]),
        ("v1.2.3 at .5 or 0.50; 3.", ["1.2", "3", ".5", "0.50"]),
        ("2e3 but 2e3x, 1E-2", ["2e3", "2", "3", "1E-2"]),
        ("007 and B12, 29th", ["7", "12", "29"]),
        ("1e9999999 " + "9" * 6000, []),
        ("none ٣", []),
    ],
)
def test_numbers_are_those_that_stand_in_the_source(source, values):
    found = compile_nfa(Source(source).numbers(numbers.everything()))
    texts = set(found.words())
    assert {Decimal(text) for text in texts} == {Decimal(value) for value in values}
    plain = {numbers.canonical(Decimal(value)) for value in values}
    assert plain <= texts and texts - plain <= set(
        re.findall(r"-?[0-9][0-9.eE+-]*", re.sub(r"(?<=[0-9]),(?=[0-9]{3}\b)", "", source))
    )
    assert all(json.loads(text) is not None for text in texts)


def test_numbers_keep_what_the_schema_says():
    source = Source("1 2.0 2.5 -3 4")
    whole = compile_nfa(source.numbers(numbers.integers()))
    assert set(whole.words()) == {"1", "2", "2.0", "-3", "4"}
    assert set(compile_nfa(source.numbers(numbers.interval(least=2))).words()) == {"2", "2.0", "2.5", "4"}
    assert compile_nfa(source.numbers(numbers.interval(least=5))).is_empty


def values(schema, source, whitespace="compact"):
    """All values that may be written, for a schema with finitely many."""
    return [json.loads(text) for text in dc.json_schema(schema, whitespace, values_from=source).dfa().words()]


def test_patterns_and_lengths_intersect():
    source = "call +49 30 1234 or 5678 by 2021-03-05"
    assert values({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}, source) == ["2021-03-05"]
    assert set(values({"type": "string", "pattern": r"^\d{4}$"}, source)) == {"1234", "5678", "2021"}
    assert all(len(value) <= 3 for value in values({"type": "string", "maxLength": 3}, source))
    assert set(values({"type": "string", "maxLength": 3}, source)) == {run for run in runs(source) if len(run) <= 3}


def test_listed_values_booleans_and_null_do_not_come_from_the_source():
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["good", 7]},
            "sure": {"type": ["boolean", "null"]},
            "word": {"anyOf": [{"type": "string"}, {"const": "none"}]},
        },
        "required": ["kind", "sure", "word"],
        "additionalProperties": False,
    }
    constraint = dc.json_schema(schema, "compact", values_from="yes 8")
    for kind, sure, word in itertools.product(["good", 7, "yes", 8], [True, None, 8], ["yes", "none", "no", "good"]):
        right = kind in ("good", 7) and sure != 8 and word in ("yes", "none")
        text = json.dumps({"kind": kind, "sure": sure, "word": word}, separators=(",", ":"))
        assert constraint.matches(text) == right, text


def test_listed_values_stay_as_they_are_in_any_combination():
    def allowed(schema, value, source="one 8"):
        return dc.json_schema(schema, values_from=source).matches(json.dumps(value))

    listed = {"enum": ["one", "two", 8, 9]}
    for schema in (listed, {"allOf": [listed, {"minLength": 3}]}, {"$ref": "#/$defs/a", "$defs": {"a": listed}}):
        assert allowed(schema, "two") and allowed(schema, "one") and allowed(schema, 9)
    assert not allowed({"not": listed, "type": ["string", "number"]}, "three")
    both = {"oneOf": [{"const": "two"}, {"type": "string", "maxLength": 3, "pattern": "^o"}]}
    assert allowed(both, "two") and allowed(both, "one") and not allowed(both, "off")
    items = {"type": "array", "items": {"anyOf": [listed, {"type": "boolean"}]}, "uniqueItems": True}
    assert allowed(items, ["two", 9, True]) and not allowed(items, ["two", "two"])


def test_what_the_source_does_not_have_is_left_out_if_it_may_be():
    schema = {**PERSON, "required": ["name"]}
    assert all("age" not in value for value in values(schema, "Maria"))
    assert values({"type": "array", "items": {"type": "number"}}, "Maria") == [[]]
    assert values({"type": ["integer", "null"]}, "Maria") == [None]


def test_what_the_source_does_not_have_and_must_is_an_error_that_names_the_place():
    constraint = dc.json_schema(PERSON, values_from="Maria in Lisbon")
    with pytest.raises(dc.ConstraintError, match="source has no .*/properties/age"):
        constraint.check_not_empty()
    with pytest.raises(dc.ConstraintError, match="/properties/age"):
        dc.load().generate("x", constraint)


@pytest.mark.parametrize("source", ["", " \n", 3, b"x"])
def test_a_source_must_be_a_text_with_words(source):
    with pytest.raises(dc.ConstraintError, match="values_from"):
        dc.json_schema(PERSON, values_from=source)


def test_a_source_that_is_too_long_is_an_error():
    with pytest.raises(dc.LimitExceeded, match="source"):
        dc.json_schema(PERSON, values_from="word " * 1000).dfa(Limits(states=5000))


def test_constraints_with_equal_sources_are_equal_and_survive_pickling():
    constraint = dc.json_schema(PERSON, values_from=MARIA)
    assert constraint == pickle.loads(pickle.dumps(constraint)) == dc.json_schema(PERSON, values_from=MARIA)
    assert constraint != dc.json_schema(PERSON) and constraint != dc.json_schema(PERSON, values_from=MARIA + ".")
    assert hash(constraint) == hash(dc.json_schema(PERSON, values_from=MARIA))


NOTES = """Order 4417 of 3 May 2024: "Café Müller", 12 × espresso beans à 18.50 €, paid;
2 filters (no. 7) at 4,250.00 — deliver to Kastanienallee 12, 10435 Berlin\\Mitte, call -2 or +49 30 555."""
ORDER = {
    "type": "object",
    "properties": {
        "customer": {"type": "string", "minLength": 3},
        "street": {"type": "string", "pattern": r"^[A-Z]\w+ \d+$"},
        "paid": {"type": "boolean"},
        "total": {"type": ["number", "null"]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"what": {"type": "string", "maxLength": 20}, "count": {"type": "integer"}},
                "required": ["what"],
                "additionalProperties": False,
            },
            "maxItems": 3,
        },
        "status": {"enum": ["open", "closed"]},
    },
    "required": ["customer", "street", "items", "status"],
    "additionalProperties": False,
}


def leaves(value, key=None):
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, name)
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member, key)
    else:
        yield key, value


@pytest.mark.parametrize("length", [60, 96])
def test_every_value_of_every_completion_stands_in_the_source(length):
    vocabulary = dc.load().vocabulary
    compiled = dc.compile(dc.json_schema(ORDER, values_from=NOTES), vocabulary)
    known = runs(NOTES)
    texts = set()
    for seed in range(25):
        generator = torch.Generator().manual_seed(seed)
        logits = 3 * torch.randn(length, len(vocabulary), generator=generator)
        canvas = compiled.canvas(length)
        for completion in (canvas.best(logits), canvas.sample(logits, temperature=2.0, generator=generator)):
            text = vocabulary.decode(completion.ids)
            texts.add(text)
            for key, value in leaves(json.loads(text)):
                if key == "status":
                    assert value in ("open", "closed")
                elif isinstance(value, str):
                    assert value in known
                elif not isinstance(value, bool) and value is not None:
                    assert str(value) in NOTES.replace(",", "") or f"{value:.2f}" in NOTES.replace(",", "")
    assert len(texts) > 40


def test_the_embedded_model_reads_the_sentence_exactly():
    out = dc.load().generate(record_prompt(PERSON, MARIA), dc.json_schema(PERSON, values_from=MARIA))
    assert out.value == {"name": "Maria Lopez", "age": 29, "city": "Lisbon"}
    text = "Wicheam Phillips from Melbourne turned 31 on Friday."
    out = dc.load().generate(record_prompt(PERSON, text), dc.json_schema(PERSON, values_from=text))
    assert out.value == {"name": "Wicheam Phillips", "age": 31, "city": "Melbourne"}
