"""Judging a filled hole: tree-sitter's own word, against the file with a placeholder."""

import pytest

from dgemma_constrain.infill import parsing
from dgemma_constrain.infill.judge import Judge


def clean(language, before, after, text):
    return Judge(language, before, after).verdict(text).clean


@pytest.mark.parametrize(
    "language, before, after, good, bad",
    [
        ("python", "x = f(", ")\ny = 1\n", ["a", "a, b", "*a", "'x'"], ["a)", "a,,b", "a #", '"""', "a b", "("]),
        (
            "python",
            "def f():\n    ",
            "\n\nz = 3\n",
            ["pass", "x = 1\n    return x", "# c\n    return"],
            ["return (", "'"],
        ),
        ("python", "class A:\n  def f(self):\n    ", "\n  def g(self): pass\n", ["a = 1", "pass"], ["def", "x ="]),
        ("json", '{"a": ', ', "b": 1}', ["1", "[]", '{"x": [null]}'], ["1,", "[", '"', "tru", '"a" "b"']),
        ("javascript", "const f = (x) => ", ";\n", ["x + 1", "{ return x }"], ["x +", "{", "`"]),
        ("rust", "fn main() { ", " }\n", ["let x = 1;", ""], ["let x = ", "}"]),
        ("go", "package a\nfunc f() {\n\t", "\n}\n", ["return", "x := 1"], ["}", "x :="]),
        ("html", "<p>", "</p>", ["hello", "<b>x</b>"], ["<b"]),
        ("css", "a { color: ", "; }", ["red", "#fff"], ["{"]),
    ],
)
def test_whole_or_not(language, before, after, good, bad):
    judge = Judge(language, before, after)
    assert [t for t in good if not judge.verdict(t).clean] == []
    assert [t for t in bad if judge.verdict(t).clean] == []


def test_errors_elsewhere_are_tolerated_and_new_ones_are_not():
    before, after = "def broken(:\n    pass\n\nx = ", "\ny = ]\n"
    assert clean("python", before, after, "1")
    assert not clean("python", before, after, "(")


def test_the_incremental_parse_agrees_with_a_new_one():
    from tree_sitter import Parser

    from dgemma_constrain.infill.languages import grammar

    before, after = "def f(a):\n    if a:\n        ", "\n    return [1,\n 2]\n"
    judge = Judge("python", before, after)
    for text in ("x", "x = 1\n        y = [\n 3]", "", "'''a\nb'''", "é = 'ü'", "(", "'''"):
        ours = judge._parsed(text.encode()).root_node
        assert str(ours) == str(Parser(grammar("python")).parse((before + text + after).encode()).root_node), text


def test_where_the_hole_is():
    assert Judge("python", "x = 'a", "b'\n").inside == "string"
    assert Judge("python", "x = 1 # a", "b\n").inside == "comment"
    assert Judge("python", "x = f'{", "}'\n").inside is None
    assert Judge("python", "x = f(", ")\n").inside is None
    assert Judge("python", "import ", "\n").kind == "dotted_name"


def test_python_itself_is_asked_where_it_can_read_the_file():
    judge = Judge("python", "def f():\n    ", "\n\nz = 3\n")
    assert judge.verdict("if x:").clean and not judge.compiles("if x:")  # tree-sitter's grammar is looser
    assert judge.compiles("return 1") and not judge.compiles("x = yield = 1")
    assert Judge("python", "print 'old'\nx = ", "\n").compiles("1")  # a file that Python can't read anyway
    assert Judge("json", '{"a": ', "}").compiles("1")


def test_what_is_open_before_the_hole_must_be_closed_in_it():
    judge = Judge("python", "print(", "\nx = 1\n")
    assert judge.ending == ")" and judge.verdict("1)").clean and not judge.verdict("1").clean
    judge = Judge("bash", "if [ -f ", "; then\n  echo yes\nfi\n")
    assert judge.ending and judge.verdict("x ]").clean and not judge.verdict("x").clean


def test_an_error_on_the_holes_own_line_is_not_tolerated():
    judge = Judge("python", "for ", "\n    print(1)\n")
    assert not judge.verdict("x").clean and judge.verdict("x in y:").clean


