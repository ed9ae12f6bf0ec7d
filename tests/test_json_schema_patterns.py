"""`pattern`: ECMA-262 under `u`; what is an error there is read as real schemas mean it, and refused only then."""

import itertools
import re

import pytest

import dgemma_constrain as dc
from dgemma_constrain.constraints.json_schema import compile_schema, leaves
from dgemma_constrain.errors import LimitExceeded, RegexError, SchemaError, UnsupportedSchema

# (a pattern that the u flag forbids, what Python reads alike): checked on texts over the alphabet below.
LOOSE = [
    (r"^[a\-_]+\_b$", r"^[a\-_]+_b$"),
    (r"^\-?a\:b$", r"^-?a:b$"),
    (r"^{a}$", r"^\{a\}$"),
    (r"^a{b$", r"^a\{b$"),
    (r"^a{1-2}$", r"^a\{1-2\}$"),
    (r"^a]$", r"^a\]$"),
    (r"^\{{a}}$", r"^\{\{a\}\}$"),
    (r"^[\w-_.]b$", r"^[\w._-]b$"),
    (r"^[a-\d]$", r"^[a\d-]$"),
    (r"^a{,2}$", r"^a\{,2\}$"),
    (r"^a{2}{b}$", r"^a{2}\{b\}$"),
    (r"(?i)^AB?$", r"(?i)^AB?$"),
    (r"\Aab?\Z", r"\Aab?\Z"),
    (r"^(?P<x>a)b$", r"^(?P<x>a)b$"),
]
ALPHABET = "ab_-:{}]12,."


@pytest.mark.parametrize("pattern, meant", LOOSE)
def test_what_only_other_dialects_allow_is_read_as_it_is_meant(pattern, meant):
    with pytest.raises(RegexError):
        dc.regex(pattern, flavor="ecma")
    (found, _), known = leaves.pattern(pattern), re.compile(meant)
    short = [""]
    for _ in range(3):
        short += [text + c for text in short if len(text) == len(short[-1]) for c in ALPHABET]
    longer = ["a{1-2}", "a{,2}", "{{a}}", "aa{b}", "a-_b", "__b", "-a:b", "AB"]
    assert [text for text in short + longer if found.accepts(text) != bool(known.search(text))] == []


def test_where_the_u_flag_reads_a_pattern_it_counts():
    digits, _ = leaves.pattern(r"^\d\p{Lu}$")
    assert digits.accepts("1É") and not digits.accepts("١É")  # \d is ASCII in ECMA-262, not in Python


@pytest.mark.parametrize(
    "pattern, message",
    [(r"^\hab$", "bad escape"), (r"^a**$", "nothing to repeat"), (r"^(a)\1$", "regular"), (r"^(a", "missing")],
)
def test_what_nobody_reads_is_refused_with_pointer_and_position(pattern, message):
    with pytest.raises(SchemaError, match=message) as caught:
        dc.json_schema({"properties": {"x": {"pattern": pattern}}})
    assert caught.value.pointer == "/properties/x/pattern" and "at position" in str(caught.value)


SEARCHED = [
    "a{1,3}",
    "(ab)*b{2,}",
    "a*",
    "a+|^b",
    "^ab|ba|b{2}$",
    "(?:a|b{2,3}){2,3}",
    "a{2,}(?=b)",
    "(?<!a)b{1,2}",
    "b*^a",
]


@pytest.mark.parametrize("pattern", SEARCHED)
def test_what_a_search_leaves_out_at_its_edges_changes_nothing(pattern):
    found, whole = leaves.pattern(pattern)
    texts = ["".join(text) for size in range(7) for text in itertools.product("abc", repeat=size)]
    assert whole and [text for text in texts if found.accepts(text)] == [
        text for text in texts if re.search(pattern, text)
    ]


def test_a_pattern_with_too_many_states_leaves_out_strings_and_says_so():
    schema = compile_schema({"type": "string", "pattern": "EN[a-zA-Z0-9]{32}"})
    code = "EN" + "aN" * 16
    assert [schema.accepts(f'"{text}"') for text in (code, code + "!", code[:-1], "x" + code)] == [
        True,
        True,
        False,
        False,
    ]
    assert [note.keyword for note in schema.narrowed] == ["pattern"]
    others = compile_schema({"not": {"type": "string", "pattern": "EN[a-zA-Z0-9]{32}"}})
    assert others.accepts("1") and not others.accepts(f'"{code}"') and not others.accepts(f'"x{code}"')
    with pytest.raises(LimitExceeded, match=r"anchor it with \^"):
        compile_schema({"patternProperties": {"EN[a-zA-Z0-9]{32}": {"type": "null"}}})


def test_a_length_that_cannot_be_counted_along_a_pattern():
    long = "^([a-z]{1,256}[.]){1,3}[a-z]{2,9}\\b.*$"
    schema = compile_schema({"type": "string", "pattern": long, "maxLength": 900})
    assert schema.accepts('"www.example.com/a"') and not schema.accepts('"example/a"')
    assert not schema.accepts(f'"a.bb {"x" * 896}"')


def test_names_that_are_known_in_part_have_no_complement():
    schema = {"type": "object", "propertyNames": {"format": "hostname"}}
    assert compile_schema(schema).accepts('{"a.de": 1}')
    with pytest.raises(UnsupportedSchema, match="format"):
        compile_schema({"not": schema})


def test_a_length_that_is_looked_ahead_for_is_counted_where_it_stands():
    """As Kubernetes names its labels: a prefix of 253 characters, if any, and a name of 63."""
    label = (
        "^((?=.{1,253}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(?=.{1,63}$)[A-Za-z0-9]+$"
    )
    constraint = dc.json_schema({"type": "string", "pattern": label})
    assert not constraint.narrowed and constraint.dfa().states < 10_000
    for prefix in (0, 1, 253, 254):
        for name in (0, 1, 63, 64):
            text = '"' + ("a" * prefix + "/" if prefix else "") + "b" * name + '"'
            assert constraint.matches(text) == constraint.dfa().accepts(text) == (prefix <= 253 and 1 <= name <= 63)
