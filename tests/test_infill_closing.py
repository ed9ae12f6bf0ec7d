"""What closes a hole: whatever a hole begins with, a text that brings it to its end, told by the grammar's own tables."""

import random

import pytest
from tree_sitter import Parser

from dgemma_constrain.infill.closing import Closing
from dgemma_constrain.infill.edge import Edge
from dgemma_constrain.infill.languages import grammar
from dgemma_constrain.infill.yields import NEVER, yields
from tests.test_infill_edge import OWN


def closing(language, before, after, several=False):
    return Closing(language, Edge(language, before.encode()), after.encode(), several)


def is_whole(language, source):
    return not Parser(grammar(language)).parse(source.encode()).root_node.has_error


@pytest.mark.parametrize(
    "language, before, after, begun, shortest",
    [
        ("python", "x = ", "\n", "f(a, [", "])"),
        ("python", "x = ", "\n", "{1: (", ")}"),
        ("python", "x = f(", ")\n", "g(1", ")"),
        ("python", "x = ", "\n", "y", ""),
        ("python", "for i in ", "\n    pass\n", "range(3)", ":"),
        ("python", "x = ", "\n", '"ab', '"'),
        ("json", '{"a": ', ', "b": 1}', "", "0"),
        ("json", '{"a": ', ', "b": 1}', '[1, {"x', '":0}]'),
        ("javascript", "function f() { return ", " }", "g({", "})"),
        ("go", "package a\n\nfunc f() int {\n\treturn ", "\n}\n", "g(1, x[2", "])"),
        ("c", "int f(int a) { return ", "; }\n", "(a + (b", "))"),
        ("css", "a { color: ", "; }\n", "", "_"),
    ],
)
def test_the_shortest_ending_comes_first(language, before, after, begun, shortest):
    found = closing(language, before, after).of([begun.encode()])[0]
    assert found[0].decode() == shortest
    assert is_whole(language, before + begun + shortest + after)


def test_it_is_the_least_there_is():
    """On JSON, beside all texts of up to three characters: none that is shorter would do."""
    import itertools

    before, after = '{"a": [', '], "b": 1}'
    close = closing("json", before, after)
    short = ["".join(x) for n in range(4) for x in itertools.product('0{}[]",:', repeat=n)]
    for begun in ("", "1", "[", "[[", "{", '{"', '{"":', "1,", '["'):
        fits = [x for x in short if is_whole("json", before + begun + x + after)]
        found = [x.decode() for x in close.of([begun.encode()])[0]]
        least = min(map(len, fits), default=None)
        if least is None:
            assert all(len(x.replace(" ", "")) > 3 for x in found)
        else:
            assert len(found[0].replace(" ", "")) == least, begun


@pytest.mark.parametrize("language", ["python", "json", "javascript", "go", "c", "rust", "java", "bash"])
def test_every_terminal_that_may_come_first_begins_a_whole_text(language):
    before, after = {
        "python": ("def f(x):\n    y = ", "\n    return y\n"),
        "json": ('{"a": ', "}"),
        "javascript": ("let x = ", ";\nf(x)\n"),
        "go": ("package a\n\nfunc f() int {\n\treturn ", "\n}\n"),
        "c": ("int f(int a) { return ", "; }\n"),
        "rust": ("fn f() -> i32 { let x = ", "; x }\n"),
        "java": ("class A { int f() { return ", "; } }\n"),
        "bash": ("if [ -f ", "; then\n  echo yes\nfi\n"),
    }[language]
    texts = [x.decode() for x in closing(language, before, after).shortest()]
    assert len(texts) >= 3 and all(x.strip() for x in texts)
    for text in texts:
        assert is_whole(language, before + text + after), text


def test_where_the_rest_of_the_file_is_broken_some_lines_of_it_are_read():
    close = closing("python", "x = f(", "\ny = 2\n" * 3 + "def (((:\n")
    assert close.known
    assert b")" in close.of([b"a"])[0] and b"" not in close.of([b"a"])[0]


def test_a_hole_that_nothing_closes_is_not_known():
    assert not closing("json", '{"a" ', "}}}}").known


@pytest.mark.slow
@pytest.mark.parametrize("language", sorted(OWN))
def test_real_text_cut_anywhere_can_be_closed(language):
    """Of a hole whose true middle is known, every beginning that ends between tokens has an ending."""
    source, draw = OWN[language], random.Random(language)
    tokens, todo = [], [Parser(grammar(language)).parse(source.encode()).root_node]
    while todo:
        node = todo.pop()
        todo += node.children
        if not node.children and node.start_byte < node.end_byte:
            tokens.append((node.start_byte, node.end_byte))
    tokens.sort()
    data, found, tried = source.encode(), 0, 0
    for _ in range(12):
        i = draw.randrange(len(tokens) - 4)
        start, stop = tokens[i][0], tokens[i + 3][1]
        close = Closing(language, Edge(language, data[:start]), data[stop:], True)
        if not close.known or not close.reads_all:
            continue
        begun = [data[start : tokens[j][1]] for j in range(i, i + 3)]
        for one, endings in zip(begun, close.of(begun)):
            tried += 1
            found += bool(endings)
            for ending in endings:
                assert is_whole(language, (data[:start] + one + ending + data[stop:]).decode())
    assert tried >= 18 and found >= 0.9 * tried, (found, tried)


def test_every_expression_has_a_least_text():
    for language, name in [
        ("python", "expression_statement"),
        ("javascript", "expression_statement"),
        ("json", "array"),
    ]:
        from dgemma_constrain.infill.tables import tables

        found = yields(language, False)
        symbol = tables(language).names.index(name)
        assert found.cost[symbol] < NEVER
        text = " ".join(found.spelled[x][0] for x in found.terminals(symbol))
        assert is_whole(language, text), text


@pytest.mark.parametrize(
    "language, before, after, begun",
    [
        ("python", "x = f(", ")\n", "g(import"),
        ("python", "x = ", "\n", "a + for"),
        ("javascript", "let x = f(", ");\n", "export"),
        ("go", "package a\n\nfunc f() int {\n\treturn ", "\n}\n", "1 + type"),
    ],
)
def test_a_keyword_that_a_longer_word_may_begin_with_is_no_dead_end(language, before, after, begun):
    found = closing(language, before, after).of([begun.encode()])[0]
    assert found
    for one in found:
        assert is_whole(language, before + begun + one.decode() + after)


def test_what_is_whole_as_it_is_is_known_to_be_where_goals_were_given_up():
    """Behind `S` the bracket can stand, but not so behind the `_` that was tried first: the file has a bracket too many."""
    made = closing("python", "assert (a.", "(4), b) ==\n    c(2))\n")
    assert made.of([b"_mul(S"])[0][0] == b"" and b"" not in made.of([b"_mul"])[0]
