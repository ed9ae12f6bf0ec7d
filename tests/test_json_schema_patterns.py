"""`pattern`: ECMA-262 under `u`; what is an error there is read as real schemas mean it, and refused only then."""

import re

import pytest

import dgemma_constrain as dc
from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.errors import RegexError, SchemaError

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
    found, known = leaves.pattern(pattern), re.compile(meant)
    short = [""]
    for _ in range(3):
        short += [text + c for text in short if len(text) == len(short[-1]) for c in ALPHABET]
    longer = ["a{1-2}", "a{,2}", "{{a}}", "aa{b}", "a-_b", "__b", "-a:b", "AB"]
    assert [text for text in short + longer if found.accepts(text) != bool(known.search(text))] == []


def test_where_the_u_flag_reads_a_pattern_it_counts():
    digits = leaves.pattern(r"^\d\p{Lu}$")
    assert digits.accepts("1É") and not digits.accepts("١É")  # \d is ASCII in ECMA-262, not in Python


@pytest.mark.parametrize(
    "pattern, message",
    [(r"^\hab$", "bad escape"), (r"^a**$", "nothing to repeat"), (r"^(a)\1$", "regular"), (r"^(a", "missing")],
)
def test_what_nobody_reads_is_refused_with_pointer_and_position(pattern, message):
    with pytest.raises(SchemaError, match=message) as caught:
        dc.json_schema({"properties": {"x": {"pattern": pattern}}})
    assert caught.value.pointer == "/properties/x/pattern" and "at position" in str(caught.value)
