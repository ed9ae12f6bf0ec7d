"""Prefixes by the wheel's own tables: nothing that goes on in real code is dead, and what can't go on is."""

import ast
import heapq
import json.decoder
import random
from pathlib import Path

import pytest

from dgemma_constrain.infill.languages import KNOWN
from dgemma_constrain.infill.prefixes import Prefixes
from dgemma_constrain.infill.tables import Tables


@pytest.mark.parametrize("known", KNOWN, ids=lambda k: k.name)
def test_every_languages_tables_pass_the_check_against_the_binding(known):
    Tables(known.name)  # raises where they don't


def test_tables_that_are_elsewhere_are_noticed(monkeypatch):
    honest = Tables.row
    monkeypatch.setattr(Tables, "row", lambda self, state: honest(self, min(state + 1, self.raw.state_count - 1)))
    with pytest.raises(ValueError, match="aren't where"):
        Tables("json")


@pytest.mark.parametrize("module", [ast, heapq, json.decoder], ids=lambda m: m.__name__)
def test_no_prefix_of_the_standard_library_is_dead(module):
    source = Path(module.__file__).read_text("utf-8")[:5000]
    draw = random.Random(module.__name__)
    for _ in range(25):
        stop = draw.randrange(len(source) + 1)
        start = max(0, stop - draw.randrange(30))
        prefixes = Prefixes("python", source[:start])
        assert prefixes.alive, source[:start][-60:]
        assert prefixes.allows("", source[start:stop]), (source[:start][-60:], source[start:stop])


@pytest.mark.parametrize(
    "language, before, living, dead",
    [
        ("python", "def f(a):\n    return ", ["a", "(a", "'x", "a i", "a if b el", "[1 for x i", "a !", "0x", "a\n    b"],
         ["a b", ")", "'x' y ", "f(x,, ", "a if b elf "]),
        ("json", '{"a": ', ["1", '"', "tru", "[{", '{"b":1}', "-"], ["]", "1 2 ", "[,", "x "]),
        ("rust", "fn f() { g(", ["a", "cr", 'r#"x', "|x| x +"], ["]", "a b "]),
        ("css", "a { color: ", ["red", "#ff", "url(x"], ["{"]),
        ("javascript", "f(", ["a", "a, (b", "`x", "() =>"], ["]", "a b "]),
    ],
)  # fmt: skip
def test_what_can_go_on_lives_and_what_cannot_is_dead(language, before, living, dead):
    prefixes = Prefixes(language, before)
    assert [t for t in living if not prefixes.allows("", t)] == []
    assert [t for t in dead if prefixes.allows("", t)] == []


def test_growing_a_text_piece_by_piece_gives_the_same_answers():
    before, text = "class A:\n  def f(self):\n    ", "x = {'a': [1, 2], **b}\n    return x[0]"
    pieces, at_once = Prefixes("python", before), Prefixes("python", before)
    done = ""
    for k in range(1, len(text) + 1):
        for last in (text[k - 1], ")", " "):
            longer = done + last
            assert pieces.allows(done, longer) == at_once.allows("", longer), longer
        pieces.allows(done, text[:k])
        done = text[:k]


def test_a_file_that_is_broken_before_the_hole_prunes_nothing():
    assert not Prefixes("python", "x = ) 1\ny = ").alive
