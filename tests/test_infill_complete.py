"""Completing code: whatever the model says, what is returned leaves the file as whole as it was."""

import random
import re
import threading
import time

import pytest
import torch

import dgemma_constrain as dc
from dgemma_constrain.infill import complete

HOLES = [
    ("python", "import os\n\ndef read(path):\n    with open(path) as f:\n        return |\n\nprint(read('x'))\n"),
    ("python", "class A:\n    def __init__(self, name):\n        |\n"),
    ("python", "x = foo(|)\ny = [1,\n2]\n"),
    ("python", "for i in ra|:\n    print(i)\n"),
    ("python", "x = 'a|b'\n"),
    ("python", "def f():\r\n\tx = 1\r\n\treturn |\r\n"),
    ("json", '{"a": |, "b": [1, 2]}'),
    ("json", '{"a": 1, |}'),
    ("javascript", "function f(a, b) {\n  return |\n}\nf(1, 2)\n"),
    ("typescript", "let x: |;\n"),
    ("go", "package a\n\nfunc f(a int) int {\n\treturn |\n}\n"),
    ("rust", "fn add(a: i32) -> i32 {\n    |\n}\n"),
    ("java", "class A { int f() { return |; } }\n"),
    ("c", "int f(int a) { return |; }\n"),
    ("cpp", "std::vector<|> x;\n"),
    ("bash", "if [ -f |; then\n  echo yes\nfi\n"),
    ("html", "<p>|</p>\n"),
    ("css", "a { color: |; }\n"),
]


class Guesses:
    """A denoiser that knows nothing: random log-probabilities, the same for the same question."""

    context_length, block, window = 400, 64, 64

    def __init__(self, denoiser, sharpness):
        self.vocabulary, self.frame_infill, self.sharpness = denoiser.vocabulary, denoiser.frame_infill, sharpness

    def logits(self, ids, start, stop):
        generator = torch.Generator().manual_seed(int(ids.sum()) + stop)
        return torch.randn(len(ids), stop - start, len(self.vocabulary), generator=generator) * self.sharpness


def errors(language, source):
    """All errors of a file parsed anew, without what is in them: an oracle of its own."""
    from tree_sitter import Parser

    from dgemma_constrain.infill.languages import grammar

    def walk(node):
        return (node.is_error or node.is_missing) + sum(walk(child) for child in node.children)

    return walk(Parser(grammar(language)).parse(source.encode()).root_node)


def cut(text):
    cursor = text.index("|")
    return text.replace("|", "", 1), cursor


@pytest.mark.parametrize("language, text", HOLES, ids=lambda x: x[:12])
def test_the_embedded_models_completions_leave_the_file_whole(language, text):
    source, cursor = cut(text)
    answers = complete(source, cursor, language, budget=60_000, steps=3)
    assert answers, "there is a completion for each of these"
    for one in answers:
        assert (one.start, one.end) == (cursor, cursor) and one.text.strip() and one.score <= 0
        assert errors(language, source[:cursor] + one.text + source[cursor:]) == 0, one.text
    assert len({one.text for one in answers}) == len(answers) <= 3


@pytest.mark.parametrize("language, text", HOLES, ids=lambda x: x[:12])
def test_a_model_that_knows_nothing_cannot_break_a_file(language, text):
    source, cursor = cut(text)
    model = dc.Model(Guesses(dc.load().denoiser, random.Random(text).choice((1.0, 5.0))))
    answers = complete(source, cursor, language, model, budget=60_000, steps=1, count=50)
    assert answers, "the search finds whole texts, whatever the logits"
    for one in answers:
        assert errors(language, source[:cursor] + one.text + source[cursor:]) == 0, one.text


def test_the_names_are_reached_by_the_package():
    assert dc.infill.complete is complete
    assert dc.infill.CodeCompletion.__doc__


@pytest.mark.parametrize(
    "language, text, constraint",
    [
        ("python", "x = f(|)\n", dc.regex(r"[a-z]{3}\[\d{2}\]")),
        ("python", "def f(a, b):\n    return |\n", dc.choice(["a + b", "a - b", "a +", ")"])),
        ("python", "x = |\n", dc.grammar("arithmetic")),
        ("javascript", "let x = |;\n", dc.regex(r"\w+\(.*\)")),
        ("json", '{"a": |}', dc.json_schema({"type": "array", "items": {"type": "integer"}, "minItems": 2})),
        ("python", "x = pri|y\n", dc.regex(r"[0-9]+")),
    ],
    ids=["call", "choice", "grammar", "javascript", "schema", "word"],
)
@pytest.mark.parametrize("knows", [True, False])
def test_a_callers_constraint_holds_as_well(language, text, constraint, knows):
    source, cursor = cut(text)
    model = dc.load() if knows else dc.Model(Guesses(dc.load().denoiser, 3.0))
    answers = complete(source, cursor, language, model, budget=60_000, steps=2, count=9, constraint=constraint)
    assert answers
    for one in answers:
        assert constraint.matches(one.text), one.text
        assert errors(language, source[:cursor] + one.text + source[cursor:]) == 0, one.text


