"""What named groups hold."""

import time

import pytest

from dgemma_constrain.constraints.regex import parse
from dgemma_constrain.errors import LimitExceeded


@pytest.mark.parametrize("flavor", ["python", "ecma"])
def test_groups_hold_what_the_first_way_to_match_gives_them(flavor):
    def fields(pattern, text, **options):
        return parse(pattern.replace("(?<", "(?P<") if flavor == "python" else pattern, flavor, **options).fields(text)

    assert fields("(?<a>x*)(?<b>x*)", "xx") == {"a": "xx", "b": ""}
    assert fields("(?<a>x*?)(?<b>x*)", "xx") == {"a": "", "b": "xx"}
    assert fields("(?<a>a|ab)(?<b>b?)", "ab") == {"a": "a", "b": "b"}
    assert fields("(?<a>a)|(?<b>b)", "b") == {"b": "b"}
    assert fields("(?<a>a)", "b") is None
    assert fields("(?<n>[0-9]+)", "on 12 or 13", search=True) == {"n": "12"}
    assert fields("(?<n>[0-9]+)", "on 12 or 13") is None
    assert fields("(?<a>k)", "K", ignore_case=True) == {"a": "K"}
    assert fields("ab", "ab") == {}


def test_ecma_forgets_groups_at_each_turn_and_reads_look_behind_backward():
    assert parse("(?:(?<x>a)|(?<y>b))*", "ecma").fields("ab") == {"y": "b"}
    assert parse("(?<=(?<x>[0-9]+)(?<y>[0-9]+))$", "ecma", search=True).fields("1053") == {"x": "1", "y": "053"}
    assert parse("(?!(?<x>a)b)a(?=(?<y>c))c", "ecma").fields("ac") == {"y": "c"}
    assert parse("(?<x>a*)*", "ecma").fields("") == {}


def test_fields_of_a_hopeless_text_are_found_wanting_quickly():
    start = time.process_time()
    assert parse("(?:(?<x>a+)+)+b", "ecma").fields("a" * 1000) is None
    assert time.process_time() - start < 2


def test_a_huge_repeat_is_refused():
    with pytest.raises(LimitExceeded):
        parse("(?<x>a{10000000})", "ecma").fields("a")
