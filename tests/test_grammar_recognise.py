"""Texts are in a grammar exactly if Lark's own parsers accept them, but for differences that are listed here."""

import itertools
import random
import time
from collections import Counter

import lark
import pytest
from grammar_cases import JSON, LARK
from grammar_texts import Sentences

from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.constraints.grammar.recognise import first_mismatch, matches
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal


def accepts(parser: lark.Lark, text: str) -> bool:
    try:
        parser.parse(text)
    except lark.exceptions.UnexpectedInput:
        return False
    return True


def compare(name: str, sentences: int, seed: int) -> Counter:
    text, has_lalr = LARK[name]
    grammar = read(text)
    source = Sentences(grammar, seed)
    earley = lark.Lark(text, parser="earley")
    lalr = lark.Lark(text, parser="lalr") if has_lalr else None
    counts = Counter()
    for _ in range(sentences):
        sentence = source.text(source.random.randint(4, 9))
        if len(sentence) > 80:
            continue
        for tried in [sentence, *(source.mutated(sentence) for _ in range(3))]:
            ours = matches(grammar, tried)
            if lalr:
                assert ours == accepts(lalr, tried), tried
            theirs = accepts(earley, tried)
            assert theirs or not ours, tried
            counts[ours, theirs] += 1
    return counts


@pytest.mark.parametrize("name", LARK)
def test_as_lark_does(name):
    """LALR: the same. Earley: what we accept, and what it cuts in a way that a lexer would not (`printx`, `notx`)."""
    counts = compare(name, 60, seed=1)
    assert counts[True, True] > 10 and counts[False, False] > 10
    assert counts[False, True] < 10 and (name == "keywords" or not counts[False, True])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARK)
def test_as_lark_does_on_thousands(name):
    compare(name, 800, seed=2)


# The differences -----------------------------------------------------------------------------------------------------

KEYWORD = 'start: "if" NAME | NAME "=" NAME\nNAME: /[a-z]+/\n%ignore " "'
LONGEST_PATTERN = "start: (P | Q)+\nP: /a(b|c)/\nQ: /a+/"
LONGEST_LITERAL = 'start: NAME | "if(" NAME ")"\nNAME: /[a-z]+/'
FIRST_ALTERNATIVE = "start: /a|ab/"
LITERAL_IN_ANOTHER_CASE = 'start: "IF"i "x" | NAME "y"\nNAME: /[a-z]+/\n%ignore " "'
MERGED_LOOKAHEAD = 'start: "(" e ")" ")" | "[" e "))"\ne: "x"'


@pytest.mark.parametrize(
    ("grammar", "text", "ours", "lalr", "earley"),
    [
        # Earley asks each terminal for itself: a keyword may be a name, and may end where a name would go on.
        (KEYWORD, "if x", True, True, True),
        (KEYWORD, "if = x", False, False, True),
        (KEYWORD, "ifx=y", True, True, True),
        (KEYWORD, "ifx", False, False, True),
        # Of two patterns, Lark's lexer takes the one that could be longer, we the one that is.
        (LONGEST_PATTERN, "ab", True, False, True),
        (LONGEST_LITERAL, "if(x)", True, False, True),
        # In one pattern, `re` takes the first alternative, we the longest.
        (FIRST_ALTERNATIVE, "a", True, True, True),
        (FIRST_ALTERNATIVE, "ab", True, False, False),
        # Lark's lexer takes a literal for a keyword only if a pattern matches it as it is written.
        (LITERAL_IN_ANOTHER_CASE, "if x", True, False, True),
        (LITERAL_IN_ANOTHER_CASE, "if y", False, True, True),
        # An LALR state may expect what cannot follow here, so its lexer looks for it.
        (MERGED_LOOKAHEAD, "(x))", True, False, True),
    ],
)
def test_documented_differences(grammar, text, ours, lalr, earley):
    assert matches(read(grammar), text) == ours
    assert accepts(lark.Lark(grammar, parser="lalr"), text) == lalr
    assert accepts(lark.Lark(grammar, parser="earley"), text) == earley


# Without Lark --------------------------------------------------------------------------------------------------------