@pytest.mark.parametrize(
    "before, after, good, bad",
    [
        ("function f(x) {\n  if (x) ", "\n    g()\n  }\n}\n", ["{", "return; {"], ["g()", "return", ""]),
        ("f(x, ", "\n  a: 1\n})\n", ["{", "y, {"], ["", "y", "["]),
        ("const a = [1, f(", "\nconst b = 2\n", ["x)]", ")]"], ["x)", "x]", "x"]),
    ],
)
def test_an_error_that_the_hole_can_mend_is_not_tolerated_where_it_shows(before, after, good, bad):
    judge = Judge("javascript", before, after)
    assert [t for t in good if not judge.verdict(t).clean] == []
    assert [t for t in bad if judge.verdict(t).clean] == []


def test_what_stands_in_the_hole_now_shows_that_it_can_be_whole():
    before, after = "for ", "\n    print(1)\n"
    assert Judge("python", before, after, "x in y:").verdict("a in b:").errors == 0
    assert not Judge("python", before, after, "x in y:").verdict("a in b").clean


def test_a_quote_that_takes_errors_into_a_string_mends_nothing():
    judge = Judge("go", "package p\n\nfunc f() {\n\tx := ", "\n}\n\nfunc g( {\n}\n\nvar s = `a`\n")
    assert judge.verdict("1").clean and judge.verdict("1").errors > 0 and not judge.verdict("`").clean


def test_in_an_error_that_spans_the_hole_no_loose_tokens_are_added():
    judge = Judge("python", ")))]]]\n" * 20 + "x(", ")]]]\n" * 20)
    assert judge.verdict("a").clean and not judge.verdict("a b c ) d").clean


def test_an_answers_errors_are_among_the_placeholders_in_broken_files():
    before, after = "int f( {\n  return 1;\n}\n\nint g() {\n  return ", ";\n}\n\nint h() {\n  return +;\n}\n"
    judge = Judge("c", before, after)
    fewest = judge.verdict("__HOLE__").errors
    assert fewest > 0
    for text in ("1", "x + 1", "f(2)"):
        assert judge.verdict(text) == (True, fewest)
    for text in ("1)", "+", "("):
        assert not judge.verdict(text).clean


@pytest.mark.parametrize(
    "language, before, after, good, bad",
    [
        ("c", "#define A 1\n#def", "efaults */\n#define B 2\n", ["ine C 3\n/* d"], ["ine C 3\n// d", "ine C 3\n'"]),
        ("c", "int a;\n", "int b; /* c */\nint d;\n", ["int c;"], ["/*", "//"]),
        ("bash", "cat ", "\none\nEOF\necho two\n", ["x", "<<EOF"], ["<<END", "'"]),
        ("python", "x = (\n    ", "\n    f'b'\n)\n", ["'a'", "f'a' 'c'"], ["'"]),
        ("html", "<p ", ">text</p>\n", ["a='b'", "a"], ["<!--"]),
        ("python", "x = 1 ", "# why\n", ["# that is", "+ 1", ""], ["'"]),
    ],
)
def test_code_is_taken_into_a_comment_or_string_only_where_its_end_waits_there(language, before, after, good, bad):
    judge = Judge(language, before, after)
    assert [t for t in good if not judge.verdict(t).clean] == []
    assert [t for t in bad if judge.verdict(t).clean] == []


def test_an_error_on_the_holes_line_that_no_placeholder_mends_is_tolerated():
    judge = Judge("c", "FGAPI void FGAPIENTRY f( ", ", int );\nint x;\n")
    assert judge.verdict("int") == (True, 1) and judge.verdict("char *p") == (True, 1)
    assert not judge.verdict("+").clean and not judge.verdict("(").clean


def test_what_follows_the_holes_line_is_kept(monkeypatch):
    text = "".join(f"def f{k}(x):\n    if x:\n        return g(x)\n    return h(x)\n\n" for k in range(400))
    at, asked = text.index("h(x)"), []
    judge = Judge("python", text[:at], text[at + 4 :])
    judge.on_time = lambda: asked.append(1) or True
    assert judge.verdict("y").clean
    again = len(asked)
    monkeypatch.setattr(parsing, "_LAST", {})
    Judge("python", text[:at] + "y", text[at + 4 :], on_time=judge.on_time)
    assert 0 < 4 * again < len(asked)
