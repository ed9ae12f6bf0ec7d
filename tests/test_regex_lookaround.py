"""Assertions anywhere: look-ahead, look-behind, anchors and boundaries, in loops, alternatives and each other."""

import random
import re

import pytest
from regex_cases import ECMA_ANCHORS, PYTHON_ANCHORS, SMALL_TEXTS, ask_node, language, random_pattern

from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.regex import parse
from dgemma_constrain.errors import LimitExceeded, RegexError


@pytest.mark.parametrize(
    ("pattern", "search", "good", "bad"),
    [
        (r"(?=.*\d)(?=.*[A-Z]).{8,64}", False, ["abcdefG1", "1A345678"], ["abcdefg1", "ABCDEFGH", "A1" + "x" * 63]),
        (r"(?!foo)\w+", False, ["bar", "fo", "xfoo"], ["foo", "foobar", ""]),
        (r"<!--(?:(?!-->)[\s\S])*-->", False, ["<!---->", "<!-- a -- b -->"], ["<!-- --> -->", "<!--->"]),
        (r"\bfoo\b", False, ["foo"], ["foo ", "foofoo"]),
        (r"\bfoo\b", True, ["foo", "a foo.", "foo"], ["food", "xfoo", "fo o"]),
        (r"(?<!\d)\d{3}(?!\d)", True, ["a123b", "123", "12345 678"], ["1234", "12"]),
        (r"^(?!.*\.\.)[a-z.]+$", True, ["a.b", "a"], ["a..b", ""]),
        (
            r"^((?=.{1,4}/)[a-z]+(-[a-z]+)*/)?(?=.{1,3}$)\w+(_\w+)*$",
            True,
            ["ab/c", "a-b/cde", "c"],
            ["abcde/c", "a/cdef", "/c"],
        ),
        (r"^(?:(?=a)[ab]|b(?!$))[ab]*(?=c)(c|cd)$", True, ["ac", "abcd", "bac", "bc"], ["b", "cc", "bca"]),
        (r"(?:a(?!b)|b(?!a))*", False, ["aaa", "bbb", ""], ["ab", "ba"]),
        (r"(?:\b\w+\b\W*)+", False, ["some words, here"], [" x"]),
        (r"(?m)^a$(?:\n^b$)*", False, ["a", "a\nb\nb"], ["a\n", "ab"]),
        (r"(?=(?!aa).*b)[ab]{3}", False, ["abb", "bab"], ["aab", "baa"[::-1], "aaa"]),
        (r".*(?<!(?<!x)y)z", False, ["xyz", "z", "az"], ["yz", "ayz"]),
    ],
)
def test_ordinary_uses(pattern, search, good, bad):
    dfa = language(pattern, search=search)
    compiled = re.compile(pattern)
    for text in good + bad:
        assert bool((compiled.search if search else compiled.fullmatch)(text)) == (text in good), "the test is wrong"
        assert dfa.accepts(text) == (text in good), text


def test_look_behind_may_have_any_width_in_ecma():
    dfa = language(r"(?<=^(?:ab)*)c", "ecma", search=True)
    assert dfa.accepts("ababc") and dfa.accepts("c") and not dfa.accepts("abac")


def test_assertions_that_always_or_never_hold():
    assert language("a(?=b*)(?<=b*)c", "ecma").same_language(language("ac"))
    assert language("a(?!b*)c|d").same_language(language("d"))
    assert language(r"a\Bb").same_language(language("ab"))
    assert language("a^b").is_empty and language("a$b").is_empty


def test_the_dollar_of_python_stands_before_a_last_line_break_too():
    for pattern in "a$", r"a$\n", r"a\Z", "(?m)a$", r"a(?:$|b)\n?":
        dfa, compiled = language(pattern, search=True), re.compile(pattern)
        for text in "a", "a\n", "a\n\n", "a\nb", "ab\n":
            assert dfa.accepts(text) == bool(compiled.search(text)), (pattern, text)
    assert not language("a$", "ecma", search=True).accepts("a\n")


def test_a_limit_on_states_is_kept():
    with pytest.raises(LimitExceeded):
        parse(r"(?:(?=.{20}b).)*").nfa(Limits(states=10_000))


def compare_with_re(seed: int, patterns: int) -> None:
    rng = random.Random(seed)
    compared = 0
    while compared < patterns:
        pattern = random_pattern(rng, rng.choice([2, 3, 4, 5]), PYTHON_ANCHORS)
        try:
            compiled = re.compile(pattern)
        except re.error:
            with pytest.raises(RegexError):
                parse(pattern)
            continue
        compared += 1
        for search, match in (False, compiled.fullmatch), (True, compiled.search):
            dfa = language(pattern, search=search)
            for text in SMALL_TEXTS:
                assert dfa.accepts(text) == bool(match(text)), (pattern, text, search)


def test_random_patterns_match_what_re_matches():
    compare_with_re(seed=1, patterns=600)


@pytest.mark.slow
def test_many_random_patterns_match_what_re_matches():
    compare_with_re(seed=2, patterns=10_000)


def compare_with_node(seed: int, patterns: int) -> None:
    """Whether, and what the named groups hold."""
    rng = random.Random(seed)
    rows = []
    for _ in range(patterns):
        texts = ["".join(rng.choice("ab\n_") for _ in range(rng.randint(0, 5))) for _ in range(25)]
        pattern = random_pattern(rng, rng.choice([2, 3, 4, 5]), ECMA_ANCHORS, named=True)
        rows.append({"pattern": pattern, "flags": "u", "search": rng.random() < 0.5, "texts": texts})
    answers = ask_node(rows)
    if answers is None:
        pytest.skip("node is not on PATH")
    for row, answer in zip(rows, answers):
        if isinstance(answer, str):
            with pytest.raises(RegexError):
                parse(row["pattern"], "ecma")
            continue
        pattern = parse(row["pattern"], "ecma", search=row["search"])
        dfa = compile_nfa(pattern.nfa())
        for text, groups in zip(row["texts"], answer):
            assert dfa.accepts(text) == (groups is not None), (row["pattern"], text)
            assert pattern.fields(text) == groups, (row["pattern"], text)


def test_random_ecma_patterns_match_and_capture_as_in_node():
    compare_with_node(seed=1, patterns=1000)


@pytest.mark.slow
def test_many_random_ecma_patterns_match_and_capture_as_in_node():
    compare_with_node(seed=2, patterns=15_000)
