"""Seeing the hole: what belongs to it, how many lines are wanted, what a model is shown."""

import pytest

from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.infill.hole import context, find
from dgemma_constrain.infill.judge import Judge


def at(text, **options):
    """The hole at the | of a text."""
    cursor = text.index("|")
    return find(text.replace("|", ""), cursor, **options)


def test_the_word_left_of_the_cursor_belongs_to_the_hole():
    hole = at("x = foo_b|(1)")
    assert (hole.before, hole.head, hole.tail, hole.after) == ("x = ", "foo_b", "", "(1)")
    assert (hole.start, hole.end) == (9, 9)


def test_inside_a_word_its_right_piece_belongs_too():
    hole = at("x = fo|o_bar(1)")
    assert (hole.head, hole.tail, hole.after) == ("fo", "o_bar", "(1)")


def test_a_word_that_begins_at_the_cursor_is_no_part():
    hole = at("f(|abc)")
    assert (hole.head, hole.tail) == ("", "")


def test_a_span_is_replaced_and_may_cut_words():
    hole = find("value = other", (2, 10))
    assert (hole.before, hole.head, hole.tail, hole.after) == ("", "va", "her", "")


@pytest.mark.parametrize(
    "text, several",
    [
        ("def f():\n    |\n", True), ("def f():|\n", True), ("def f():\n    |\n    return 1\n", False),
        ("x = |\n", False), ("f(|)\n", False), ("void f() {\n  |\n}\n", True), ("if x:\n    |\nelse:\n    pass\n", True),
        ("def f(): |  # note\n", False), ("|", False),
    ],
)  # fmt: skip
def test_several_lines_are_wanted_in_an_empty_body(text, several):
    assert at(text).several is several
    assert at(text, several=not several).several is not several


def test_line_ends_and_indentation_are_the_files():
    hole = at("if x:\r\n\ty = |\r\n")
    assert (hole.newline, hole.indent) == ("\r\n", "\t")
    assert hole.filled("a\nb") == "a\r\nb"


@pytest.mark.parametrize("where", [-1, 4, (0, 9)])
def test_a_place_outside_is_an_error(where):
    with pytest.raises(ConstraintError, match="outside the source"):
        find("abc", where)


def test_what_is_no_place_or_no_text_is_an_error():
    with pytest.raises(ConstraintError, match="inside a line end"):
        find("a\r\nb", 2)
    with pytest.raises(ConstraintError, match="surrogate"):
        find("a\ud800", 0)


def test_a_long_text_is_cut_but_its_enclosing_headers_stay():
    filler = "        x = 1\n" * 50
    hole = at(f"import os\nclass Big:\n    def f(self):\n{filler}        return |\n")
    shown = context(hole, Judge("python", hole.before, hole.after).around(), lambda text: len(text) <= 200)
    assert shown.startswith("class Big:\n    def f(self):\n        x = 1\n") and shown.endswith("        return ")
    assert len(shown) <= 200
    assert context(hole, (), lambda text: True) == hole.before
