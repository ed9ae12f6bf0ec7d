"""The cover of a grammar holds all its texts, and no others where forgetting what is open does no harm."""

import random
from functools import cache
from typing import Iterator

import pytest
from grammar_texts import BundledTexts, Sentences, examples
from test_grammar_canvas import UNFOLDING
from test_grammar_machine import NAMES, TERMINALS, grammar_of
from test_grammar_recognise import random_grammar
from test_lr_tables import useful

import dgemma_constrain as dc
from dgemma_constrain.automata.dfa import DFA, subtract
from dgemma_constrain.constraints.grammar import bundled
from dgemma_constrain.constraints.grammar.constraint import Grammar as Constraint
from dgemma_constrain.constraints.grammar.recognise import first_mismatch
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal

FLAT = ["comments", "strings", "priorities", "ignoring case", "templates", "cron", "semver", "uri"]
DEPTH = {"c_body": 0, "sql": 0, "expressions": 1}


@cache
def constraint_of(name: str) -> Constraint:
    """Of one in grammar_cases.py, or one that ships."""
    return Constraint(grammar_of(name), None)


shipped = cache(dc.grammar)


def cover(constraint: Constraint) -> DFA:
    return constraint.searched().automaton


def texts(grammar: Grammar, letters: str, longest: int) -> Iterator[str]:
    """All texts of the grammar up to a length. What begins none is not gone on with."""
    agenda = [""]
    for text in agenda:  # grows
        mismatch = first_mismatch(grammar, text)
        if mismatch is None:
            yield text
        if len(text) < longest and (mismatch is None or mismatch.position == len(text)):
            agenda += [text + c for c in letters]


def trimmed(grammar: Grammar) -> Grammar:
    """Without rules that derive nothing: so the readers leave them."""
    g = grammar
    return Grammar(g.terminals, g.nonterminals, tuple(useful(g)), g.ignore, g.start, g.scannerless)


def held(grammar: Grammar, letters: str, longest: int) -> int:
    """Assert that the cover holds all texts up to a length: how many."""
    automaton = Constraint(grammar, None).searched(dc.Limits(states=20_000)).automaton
    count = 0
    for text in texts(grammar, letters, longest):
        assert automaton.accepts(text), (grammar, text)
        count += 1
    return count


# All texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scannerless", [False, True])
def test_random_grammars(scannerless):
    """Left-recursive, nullable, ambiguous, cyclic ones among them."""
    rng = random.Random(31)
    assert sum(held(trimmed(random_grammar(rng, scannerless)), "ab", 7) for _ in range(150)) > 1000


OVERLAPPING = [
    *(Terminal(text, text, literal=True) for text in ("<", "<=", "<<", "=", "a", "b", "ab", "=<")),
    Terminal("NAME", "[ab]+"),
    Terminal("SECOND", "b[ab<]*"),
    Terminal("QUOTED", "<.*?=|a=?b"),
    Terminal("SHIFT", "<<=?|=", priority=1),
    Terminal("KEYWORD", "ab|ba", priority=1),
    Terminal("LAST", "[ab]+<?", priority=-1),
]
IGNORED = [Terminal("BLANK", " +"), Terminal("COMMENT", "a=[^a]*a", priority=2), Terminal("EITHER", " |=")]
LETTERS = [Terminal("SKIPPED", "c+"), Terminal("SAME", "ab?"), Terminal("NEVER", "a.*?c", priority=-1)]


def random_lexer(rng: random.Random, terminals: list[Terminal], ignored: list[Terminal]) -> Grammar:
    """A random grammar with some of these terminals, and one of the others that is ignored, or none."""
    chosen = rng.sample(terminals, rng.randint(2, 6)) + rng.sample(ignored, rng.randint(0, 1))
    rng.shuffle(chosen)  # they win in this order
    names = tuple("stuv"[: rng.randint(1, 4)])
    skipped = tuple(k for k, t in enumerate(chosen) if t in ignored)
    symbols = [*({*range(len(chosen))} - {*skipped}), *(~n for n in range(len(names)))]
    rules = dict.fromkeys(
        Rule(n, tuple(rng.choices(symbols, k=rng.choice([0, 1, 1, 2, 2, 3, 4]))))
        for n in range(len(names))
        for _ in range(rng.randint(1, 4))
    )
    return trimmed(Grammar(tuple(chosen), names, tuple(rules), skipped, 0))


def random_lexers(seed: int, count: int, longest: int) -> int:
    rng = random.Random(seed)
    total = limited = 0
    for _ in range(count):
        for terminals, ignored, letters in ((OVERLAPPING, IGNORED, "ab<= "), (TERMINALS, LETTERS, "abc")):
            try:
                total += held(random_lexer(rng, terminals, ignored), letters, longest)
            except dc.LimitExceeded:  # several lazy ones that can go on for ever
                limited += 1
    assert limited <= 0.04 * count
    return total


def test_random_lexers():
    """Keywords and names, operators that begin alike, lazy ones, priorities, and ignored ones that are like others."""
    assert random_lexers(37, 80, 4) > 2000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_random_lexers(seed):
    assert random_lexers(seed, 200, 5) > 2000


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("python")])
def test_all_that_an_automaton_holds(name):
    """Of every text that is nested so deeply at most, not only of some."""
    automaton = Constraint(grammar_of(name), DEPTH.get(name, 2)).dfa()
    assert subtract(automaton, cover(constraint_of(name))).is_empty


@pytest.mark.slow
@pytest.mark.parametrize("name", UNFOLDING)
def test_all_that_an_automaton_holds_as_deep_as_it_goes(name):
    assert subtract(shipped(name).dfa(), cover(shipped(name))).is_empty


