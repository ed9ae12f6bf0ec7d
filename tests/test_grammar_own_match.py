"""What a pattern matches at the beginning of a text is what `re` finds, where the longest match is meant."""

import random
import re

import pytest

from dgemma_constrain.constraints.grammar.own_match import is_lazy, looks_outside, own_texts
from dgemma_constrain.constraints.regex import parse

LIKE_RE = [
    "a+b?", "(ab)+a?", "a*?b", '"a*?b"', "a.*?b", "(a|b)*?c", "a(.*?)b+", "ab.*?ab(a|b)*", "a.*?b{2,3}", "a??b",
    "a+?", "a.*?c|b[ab]*", "(a.*?c|b[ab]*)", "(?i:A.*?B)a?", r"a.*?(?<!b)c", r"a.*?(?<!b)(bb)*?c", "a(?!b).*?c",
    "a.*?cb*c*", "a{1,3}?b*", "c.{1,3}?b", "(a|ab)(.*?)c",
]  # fmt: skip


def own_match(dfa, text: str) -> str | None:
    found = None
    for end in range(len(text) + 1):
        if dfa.accepts(text[:end]):
            found = text[:end]
    return found


@pytest.mark.parametrize("pattern", LIKE_RE)
def test_the_match_of_re(pattern):
    dfa = own_texts(parse(pattern).root)
    assert not looks_outside(parse(pattern).root)
    rng = random.Random(pattern)
    for _ in range(500):
        text = "".join(rng.choices('abc"', (4, 4, 2, 2), k=rng.randrange(9)))
        match = re.match(pattern, text)
        assert own_match(dfa, text) == (match and match[0]), text


def test_the_longest_where_re_takes_the_first_alternative():
    assert re.match("a|ab", "ab")[0] == "a" and own_match(own_texts(parse("a|ab").root), "ab") == "ab"
    assert (
        re.match("a.*?b|a.*?bc", "abc")[0] == "ab" and own_match(own_texts(parse("a.*?b|a.*?bc").root), "abc") == "abc"
    )


@pytest.mark.parametrize(
    "pattern", ["^a", "a$", r"a\b", r"\ba", "a(?=b)", "a(?!b)", "(?<!b)a", r"a\Z", "(?!ab)[ab]+", "a.*?(?=b)"]
)
def test_looking_outside(pattern):
    assert looks_outside(parse(pattern).root)


def test_laziness():
    assert [p for p in ["a*", "a*?", "a{2}?", "(?=a*?)b", "(b(a|c+?))*"] if is_lazy(parse(p).root)] == [
        "a*?",
        "(b(a|c+?))*",
    ]
