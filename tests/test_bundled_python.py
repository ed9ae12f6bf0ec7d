"""The grammars of Python that ship: how much of Python's own library parses."""

import ast
import random
import re
import textwrap
import warnings
from functools import cache
from pathlib import Path
from statistics import mean

import lark
import pytest
from grammar_texts import accepts

import dgemma_constrain as dc
from dgemma_constrain.constraints.grammar import bundled


@cache
def library(files: int) -> list[tuple[str, ast.Module]]:
    paths = sorted(Path(ast.__file__).parent.glob("*.py"))
    chosen = random.Random(0).sample(paths, files)
    sources = [path.read_text("utf-8", errors="replace") for path in chosen]
    return [(source, ast.parse(source)) for source in sources]


def expressions(files: int, each: int):
    """Source of expressions, and whether on one line; names and constants left out."""
    for source, tree in library(files):
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.expr)]
        nodes = [n for n in nodes if not isinstance(n, (ast.Name, ast.Constant, ast.Starred, ast.Slice))]
        for node in random.Random(0).sample(nodes, min(each, len(nodes))):
            text = ast.get_source_segment(source, node)
            try:
                ast.parse(text, mode="eval")
            except SyntaxError:  # a part of an f-string, or one that needs the brackets around it
                continue
            yield text, "one line" if node.lineno == node.end_lineno else "more lines"


def functions(files: int, each: int):
    """Source of functions, what they are by size, and why one is out of the question if it is."""
    for source, tree in library(files):
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        lines = source.splitlines(keepends=True)
        for node in random.Random(0).sample(nodes, min(each, len(nodes))):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            text = textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
            text += "\n" * (not text.endswith("\n"))
            try:
                ast.parse(text)
            except SyntaxError:  # dedent is not for strings
                continue
            deep = any(re.match(r" {20,}(return|raise|if|for|\w+ = )", line) for line in text.splitlines())
            yield text, "deep" if deep else "short" if text.count("\n") <= 15 else "long"


def shares(name: str, texts) -> dict:
    """How many of the texts of each kind the grammar accepts: from 0 to 1."""
    judged: dict = {}
    for text, kind in texts:
        judged.setdefault(kind, []).append(accepts(name, text))
    return {kind: mean(answers) for kind, answers in judged.items()}


def test_python_expressions_of_the_library():
    assert shares("python_expression", expressions(8, 25))["one line"] >= 0.98


@pytest.mark.slow
def test_more_python_expressions_of_the_library():
    found = shares("python_expression", expressions(60, 80))
    assert found["one line"] >= 0.99 and found["more lines"] >= 0.9


def test_python_functions_of_the_library():
    assert shares("python_function", functions(8, 12))["short"] >= 0.9


@pytest.mark.slow
def test_more_python_functions_of_the_library():
    found = shares("python_function", functions(60, 40))
    assert found["short"] >= 0.95 and found["long"] >= 0.8


@pytest.mark.parametrize("text", ["t(0o5for T,in 0)", "[x for x,in y]", "[x for x, y, in z]"])
def test_a_comma_before_in(text):
    """Python and Lark's Earley parser agree; Lark's contextual lexer reads a name `i` there (see `lexer.py`)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of digits right before a keyword
        ast.parse(text, mode="eval")
    path = bundled()["python_expression"]
    lark.Lark(path.read_text("utf-8"), parser="earley", lexer="dynamic").parse(text)
    assert dc.grammar("python_expression").matches(text)
    assert not accepts("python_expression", text)  # with the contextual lexer