def random_grammar(rng: random.Random, scannerless: bool) -> Grammar:
    letters = [Terminal(c, c, literal=True) for c in "ab"]
    symbols = [0, 1, ~0, ~1, ~2]
    rules = [
        Rule(n, tuple(rng.choices(symbols, k=rng.choice([0, 1, 1, 2, 2, 3]))))
        for n in range(3)
        for _ in range(rng.randint(1, 3))
    ]
    return Grammar(tuple(letters), ("s", "t", "u"), tuple(dict.fromkeys(rules)), (), 0, scannerless)


def language(grammar: Grammar, longest: int) -> set[str]:
    """All sentences up to a length, by going through all rules until nothing is new."""
    texts: list[set[str]] = [set() for _ in grammar.nonterminals]
    while True:
        before = sum(map(len, texts))
        for rule in grammar.rules:
            parts = [{grammar.terminals[s].pattern} if s >= 0 else texts[~s] for s in rule.body]
            found = {""}
            for part in parts:
                found = {a + b for a in found for b in part if len(a + b) <= longest}
            texts[rule.head] |= found
        if sum(map(len, texts)) == before:
            return texts[grammar.start]


@pytest.mark.parametrize("scannerless", [False, True])
def test_small_grammars_by_brute_force(scannerless):
    """Left-recursive, nullable, ambiguous, cyclic ones among them."""
    rng = random.Random(7)
    for _ in range(150):
        grammar = random_grammar(rng, scannerless)
        sentences = language(grammar, 9)
        for text in map("".join, itertools.chain.from_iterable(itertools.product("ab", repeat=n) for n in range(6))):
            mismatch = first_mismatch(grammar, text)
            assert (mismatch is None) == (text in sentences), (grammar, text)
            if mismatch and mismatch.position < len(text):
                assert not any(s.startswith(text[: mismatch.position + 1]) for s in sentences)


@pytest.mark.parametrize(
    ("text", "position", "found", "expected"),
    [
        ('{"a": [1, tru', 13, "end of text", "'e'"),
        ('{"a": [1, 2.x', 12, "'x'", "',' or ']'"),
        ('{"a": 1,}', 8, "'}'", "ESCAPED_STRING"),
        ("[1.5e", 5, "end of text", "'+', '-', '0'-'9'"),
        ("[] []", 3, "'['", "end of text"),
        (
            "",
            0,
            "end of text",
            "'false' or 'null' or 'true' or '{' or '[' or SIGNED_NUMBER or ESCAPED_STRING",
        ),
        (
            "[\ud800]",
            1,
            "'\\ud800'",
            "'false' or 'null' or 'true' or '{' or '[' or ']' or SIGNED_NUMBER or ESCAPED_STRING",
        ),
    ],
)
def test_the_first_mismatch(text, position, found, expected):
    mismatch = first_mismatch(read(JSON), text)
    assert (mismatch.position, mismatch.found, mismatch.expected) == (position, found, expected)


def test_every_beginning_of_a_sentence_is_fine_as_far_as_it_goes():
    for name, (text, _) in LARK.items():
        grammar = read(text)
        source = Sentences(grammar, 3)
        for _ in range(20):
            sentence = source.text()
            if matches(grammar, sentence):
                for end in range(min(len(sentence), 40)):
                    mismatch = first_mismatch(grammar, sentence[:end])
                    assert mismatch is None or mismatch.position == end, (name, sentence, end)


def test_long_texts():
    """10,000 characters of JSON take about 30 ms; a left-recursive list costs the same everywhere."""
    grammar = read(JSON)
    text = "[" + ", ".join('{"key": [1.5, true, "some text"]}' for _ in range(3000)) + "]"
    began = time.process_time()
    assert matches(grammar, text) and not matches(grammar, text[:-1])
    assert time.process_time() - began < 20
    assert matches(read('start: "x"*'), "x" * 50_000)
    assert matches(read('root ::= "x"*'), "x" * 50_000)
    assert matches(read('start: "(" start ")" | "x"'), "(" * 5000 + "x" + ")" * 5000)
