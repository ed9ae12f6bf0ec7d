"""The language of a pattern: classes, letter case, flags, and the whole against `re` and node."""

import random
import re
import warnings

import pytest
from regex_cases import ECMA_PIECES, ECMA_TEXT, FLAG_PIECES, FLAG_TEXT, ask_node, language, thrown_together

from dgemma_constrain.automata.charset import ANY, Charset, char
from dgemma_constrain.constraints.regex import parse
from dgemma_constrain.constraints.regex.characters import (
    _cased,
    _everything,
    ignoring_case,
    shorthand,
    unicode_property,
)  # fmt: skip
from dgemma_constrain.errors import RegexError


def members(charset: Charset) -> set[str]:
    return {chr(p) for low, high in charset.pairs() for p in range(low, high + 1)}


def test_a_choice_keeps_its_longer_texts_and_repeats_are_not_greedy():
    assert language("a|ab").accepts("ab")
    assert language(r"1(\.5)?").accepts("1") and language(r"1(\.5)?").accepts("1.5")
    assert language("a*?a").same_language(language("a*a"))
    assert language("(?:(?:ab){0,3}){2,4}").same_language(language("(?:ab){0,12}"))
    assert language("(?:a+){3,5}|(?:(?:b+)*)?").same_language(language("a{3,}|b*"))
    assert language("(?:a?){5000}").states == 5001
    assert language("(?:a|ab|bc){2,9}c?").same_language(language("(?:a|ab|bc){2,7}(?:a|ab|bc)?(?:a|ab|bc)?c?"))
    assert language("(?:[a-z]|xy){0,500}").states == 1001
    assert language("(?:ab?)*").same_language(language("(?:a|ab)*"))


def test_anchors_at_the_edges_cost_nothing():
    for flavor in "python", "ecma":
        assert parse("^a$|^bc", flavor).nfa().states == parse("a|bc", flavor).nfa().states
        assert language("^a$|^bc", flavor).same_language(language("a|bc", flavor))
    assert language("^(?:a|b)$", "ecma", search=True).same_language(language("[ab]"))
    assert language("^a|b$", "ecma", search=True).same_language(language("a[^]*|[^]*b", "ecma"))
    assert language("^(?:a|b)$", search=True).same_language(language("[ab]\n?"))
    assert language("b$", search=True).same_language(language(r"(?s).*b\n?"))


def test_empty_classes_and_any_class():
    assert language("[]", "ecma").is_empty and language("a|[]", "ecma").accepts("a")
    assert language("[^]", "ecma").same_language(language("(?s)."))


def test_surrogates_are_in_no_text():
    assert language(r"\ud800").is_empty and language("[\ud800]").is_empty and language("\udfff", "ecma").is_empty


def test_dots():
    assert members(~parse(".").root.charset) == {"\n"}
    assert members(~parse(".", "ecma").root.charset) == set("\n\r\u2028\u2029")
    assert parse("(?s).").root.charset == ANY


@pytest.mark.parametrize("letter", "dws")
def test_shorthand_classes_are_those_of_re(letter):
    for flavor, flags in ("python", 0), ("ascii", re.ASCII):
        assert members(shorthand(letter, flavor)) == set(re.findall(rf"\{letter}", _everything(), flags))
        assert shorthand(letter.upper(), flavor) == ANY - shorthand(letter, flavor)


def test_python_ignores_case_as_re_does_for_every_letter():
    letters = "".join(_cased())
    for flavor, flags in ("python", re.I), ("ascii", re.I | re.A):
        for letter in letters:
            same = members(ignoring_case(char(letter), flavor))
            assert same == set(re.compile(letter, flags).findall(letters)), letter


def test_python_classes_ignore_case_as_re_does_for_every_character():
    for pattern in r"[a-zé\d]", r"[\u0100-\u0180]", "[İ-ı]", "[\U00010400-\U00010410]", "[Ω-\U00010405]":
        charset = parse(pattern, ignore_case=True).root.charset
        assert members(charset) == set(re.compile(pattern, re.I).findall(_everything())), pattern


def test_properties_agree_with_the_regex_module():
    regex = pytest.importorskip("regex")
    for name, value in ("Lu", None), ("Alphabetic", None), ("Script", "Greek"), ("gc", "Nd"), ("White_Space", None):
        query = name if value is None else f"{name}={value}"
        assert members(unicode_property(name, value)) == set(regex.findall(rf"\p{{{query}}}", _everything()))
    assert unicode_property("VS") == unicode_property("Variation_Selector")  # a block for `regex`
    assert unicode_property("Assigned") == ~unicode_property("Cn")
    assert not unicode_property("Cs") and unicode_property("Any") == ANY


