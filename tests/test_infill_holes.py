"""Holes cut out of files for the benchmarks of code completion: they make the file again, and what is counted apart is told rightly."""

import random

import pytest

from benchmarks.infill_holes import Cut, apart, changed, cuts, error_nodes, errors, takes_in

FILE = 'import os\n\n\ndef f(a, b):\n    """What it does."""\n    return os.path.join(a, "b c")  # why\n\n\nprint(f(1, 2))\n'


@pytest.mark.parametrize("written", [None, "crlf", "bom", "u2028"])
def test_a_cut_and_what_stays_make_the_file_again(written):
    draw = random.Random(1)
    text = changed("python", FILE, written, draw) if written else FILE
    assert errors("python", text) == 0
    for cut in cuts("python", text, 40, draw):
        assert cut.before + cut.middle + cut.after == text
        assert not (cut.before + "|" + cut.after).count("\r|")
    assert (text != FILE) == bool(written)


def test_several_holes_lie_apart():
    groups = list(apart("python", FILE, 20, 3, random.Random(1)))
    assert groups
    for group in groups:
        for one, other in zip(group, group[1:]):
            assert len(one.before) + len(one.middle) < len(other.before)


@pytest.mark.parametrize(
    "language, before, middle, after, expected",
    [
        ("python", "x = ", "'a", " b'\n", True),
        ("python", "x = 'a ", "b", " c'\n", False),
        ("python", "x = f(", "'a')  # w", "hy\ny\n", True),
        ("javascript", "let x = 1 /", "/ so", " and so\n", True),
        ("javascript", "let x = 1 // ", "so", " and so\n", False),
        ("bash", "cat <", "<EOF", "\na\nEOF\n", True),
        ("c", "int a; ", "/* b", " */ int c;\n", True),
        ("c", "int a; ", "/* b */", " int c;\n", False),
        ("python", "x = 1  ", "# to the end", "\n", False),
    ],
)
def test_what_takes_in_the_text_right_of_it(language, before, middle, after, expected):
    assert takes_in(language, Cut(before, middle, after, "span")) == expected


def test_error_nodes_are_named_and_placed():
    assert error_nodes("python", "x = 1\n") == {}
    assert error_nodes("c", "int a = 1\n") == {("missing ;", 9, 9): 1}
    assert errors("json", '{"a": }') == 1 and errors("json", b'{"a": }') == 1
