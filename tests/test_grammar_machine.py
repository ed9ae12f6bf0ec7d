"""Configurations: texts live as far as the recogniser reads them, and may end where it says so."""

import itertools
import random

import pytest
from grammar_cases import LARK
from grammar_texts import Sentences
from test_grammar_recognise import random_grammar
from test_lr_tables import useful

from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.automata.stacks import DEAD, FAR
from dgemma_constrain.constraints.grammar import bundled, read
from dgemma_constrain.constraints.grammar.machine import GrammarMachine
from dgemma_constrain.constraints.grammar.recognise import first_mismatch, matches
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal
from dgemma_constrain.errors import LimitExceeded

GBNF = r"""
root ::= object
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
NAMES = [*LARK, *bundled(), "gbnf"]


def grammar_of(name: str) -> Grammar:
    return read(GBNF) if name == "gbnf" else read(LARK[name][0] if name in LARK else name)


def check(machine: GrammarMachine, grammar: Grammar, text: str) -> bool:
    """Alive up to the first mismatch and no further; accepted if there is none. And no bound above what is left."""
    mismatch = first_mismatch(grammar, text)
    end = len(text) if mismatch is None else mismatch.position
    config, bounds = machine.start, []
    for at in range(end):
        bounds.append(machine.shortest(config))
        config = machine.read(config, text[at].encode("utf-8", "surrogatepass"))
        assert config >= 0, (text, at, mismatch)
    if mismatch is None:
        assert machine.accepts(config)
        assert all(bound <= end - at for at, bound in enumerate(bounds)), (text, bounds)
    elif end < len(text):
        assert machine.read(config, text[end].encode("utf-8", "surrogatepass")) == DEAD, (text, mismatch)
    else:
        assert not machine.accepts(config), text
    return mismatch is None


@pytest.mark.parametrize("scannerless", [False, True])
def test_random_grammars(scannerless):
    rng = random.Random(23)
    for _ in range(120):
        grammar = random_grammar(rng, scannerless)
        grammar = Grammar(grammar.terminals, grammar.nonterminals, tuple(useful(grammar)), (), 0, scannerless)
        machine = GrammarMachine(grammar)
        for text in map("".join, itertools.chain.from_iterable(itertools.product("ab", repeat=n) for n in range(6))):
            check(machine, grammar, text)


TERMINALS = [
    *(Terminal(text.upper(), text, literal=True) for text in ("a", "b", "c", "ab", "ba")),
    *(Terminal(f"P{i}", p) for i, p in enumerate(["[ab]+", "a+b", "[ab]*c?a", "a.*?b", "cb?"])),
    Terminal("HIGH", "ab|ba", priority=1),
    Terminal("LOW", "b+", priority=-1),
]


def test_random_lexers():
    """Terminals that overlap, look ahead without end, or are ignored. A few are so ambiguous that it is an error."""
    rng = random.Random(29)
    limited = 0
    for _ in range(150):
        terminals = tuple(rng.sample(TERMINALS, rng.randint(2, 5)))
        ignored = (len(terminals) - 1,) * rng.randint(0, 1)
        names = tuple("stuv"[: rng.randint(1, 4)])
        symbols = [*range(len(terminals) - len(ignored)), *(~n for n in range(len(names)))]
        rules = dict.fromkeys(
            Rule(n, tuple(rng.choices(symbols, k=rng.choice([0, 1, 1, 2, 2, 3, 4]))))
            for n in range(len(names))
            for _ in range(rng.randint(1, 4))
        )
        grammar = Grammar(terminals, names, tuple(rules), ignored, 0)
        grammar = Grammar(terminals, names, tuple(useful(grammar)), ignored, 0)
        machine = GrammarMachine(grammar)
        try:
            for text in itertools.chain.from_iterable(itertools.product("abc", repeat=n) for n in range(5)):
                check(machine, grammar, "".join(text))
            for _ in range(10):
                check(machine, grammar, "".join(rng.choices("abc", k=12)))
        except LimitExceeded:
            limited += 1
    assert limited < 8


@pytest.mark.parametrize("name", NAMES)
def test_sentences_and_what_is_nearly_one(name):
    grammar = grammar_of(name)
    machine = GrammarMachine(grammar)
    source = Sentences(grammar, 4)
    good = 0
    for _ in range(30):
        text = source.text(source.random.randint(4, 9))
        if len(text) > (20 if name in ("ambiguous", "nullable") else 300):
            continue
        good += check(machine, grammar, text)
        for _ in range(3):
            check(machine, grammar, source.mutated(text))
    assert good > 3


@pytest.mark.parametrize("name", NAMES)
def test_closing(name):
    """From anywhere in a text there is a way to its end, found."""
    grammar = grammar_of(name)
    machine = GrammarMachine(grammar)
    source = Sentences(grammar, 6)
    for _ in range(5):
        text = source.text(7)[:40]
        mismatch = first_mismatch(grammar, text)
        text = text if mismatch is None else text[: mismatch.position]
        for end in range(0, len(text) + 1, 3):
            config = machine.read(machine.start, text[:end].encode())
            rest = machine.close(config)
            assert rest is not None and matches(grammar, text[:end] + rest.decode()), (text[:end], rest)
            assert machine.shortest(config) <= len(rest.decode())


def test_bytes_of_characters():
    """Inside a character there is a configuration exactly if some character that begins so leads on."""
    grammar = read('start: "é" | "à" "x" | "日本" | /[α-ω]+/')
    machine = GrammarMachine(grammar)
    for first in range(256):
        config = machine.read(machine.start, bytes([first]))
        possible = [chr(c) for c in (*map(ord, "éà日"), *range(0x3B1, 0x3CA)) if chr(c).encode()[0] == first]
        assert (config >= 0) == bool(possible)
        if possible:
            assert not machine.accepts(config) and machine.shortest(config) == 1
            assert matches(grammar, (bytes([first]) + machine.close(config)).decode())
    assert machine.read(machine.start, b"\xe6\x97") >= 0 and machine.read(machine.start, b"\xe6\x98") == DEAD
    assert machine.accepts(machine.read(machine.start, "日本".encode()))
    assert machine.read(machine.read(machine.start, b"\xe6"), b"\x97\xa5\xe6") >= 0


@pytest.fixture(scope="module")
def vocabulary():
    return generated_vocabulary(8192, 1)


@pytest.mark.parametrize("name", ["json", "python_function", "gbnf", "comments", "sql"])
def test_a_token_at_a_time_is_the_text_at_once(name, vocabulary):
    grammar = grammar_of(name)
    machine, alone = GrammarMachine(grammar), GrammarMachine(grammar)
    text = (
        Sentences(grammar, 8).text(8).encode()[:60]
        if name != "gbnf"
        else b'{"a\xc3\xa9": [true, -1.5e3, {"": "\\u00e9"}]}'
    )
    beginnings = [text[:n] for n in range(0, len(text), 7)]
    beginnings = [b for b in beginnings if machine.read(machine.start, b) >= 0] + [b'{"\xe6'] * (name == "gbnf")
    configs = [machine.read(machine.start, b) for b in beginnings]
    tokens = [vocabulary.data[vocabulary.offsets[i] : vocabulary.offsets[i + 1]].tobytes() for i in vocabulary.order]
    found = [[machine.read(config, token) for token in tokens] for config in configs]
    assert [machine.read(configs[-1], token) for token in tokens] == found[-1]
    alive = 0
    for beginning, row in zip(beginnings, found):
        here = alone.read(alone.start, beginning)
        for token, after in zip(tokens, row):
            there = alone.read(here, token)
            assert (there >= 0) == (after >= 0)
            if after >= 0:
                alive += 1
                assert machine.read(machine.start, beginning + token) == after
                assert machine.accepts(after) == alone.accepts(there)
    assert alive > 50


def test_a_grammar_without_a_sentence_or_with_only_the_empty_one():
    letter = random_grammar(random.Random(0), False).terminals
    nothing = GrammarMachine(Grammar(letter, ("s",), (), (), 0))
    assert nothing.step(nothing.start, 0) == DEAD and not nothing.accepts(nothing.start)
    assert nothing.shortest(nothing.start) == FAR and nothing.close(nothing.start) is None
    empty = GrammarMachine(read('start: "a"?'))
    assert empty.accepts(empty.start) and empty.close(empty.start) == b""


def test_deep_nesting():
    machine = GrammarMachine(read("json"))
    config = machine.read(machine.start, b"[" * 5000)
    assert machine.shortest(config) == 5000
    assert machine.accepts(machine.read(config, b"]" * 5000))
    assert machine.read(config, b"]" * 5001) == DEAD


def test_tokens_of_several_terminals():
    machine = GrammarMachine(read("json"))
    configs = [machine.start, machine.read(machine.start, b"[1")]
    found = [[machine.read(config, token) >= 0 for token in (b"[", b"[]", b"]", b"1", b",")] for config in configs]
    assert found == [[True, True, False, True, False], [False, False, True, True, True]]