def test_flags_hold_where_they_are_said_to():
    assert language("(?i)ab").accepts("AB")
    scoped = language("a(?i:b)c")
    assert scoped.accepts("aBc") and not scoped.accepts("ABc")
    assert not language("(?i)a(?-i:b)").accepts("AB")
    assert language("(?x) a b # comment\n c\\ [ ]").accepts("abc  ")
    assert not language(r"(?a)\d").accepts("٣") and language(r"(?a:\d)|\d").accepts("٣")
    assert language(r"a.b(?s:.)", ignore_case=True).accepts("AxB\n")


def test_what_two_bugs_of_re_hide():
    # In search, CPython takes (?a:\W) for a Unicode \W in its first-character shortcut (re.fullmatch is right); in a
    # class, under IGNORECASE, an upper-case letter past U+FFFF doesn't match. Here they mean what is documented.
    assert language(r"(?a:\W)", search=True).accepts("é")
    assert language("[\n\U00010400]", ignore_case=True).accepts("\U00010400")


@pytest.mark.parametrize(
    ("pattern", "same"),
    [("a*+b", "a*b"), ("a*+a", "[^\\s\\S]"), ("a?+a", "aa"), ("a{1,2}+a", "aaa"), ("(?>ab*)c", "ab*c"),
     ("(?>ab)c", "abc"), ("(?:ab)++c", "(?:ab)+c"), ("(?:ab)*+ab", "[^\\s\\S]")],
)  # fmt: skip
def test_possessive_repeats_of_plain_characters(pattern, same):
    assert language(pattern).same_language(language(same))


def compare_with_re(seed: int, patterns: int) -> None:
    rng = random.Random(seed)
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while compared < patterns:
            pattern = thrown_together(rng, FLAG_PIECES, 9, balanced=True)
            pattern = rng.choice(["", "(?i)", "(?x)", "(?m)", "(?a)"]) + pattern
            try:
                full = re.compile(pattern)
                parse(pattern)
            except (re.error, RegexError):
                continue
            compared += 1
            texts = ["".join(rng.choice(FLAG_TEXT) for _ in range(rng.randint(0, 4))) for _ in range(20)]
            for options, match in (
                ({}, full.fullmatch),
                ({"search": True}, full.search),
                ({"ignore_case": True}, re.compile(pattern, re.I).fullmatch),
            ):
                dfa = language(pattern, **options)
                for text in [*texts, *FLAG_TEXT]:
                    assert dfa.accepts(text) == bool(match(text)), (pattern, text, options)


def test_random_patterns_with_flags_and_classes_match_what_re_matches():
    compare_with_re(seed=1, patterns=500)


@pytest.mark.slow
def test_many_random_patterns_match_what_re_matches():
    compare_with_re(seed=2, patterns=8_000)


def compare_with_node(seed: int, patterns: int) -> None:
    rng = random.Random(seed)
    rows = []
    for _ in range(patterns):
        texts = ["".join(rng.choice(ECMA_TEXT) for _ in range(rng.randint(0, 4))) for _ in range(15)]
        pattern = thrown_together(rng, ECMA_PIECES, 7, balanced=rng.random() < 0.7)
        flags, search = rng.choice(["u", "ui"]), rng.random() < 0.5
        if search:  # V8 tries \B within a surrogate pair too; in ECMA-262 a search under `u` goes by characters
            texts = [text.replace("\U0001f600", "\u2600") for text in texts]
        else:
            texts += ECMA_TEXT
        rows.append({"pattern": pattern, "flags": flags, "search": search, "texts": texts})
    answers = ask_node(rows)
    if answers is None:
        pytest.skip("node is not on PATH")
    for row, answer in zip(rows, answers):
        options = {"ignore_case": "i" in row["flags"], "search": row["search"]}
        try:
            dfa = language(row["pattern"], "ecma", **options)
        except RegexError as error:
            assert isinstance(answer, str) or "not regular" in str(error), (row["pattern"], error)
            continue
        assert not isinstance(answer, str), (row["pattern"], answer)
        for text, match in zip(row["texts"], answer):
            assert dfa.accepts(text) == (match is not None), (row["pattern"], options, text)


def test_ecma_patterns_read_and_match_as_in_node():
    compare_with_node(seed=1, patterns=3000)


@pytest.mark.slow
def test_many_ecma_patterns_read_and_match_as_in_node():
    compare_with_node(seed=2, patterns=40_000)


def test_ecma_ignores_case_as_node_does_for_every_letter():
    same = {letter: members(ignoring_case(char(letter), "ecma")) for letter in _cased()}
    near = {c: sorted(same[c] | members(ignoring_case(char(c), "python")) | {c.lower()[0], c.upper()[0]}) for c in same}
    answers = ask_node([{"pattern": c, "flags": "ui", "search": False, "texts": near[c]} for c in same])
    if answers is None:
        pytest.skip("node is not on PATH")
    for letter, answer in zip(same, answers):
        assert {c for c, match in zip(near[letter], answer) if match is not None} == same[letter], letter
