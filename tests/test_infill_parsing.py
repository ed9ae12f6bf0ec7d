"""Parsing with a deadline, and with what the last tree can give, leads to the tree that parsing anew does."""

import random
from pathlib import Path

import pytest
from tree_sitter import Parser

from dgemma_constrain.infill import parsing
from dgemma_constrain.infill.languages import grammar
from dgemma_constrain.infill.parsing import OutOfTime, parse, parse_next

PYTHON = Path(random.__file__).read_text()
PIECES = "x", "\n", " = 1\n", "é", "(", ")", "if y:\n    pass\n", "\"", "# note\n", "    "


def nodes(tree) -> list[tuple]:
    found, todo = [], [tree.root_node]
    while todo:
        node = todo.pop()
        found.append((node.type, node.start_byte, node.end_byte, node.start_point, node.end_point, node.is_missing))
        todo += node.children
    return found


@pytest.mark.parametrize("language, text", [("python", PYTHON), ("json", '{"a": [1, 2, {"é": null}]}' + " " * 40)])
def test_a_file_that_changes_a_little_has_the_tree_that_it_has_by_itself(language, text):
    chance, parser = random.Random(1), Parser(grammar(language))
    broken = 0
    for _ in range(60):
        a = chance.randrange(len(text))
        b = min(len(text), a + chance.choice([0, 0, 1, 5, 40]))
        changed = text[:a] + chance.choice(PIECES) + text[b:]
        tree = parse_next(language, parser, changed.encode(), lambda: True)
        assert nodes(tree) == nodes(parser.parse(changed.encode()))
        broken += tree.root_node.has_error
        if not tree.root_node.has_error:
            text = changed
    assert 0 < broken < 60


def test_a_hole_elsewhere_in_a_file_has_the_tree_that_it_has_by_itself(monkeypatch):
    chance, parser, anew = random.Random(2), Parser(grammar("python")), []
    monkeypatch.setattr(parsing, "_LAST", {})
    monkeypatch.setattr(parsing, "parse", lambda *given: anew.append(len(given) == 3) or parse(*given))
    text, holes = PYTHON.encode(), 0
    for _ in range(60):
        a = chance.randrange(len(text))
        b = text.index(b"\n", a) if chance.random() < 0.5 else a
        changed = text[:a] + b"__HOLE__" + text[b:]
        anew.clear()
        tree = parse_next("python", parser, changed, lambda: True, (a, a + 8, text[a:b]))
        holes += not any(anew)
        assert nodes(tree) == nodes(parser.parse(changed))
    assert holes > 20


def test_the_last_tree_is_used(monkeypatch):
    given = []
    monkeypatch.setattr(parsing, "_LAST", {})
    monkeypatch.setattr(parsing, "parse", lambda *arguments: given.append(len(arguments)) or parse(*arguments))
    parser = Parser(grammar("python"))
    for text in ("x = 1\ny = 2\n", "x = 1\ny = 23\n", "x = 1\ny = (\n", "x = 1\ny = 2\n", "quite = another\n"):
        parse_next("python", parser, text.encode(), lambda: True)
    assert given == [3, 4, 4, 3, 4, 3]  # anew, from the last, from it and anew for an error, from the last without one, anew


def test_a_parse_that_takes_too_long_is_given_up():
    parser = Parser(grammar("python"))
    with pytest.raises(OutOfTime):
        parse(parser, PYTHON.encode() * 5, lambda: False)
    assert nodes(parse(parser, b"x = 1", lambda: True)) == nodes(parser.parse(b"x = 1"))
