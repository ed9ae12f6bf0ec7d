"""Quotients against brute force; JSON completed at every place of a document, judged by jsonschema."""

import itertools
import json
import random

import pytest

import dgemma_constrain as dc
from dgemma_constrain.automata.quotient import between

pytest.importorskip("lsprotocol", reason="the [lsp] extra is not installed")

from dgemma_lsp.json_holes import hole_at, ordered, schema_of, schema_path

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z][a-z]+$"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["new", "old"]}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("pattern", ["(ab|ba)*", "a*b?a{2,3}", "(a|b)*abb", "b(a(ba)*)?|aa", "a{5}"])
def test_a_quotient_is_what_may_stand_between_two_texts(pattern):
    dfa = dc.regex(pattern).dfa()
    texts = ["".join(p) for n in range(4) for p in itertools.product("ab", repeat=n)]
    for left, right in itertools.product(texts, repeat=2):
        found = between(dfa, left, right)
        for hole in texts:
            assert found.accepts(hole) == dfa.accepts(left + hole + right)


def holes_of(text, schema=PERSON, line=False):
    start = text.index("|")
    return hole_at(schema, text.replace("|", ""), start, start, line)


@pytest.mark.parametrize(
    "text, fits, not_",
    [
        ('{"na|', 'me": "Ada", "age": 3}', 'ture": 1}'),
        ('{"name": "Ada", |}', '"age": 36', '"name": "Bob", "age": 36'),
        ('{"name": "Ada"|}\n', ', "age": 36, "tags": ["new"]', ""),
        ('{"name": "Ada", "age": |, "tags": []}', "36", '"36"'),
        ('{"age": 36, |}', '"name": "Ada"', '"name": "ada"'),  # not the order of the schema
        ('{"age": 36, "tags": [|]}', None, None),  # the name would have to stand behind
        ('{"$schema": "x.json", |}', '"name": "Ada", "age": 1', '"$schema": "y.json"'),
        ("|", '{"name": "Ada", "age": 1}', "{}"),
        ('{"name": "Ada", "age": | oh no', "36}", "[1]}"),  # nothing fits before that: it is left out
        ('{"name": 5, |}', None, None),
    ],
)
def test_what_fits_at_a_cursor_obeys_schema_and_syntax(text, fits, not_):
    hole = holes_of(text)
    if fits is None:
        assert hole is None or hole.right is None
    else:
        assert hole.matches(fits) and not hole.matches(not_)


def test_a_line_is_one_that_makes_the_document_whole():
    hole = holes_of('{\n  "na|\n}', line=True)
    assert hole.matches('me": "Ada", "age": 3')
    for text in ["", " ", 'me": "Ada"', 'me": "Ada",\n "age": 3', 'me": "Ada", "age']:
        assert not hole.matches(text), text


def test_where_nothing_fits_before_what_is_behind_it_ends_where_a_token_does():
    hole = holes_of('{\n  "na| oh no')
    for text in ['me"', 'me":', 'me": "Ada"', 'me": "Ada",', 'me": "Ada", "age": 3', 'me": "Ada", "age": 3}']:
        assert hole.matches(text), text
    for text in ["m", 'me": "A', 'me": "Ada", "na', "", " "]:
        assert not hole.matches(text), text


def test_every_hole_in_valid_documents_can_be_filled():
    """As it was, where its names stand as the schema has them (else the hole doesn't tell the order); validly, anyhow."""
    jsonschema = pytest.importorskip("jsonschema")
    rng = random.Random(5)
    for document in ({"name": "Ada", "age": 36, "tags": ["new", "old"]}, {"age": 1, "name": "Bob"}):
        text = json.dumps(document, indent=rng.choice([None, 2]))
        for _ in range(40):
            start, end = sorted(rng.sample(range(len(text) + 1), 2))
            hole = hole_at(PERSON, text, start, end, False)
            assert hole.right is not None and (hole.matches(text[start:end]) or list(document) == ["age", "name"])
            jsonschema.validate(json.loads(text[:start] + hole.dfa().shortest() + text[end:]), PERSON)


def test_properties_are_in_the_order_of_the_text():
    schema = {"properties": {n: {"properties": {"b": True, "a": True}} for n in "abcd"}}
    got = ordered(schema, '{"c": {"a": 1}, ', '"a": 2}')
    assert list(got["properties"]) == ["c", "a", "$schema", "b", "d"]
    assert list(got["properties"]["b"]["properties"]) == ["a", "b"]
    got = ordered(schema, '{"c": {}, ', '"a": 2}')
    assert list(got["properties"]) == ["c", "$schema", "b", "d", "a"]


def test_a_schema_is_a_local_file_or_in_the_catalogue_and_never_fetched(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(PERSON))
    here = str(tmp_path / "x.json")
    assert schema_of('{"$schema": "./s.json"}', here, {}) == PERSON
    assert schema_of('{"$schema": "s.json"}', None, {}) is None
    assert schema_of('{"$schema": "no.json"}', here, {}) is None
    assert schema_path('{"$schema": "https://example.org/s.json"}', here, {}) is None
    assert schema_path('{"$schema": "https://example.org/s.json"}', here, {"https://example.org/s.json": "s.json"})
    assert schema_path("{}", here, {"x*.json": str(tmp_path / "s.json")}) == tmp_path / "s.json"
    assert schema_path("{}", None, {"x*.json": "s.json"}) is None
    assert schema_of("{}", here, {}) is None