def test_a_constraint_that_no_syntax_fits_has_no_answer():
    assert complete("x = f(\n", 6, "python", budget=60_000, steps=1, constraint=dc.regex(r"[)]{2,9}")) == []
    with pytest.raises(dc.EmptyConstraint):
        complete("x = \n", 4, "python", constraint=dc.regex("a") & dc.regex("b"))


@pytest.mark.parametrize("text", ["value = 1\npri|nt(value)\n", "total_count = 1\nx = tot|unt\n", "import o|s\n"])
@pytest.mark.parametrize("knows", [True, False])
def test_in_the_middle_of_a_word_nothing_is_written_twice(text, knows):
    source, cursor = cut(text)
    model = dc.load() if knows else dc.Model(Guesses(dc.load().denoiser, 3.0))
    answers = complete(source, cursor, "python", model, budget=60_000, steps=2, count=9)
    for one in answers:
        new = source[:cursor] + one.text + source[cursor:]
        assert errors("python", new) == 0
        tail = re.match(r"\w*", source[cursor:])[0]
        assert one.text and not (source[:cursor] + one.text).endswith(tail), f"{tail} stands there twice: {new}"


def test_the_rest_of_a_known_name_is_found_from_both_sides():
    source, cursor = cut("total_count = 1\nx = tot|unt\n")
    answers = complete(source, cursor, "python", budget=60_000, steps=2, count=9)
    assert "al_co" in [one.text for one in answers]


def test_unknown_names_can_be_made_dear():
    source, cursor = cut("def area(width, height):\n    return |\n")
    model = dc.Model(Guesses(dc.load().denoiser, 3.0))
    plain, known = (
        complete(source, cursor, "python", model, budget=60_000, steps=2, count=20, prefer_known_names=x)
        for x in (0.0, 100.0)
    )
    assert {one.text for one in known} == {one.text for one in plain}, "none is forbidden"
    from dgemma_constrain.infill.hole import find
    from dgemma_constrain.infill.names import Unknown

    counts = [Unknown(find(source, cursor), "python").count(one.text) for one in known]
    assert counts == sorted(counts) and counts[0] < max(counts)


def test_errors_elsewhere_do_not_stop_it():
    source, cursor = cut("def broken(:\n    pass\n\nvalue = |\n")
    assert errors("python", source.replace("value = ", "value = 1")) > 0
    for one in complete(source, cursor, "python", budget=60_000, steps=2) or [pytest.fail("nothing")]:
        assert errors("python", source[:cursor] + one.text + source[cursor:]) <= errors("python", source + "1")


def test_a_span_is_replaced():
    source = "total = first + second\n"
    for one in complete(source, (8, 13), "python", budget=60_000, steps=2):
        assert (one.start, one.end) == (8, 13)
        assert errors("python", source[:8] + one.text + source[13:]) == 0


def test_line_ends_are_the_files():
    source = "class A:\r\n    def f(self, x):\r\n        |\r\n".replace("|", "")
    answers = complete(source, source.rindex(" ") + 1, "python", budget=60_000, steps=4, count=20)
    assert answers and all(one.text.count("\n") == one.text.count("\r\n") for one in answers)


def test_the_language_is_told_by_the_path():
    assert complete('{"a": }', 6, path="x.json", budget=60_000, steps=1)
    with pytest.raises(dc.LanguageError, match="can't be told"):
        complete("x = ", 4, path="x.unheard")


def test_bad_places_and_models_are_errors():
    with pytest.raises(dc.ConstraintError, match="outside the source"):
        complete("x", 5, "python")


def test_when_time_is_up_or_it_is_cancelled_it_ends():
    source = "def f(x):\n    return \n"
    assert complete(source, 21, "python", budget=0) == []
    assert complete(source, 21, "python", budget=1, patience=60_000)  # late, but something
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    assert complete(source, 21, "python", budget=60_000, cancel=stop) == []
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("source", ["", "\x00\x01", "\f\n\u2028x\x85", "\ufeffx = ", ")))]]]\n" * 50, "a" * 5000])
def test_odd_files_get_an_answer(source):
    for one in complete(source, len(source), "python", budget=500, steps=1):
        filled = source + one.text
        assert errors("python", filled) <= errors("python", source + "__HOLE__") + 1 and one.text.strip()