@pytest.mark.parametrize("name", NAMES)
def test_sentences(name):
    constraint = constraint_of(name)
    source = Sentences(constraint.grammar, 5)
    sentences = [text for text in (source.text(6) for _ in range(60)) if len(text) < 300 and constraint.matches(text)]
    assert len(sentences) > 10
    assert [text for text in sentences if not cover(constraint).accepts(text)] == []


def check_texts(name: str, count: int, seed: int) -> None:
    constraint = shipped(name)
    held = 0
    for text in [*examples(name, "accepts"), *BundledTexts(name, seed).accepted(count)]:
        if constraint.matches(text):
            assert cover(constraint).accepts(text), text
            held += 1
    assert held > count / 2 + 4


@pytest.mark.parametrize("name", bundled())
def test_texts_of_the_grammars_that_ship(name):
    check_texts(name, 12, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", bundled())
def test_many_texts_of_the_grammars_that_ship(name):
    check_texts(name, 60, seed=4)


# No others ----------------------------------------------------------------------------------------------------------

BLANKS = '\nNAME: /[a-z]+/\n%ignore " "'


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        ('start: "a" "b"', "ab"),
        ('start: "a"* "b" | "c"', "a*b|c"),
        # Names and operators are as long as they can be.
        ("start: NAME NAME" + BLANKS, " *[a-z]+ +[a-z]+ *"),
        ('start: NAME ("<" | "<=" | "<<") NAME' + BLANKS, " *[a-z]+ *(<|<=|<<) *[a-z]+ *"),
        ('start: "<" ("=" | "<=") "x" | "<=" "="', "<<=x|<=="),
        ('start: ("<" | "<<")+ "="', "(<<)*(<|<<)="),
        ("start: NUMBER NAME\nNAME: /[a-z0-9]+/\nNUMBER: /[0-9]+/", "[0-9]+[a-z][a-z0-9]*"),
        ("start: WORD+\nWORD: /[a-z]{1,2}/", "[a-z]+"),
        # A keyword is no name where it may stand as well, and no name is cut after it.
        ('start: "if" NAME | NAME "=" NAME' + BLANKS, " *(if +[a-z]+|(?!if *=)[a-z]+ *= *[a-z]+) *"),
        ('start: "if" NAME "then" NAME' + BLANKS, " *if *[a-z]+ +then *[a-z]+ *"),
        # Of what stands inside itself, only how often it was opened is forgotten, and by what.
        ('start: "(" start ")" | "x"', r"\(*x\)*"),
        ('start: "(" start ")" | "[" start "]" | NAME' + BLANKS, r"[ (\[]*[a-z]+[)\] ]*"),
        ('start: e\ne: e "+" t | t\nt: "(" e ")" | "x"', r"\(*x\)*(\+\(*x\)*)*"),
        # Without a lexer.
        ('root ::= "a" [0-9]+ "b"', "a[0-9]+b"),
        ('root ::= "é" [α-ω]* | "日本" [^a-z]', "é[α-ω]*|日本[^a-z]"),
        ('root ::= "<" ("=" | "<=")? "x"', "<(=|<=)?x"),
        ('root ::= "a" root "b" | "ab"', "a+b+"),
        ('root ::= "(" root ")" | "[" root "]" | "x"', r"[(\[]*x[)\]]*"),
    ],
)
def test_exactly(grammar, pattern):
    ours, expected = cover(dc.grammar(grammar)), dc.regex(pattern).dfa()
    assert (subtract(ours, expected).shortest(), subtract(expected, ours).shortest()) == (None, None)
    assert ours.same_language(expected)


@pytest.mark.parametrize("name", FLAT)
def test_a_grammar_without_nesting_is_its_own_cover(name):
    assert cover(constraint_of(name)).same_language(constraint_of(name).dfa())


# Inside of `substring(…`, FROM may follow an expression.
RIGHT_ELSEWHERE = ("SELECT a FROM t HAVING a > 1", "SELECT extract(a FROM b)")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("json", t) for t in ("", '{"a" 1}', "[1,]", "[1 2]", "truefalse", '{"a":1,}', "[,]", "{1:2}", "1 2", "01")),
        *(("c_body", t) for t in ("{ intx y; }", "{ x y; }", "{ f(a b); }", "{ returnx }", "{ 5++; }", "{ if a b; }")),
        *(("python_expression", t) for t in ("a b", "ifx else", "a if b elsec", "f(a b)", "a +", "a not b", "not")),
        *(("sql", t) for t in ("SELECT a,, b", "SELECT a FROM t WHERE", "SELECT a ORDER BY")),
        *(
            (n, t)
            for n in ("sql", "graphql", "json", "tool_call", "smiles", "uri", "cron")
            for t in examples(n, "rejects")
            if t not in RIGHT_ELSEWHERE
        ),
    ],
)
def test_what_is_wrong_wherever_it_stands_is_refused(name, text):
    """However deep, so that forgetting the depth does not let it through."""
    assert not cover(shipped(name)).accepts(text)


def test_a_grammar_without_a_sentence_or_with_only_the_empty_one():
    letter = (Terminal("A", "a", literal=True),)
    for scannerless in (False, True):
        nothing, empty = (Grammar(letter, ("s",), rules, (), 0, scannerless) for rules in ((), (Rule(0, ()),)))
        assert cover(Constraint(nothing, None)).is_empty
        assert cover(Constraint(empty, None)).same_language(dc.literal("").dfa())


def test_limits_hold():
    with pytest.raises(dc.LimitExceeded):
        dc.grammar("sql").searched(dc.Limits(states=100))
