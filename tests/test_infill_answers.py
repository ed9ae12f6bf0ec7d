"""Holes that need a certain text, which no model thinks of: there is an answer."""

import pytest
import torch
from tree_sitter import Parser

import dgemma_constrain as dc
from dgemma_constrain.infill import complete
from dgemma_constrain.infill.closing import Closing
from dgemma_constrain.infill.edge import Edge
from dgemma_constrain.infill.judge import Judge
from dgemma_constrain.infill.languages import grammar


class Guesses:
    """A denoiser that knows nothing: the same logits for every token."""

    context_length, block, window = 400, 64, 64

    def __init__(self, denoiser):
        self.vocabulary, self.frame_infill = denoiser.vocabulary, denoiser.frame_infill

    def logits(self, ids, start, stop):
        return torch.zeros(len(ids), stop - start, len(self.vocabulary))


@pytest.fixture(scope="module")
def guessing():
    return dc.Model(Guesses(dc.load().denoiser))


def filled(language, text, model, **options):
    cursor = text.index("|")
    source = text.replace("|", "", 1)
    answers = complete(source, cursor, language, model, budget=60_000, steps=1, **options)
    assert answers
    return [source[:cursor] + one.text + source[cursor:] for one in answers]


@pytest.mark.parametrize(
    "language, text",
    [
        ("json", '{"a": fa|}'), ("json", '{"a": nu|}'), ("java", "pub| class A {}\n"), ("go", "package a\n\nfun| f() {}\n"),
        ("javascript", "function f() { ret| }\n"), ("rust", "f| main() {}\n"), ("java", "class A { int f() { ret|n 1; } }\n"),
        ("bash", "if true; th|\n  echo\nfi\n"), ("typescript", "inter|e A { x: number }\n"),
        ("typescript", "export declare functio|mX<T>(a: T): T;\n"), ("typescript", "const a = 1;\n|rt function f() {}\n"),
        ("go", ""), ("go", "// a comment\n"),
    ],
)  # fmt: skip
def test_the_rest_of_a_keyword_is_found(language, text, guessing):
    for whole in filled(language, text if "|" in text else text + "|", guessing):
        assert not Parser(grammar(language)).parse(whole.encode()).root_node.has_error, whole


@pytest.mark.parametrize(
    "language, text",
    [
        ("json", '{"a": {"c": 1},\n "b"|\n  "d": 2 }, "e": 3}\n'),
        ("go", 'package a\n\nfunc f() {\n\tg("a"|b", "c")\n}\n'),
        ("javascript", "f(a|value) {\n  g(value);\n});\n"),
    ],
)
def test_what_must_be_opened_is(language, text, guessing):
    for whole in filled(language, text, guessing):
        assert not Parser(grammar(language)).parse(whole.encode()).root_node.has_error, whole


def test_a_body_that_is_missing_is_written(guessing):
    for whole in filled("python", "def f(a, b):\n    if (|\n    return b\n", guessing):
        compile(whole, "filled", "exec")


def test_where_one_line_cannot_do_several_are_written():
    for whole in filled("python", "import a\n\n@Deve|\n        out = 1\n        return out\n", dc.load()):
        assert whole.count("\n") > 5 and not Parser(grammar("python")).parse(whole.encode()).root_node.has_error, whole


def test_what_no_text_mends_on_the_holes_line_can_be_put_up_with():
    judge = Judge("python", "import a\n\n@", "\n        out = 1\n        return out\n")
    assert judge.verdict("x").errors == 1 and not judge.verdict("x").clean
    judge.forgive()
    assert judge.verdict("x").clean and not judge.verdict("x(").clean


def test_a_head_is_healed_to_every_terminal_that_it_begins():
    closing = Closing("json", Edge("json", b'{"a": '), b"}", False)
    for head, word in ((b"t", b"true"), (b"nul", b"null")):
        texts = closing.shortest(head)
        assert word in texts and all(text.startswith(word) for text in texts)
    assert {b"is a", b"in a"} <= set(Closing("python", Edge("python", b"x = a "), b"\n", False).shortest(b"i"))
