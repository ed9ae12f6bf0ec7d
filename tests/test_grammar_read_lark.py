"""Lark's notation becomes plain data, or an error of one line that says where."""

import pickle
import time
import warnings
from pathlib import Path

import pytest
from grammar_cases import ARITHMETIC, JSON, LARK

from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.constraints.grammar.recognise import matches
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal
from dgemma_constrain.errors import GrammarError, GrammarWarning


def spelled(grammar: Grammar) -> list[str]:
    def name(symbol: int) -> str:
        return str(grammar.terminals[symbol]) if symbol >= 0 else grammar.nonterminals[~symbol]

    return [" ".join([name(~rule.head), "→", *map(name, rule.body)]) for rule in grammar.rules]


def test_rules_and_terminals():
    grammar = read('start: A "b"i? -> alias\n     | start ","\nA.3: /x+/s\n%ignore /[ ]/')
    assert spelled(grammar) == ["start → A 'b'", "start → A", "start → start ','"]
    assert grammar.terminals[0] == Terminal("A", "x+", "s", priority=3)
    assert Terminal("B", "b", "i", literal=True) in grammar.terminals
    assert [str(grammar.terminals[k]) for k in grammar.ignore] == ["/[ ]/"]
    assert grammar.nonterminals[grammar.start] == "start" and not grammar.scannerless


def test_terminals_are_in_larks_order():
    """Priority, literals, what could be longer, what is written longer, name."""
    grammar = read('start: B | A | C | D | "ab" | "abc"\nA: /x+/\nB: /y+/\nC.1: "c"\nD: /(x|y)+/')
    assert [t.name for t in grammar.terminals] == ["C", "ABC", "AB", "D", "A", "B"]


def test_start_and_unused_rules():
    text = 'start: "x"\nother: "y" third\nthird: "z"\nUNUSED: "u"\nPART: "p"\nWHOLE: PART PART\n'
    with pytest.warns(GrammarWarning, match="'start' leads to no use of other, third, UNUSED, WHOLE$"):
        assert read(text).nonterminals == ("start",)
    with pytest.warns(GrammarWarning):
        assert matches(read(text, start="other"), "yz")


def test_imports_common_relative_and_from_paths(tmp_path: Path):
    (tmp_path / "numbers.lark").write_text('number: SIGN? INT\nSIGN: "-"\n%import common.INT\n')
    (tmp_path / "main.lark").write_text('start: number ("+" number)*\n%import .numbers.number\n')
    grammar = read(tmp_path / "main.lark")
    assert matches(grammar, "1+-23") and not matches(grammar, "1+")
    assert matches(read(str(tmp_path / "main.lark")), "1")
    assert matches(read("start: number\n%import numbers.number", import_paths=[tmp_path]), "-1")
    extended = 'start: number\n%import numbers.number\n%extend number: "x"\n%override start: number number'
    assert matches(read(extended.replace("start: number\n%im", 'start: "q"\n%im'), import_paths=[tmp_path]), "x-1")


def test_errors_in_imported_files_name_them(tmp_path: Path):
    (tmp_path / "broken.lark").write_text('number: "1"\n\nstart ) "x"\n')
    with pytest.raises(GrammarError) as caught:
        read("start: number\n%import broken.number", import_paths=[tmp_path])
    assert (caught.value.line, caught.value.column) == (3, 7)
    assert caught.value.file == str(tmp_path / "broken.lark")


NOWHERE = {
    'a: "b"': "there is no rule 'start' to start from, there are a",
    "// nothing": "there are none",
    "start: " + "(" * 3000 + '"a"' + ")" * 3000: "nested too deeply",
}


@pytest.mark.parametrize("text", NOWHERE)
def test_errors_about_the_whole(text):
    with pytest.raises(GrammarError) as caught:
        read(text, dialect="lark")
    assert NOWHERE[text] in str(caught.value) and "\n" not in str(caught.value) and caught.value.line is None


def test_many_choices_in_a_row_stay_small():
    optional = " ".join(f'["{chr(97 + i)}"]' for i in range(26))
    grammar = read(f"start: {optional}")
    assert len(grammar.rules) < 100
    assert matches(grammar, "adz") and matches(grammar, "") and not matches(grammar, "da")
    grammar = read('start: ("a" | "b" | "c") ~ 20')
    assert len(grammar.rules) < 10
    assert matches(grammar, "abc" * 6 + "aa") and not matches(grammar, "a" * 19)
    grammar = read('start: t{"a", "b"}\nt{x, y}: [x] [y] [x] [y] (x | y) ~ 5..70')
    assert matches(grammar, "ab" + "a" * 5) and matches(grammar, "b" * 72) and not matches(grammar, "abab" + "a" * 71)


def test_what_lark_refuses_for_its_trees_is_fine_here():
    assert matches(read('start: ["a"] ["a"]'), "aa")
    assert matches(read('start: "a" -> b | "a" -> c'), "a")
    assert matches(read("start: /a/l? /b/".replace("l", "")), "ab")


@pytest.mark.parametrize("shape", ["chain", "units", "unreachable", "flat"])
def test_five_thousand_rules(shape):
    n = 5000
    start = '"x"' if shape == "unreachable" else " | ".join(f"r{i}" for i in range(n)) if shape == "flat" else "r0"
    body = {"units": "r{1}", "flat": 'A ["b"] C*'}.get(shape, '"k{0}" r{1}')
    rules = [f"r{i}: " + body.format(i, i + 1) for i in range(n)]
    text = "\n".join([f"start: {start}", *rules, f'r{n}: "z"', 'A: "a"', 'C: "c"'])
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GrammarWarning)
        grammar = read(text)
    assert time.process_time() - began < 30  # seconds; about 3 on an idle machine
    assert len(grammar.rules) == {"unreachable": 1, "flat": 5 * n + 2}.get(shape, n + 2)


@pytest.mark.parametrize("name", LARK)
def test_pickled(name):
    grammar = read(LARK[name][0])
    small = len(pickle.dumps(grammar))
    matches(grammar, "x")
    assert len(pickle.dumps(grammar)) == small < 10_000
    again = pickle.loads(pickle.dumps(grammar))
    assert again == grammar and hash(again) == hash(grammar) and not matches(again, "@")


def test_where_a_grammar_comes_from(tmp_path):
    assert read(JSON) == read(JSON, dialect="lark") and read(JSON) != read(ARITHMETIC)
    assert read('root ::= "a" # start: "b"').scannerless
    assert not read('start: "a ::= b" // root ::= "a"\n').scannerless
    (tmp_path / "g.gbnf").write_text('root ::= "a"')
    assert read(tmp_path / "g.gbnf").rules == (Rule(0, (0,)),)
    for source, message in [
        ("nosuchgrammar", "there is no grammar named 'nosuchgrammar'"),
        (str(tmp_path / "none.lark"), "cannot read the grammar: No such file"),
        (3, "a grammar is a text, a path or a name, not int"),
        ("start: " + "x" * 5_000_000, "may have 4,000,000 characters"),
    ]:
        with pytest.raises(GrammarError, match=message):
            read(source)
    with pytest.raises(GrammarError, match='dialect must be "lark" or "gbnf"'):
        read("x", dialect="ebnf")
    (tmp_path / "bytes.lark").write_bytes(b"start: \xff")
    with pytest.raises(GrammarError, match="not UTF-8: byte 7"):
        read(tmp_path / "bytes.lark")
