"""LALR tables, run by a plain generalized LR parser: the same sentences as Earley's algorithm and Lark's own LALR."""

import itertools
import random
import time

import lark
import pytest
from grammar_cases import LARK
from grammar_texts import Sentences
from test_grammar_recognise import random_grammar

from dgemma_constrain.automata.lr_tables import LRTables, derivable, lr_tables
from dgemma_constrain.constraints.grammar import bundled, read
from dgemma_constrain.constraints.grammar.recognise import _Earley
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule


def tables_of(grammar: Grammar) -> LRTables:
    rules = [(rule.head, rule.body) for rule in grammar.rules]
    return lr_tables(rules, len(grammar.terminals), len(grammar.nonterminals), grammar.start)


def useful(grammar: Grammar) -> list[Rule]:
    """The rules that derive something. Earley's sets are exact without the others."""
    found = derivable([(rule.head, rule.body) for rule in grammar.rules], lambda s: True)
    return [rule for rule in grammar.rules if all(s >= 0 or ~s in found for s in rule.body)]


def goto(tables: LRTables, state: int, symbol: int) -> int | None:
    for e in range(tables.offsets[state], tables.offsets[state + 1]):
        if tables.symbols[e] == symbol:
            return int(tables.targets[e])
    return None


def feed(tables: LRTables, stacks: set, terminal: int) -> set:
    """All stacks, as tuples of states, after a terminal."""
    agenda, seen, shifted = list(stacks), set(stacks), set()
    while agenda:
        stack = agenda.pop()
        target = goto(tables, stack[-1], terminal)
        if target is not None:
            shifted.add((*stack, target))
        for r in range(tables.reduce_offsets[stack[-1]], tables.reduce_offsets[stack[-1] + 1]):
            if tables.lookahead[r, terminal >> 5] >> (terminal & 31) & 1:
                rule = tables.reduce_rule[r]
                base = stack[: -tables.length[rule]]
                reduced = (*base, goto(tables, base[-1], tables.head[rule]))
                if reduced not in seen:
                    seen.add(reduced)
                    agenda.append(reduced)
    return shifted


def followers(tables: LRTables, terminals: int, sentence: list[int]) -> list[set[int]]:
    """After every beginning of a sentence, as far as it goes: the terminals that may follow, the end included."""
    stacks = {(0,)}
    result = []
    for terminal in [*sentence, None]:
        result.append({t for t in range(terminals + 1) if feed(tables, stacks, t)})
        if terminal not in result[-1]:
            break
        stacks = feed(tables, stacks, terminal)
    return result


def earley_followers(grammar: Grammar, sentence: list[int]) -> list[set[int]]:
    earley = _Earley(useful(grammar), grammar.start, len(grammar.nonterminals))
    sets = [earley.initial()]
    result = []
    for terminal in [*sentence, None]:
        result.append(sets[-1].terminals | {len(grammar.terminals)} if sets[-1].complete else set(sets[-1].terminals))
        after = earley.advance(sets, [terminal]) if terminal is not None else None
        if after is None:
            break
        sets.append(after)
    return result


def test_random_grammars():
    """Left-recursive, nullable, ambiguous, cyclic ones among them; and ones with no sentence at all."""
    rng = random.Random(11)
    for _ in range(150):
        grammar = random_grammar(rng, False)
        tables = tables_of(grammar)
        for sentence in itertools.chain.from_iterable(itertools.product([0, 1], repeat=n) for n in range(6)):
            wanted = earley_followers(grammar, sentence)
            assert followers(tables, 2, sentence) == wanted, (grammar.rules, sentence)


def mutated(tokens: list[int], terminals: int, rng: random.Random) -> list[int]:
    at = rng.randrange(len(tokens) + 1)
    new = [rng.randrange(terminals)]
    return rng.choice(
        [tokens[:at] + new + tokens[at:], tokens[:at] + tokens[at + 1 :], tokens[:at] + new + tokens[at + 1 :]]
    )


@pytest.mark.parametrize("name", [name for name, (_, has_lalr) in LARK.items() if has_lalr])
def test_as_lark_does(name):
    grammar = read(LARK[name][0])
    tables, count = tables_of(grammar), len(grammar.terminals)
    parser = lark.Lark(LARK[name][0], parser="lalr")
    source = Sentences(grammar, 5)
    accepted = 0
    for _ in range(100):
        tokens = source.tokens(7)
        for sentence in [tokens, mutated(tokens, count, source.random)]:
            if len(sentence) > 40 or set(sentence) & set(grammar.ignore):
                continue
            state = parser.parse_interactive("")
            try:
                for terminal in sentence:
                    state.feed_token(lark.Token(grammar.terminals[terminal].name, ""))
                state.feed_eof()
                theirs = True
            except lark.exceptions.UnexpectedInput:
                theirs = False
            found = followers(tables, count, sentence)
            assert (len(found) == len(sentence) + 1 and count in found[-1]) == theirs, sentence
            accepted += theirs
    assert accepted > 20


@pytest.mark.parametrize("name", bundled())
def test_bundled(name):
    grammar = read(name)
    tables, count = tables_of(grammar), len(grammar.terminals)
    source = Sentences(grammar, 5)
    for _ in range(5):
        tokens = source.tokens(9)[:60]
        for sentence in [tokens, mutated(tokens, count, source.random)]:
            assert followers(tables, count, sentence) == earley_followers(grammar, sentence)


def test_many_symbols_that_may_be_empty():
    """2^40 ways to write one rule."""
    rules = [(0, tuple(~n for n in range(1, 41)))] + [(n, body) for n in range(1, 41) for body in ((), (n - 1,))]
    tables = lr_tables(rules, 40, 41, 0)
    assert tables.states < 200
    for sentence in ([], [3], [0, 7, 39], list(range(40))):
        assert 40 in followers(tables, 40, sentence)[-1]
    assert len(followers(tables, 40, [7, 3])) == 2


def test_long_rules():
    tables = lr_tables([(0, (0,) * 5000 + (~0,)), (0, (1,))], 2, 1, 0)
    assert tables.states == 5005 and tables.conflicts() == 0


def test_conflicts_are_kept():
    assert lr_tables([(0, (~0, ~0)), (0, (0,))], 1, 1, 0).conflicts() == 1
    assert lr_tables([(0, (~0, 1, ~0)), (0, (0,))], 2, 1, 0).conflicts() == 1
    assert lr_tables([(0, (0, ~0, 0)), (0, ())], 1, 1, 0).conflicts() > 0
    assert lr_tables([(0, (~1,)), (0, (~2,)), (1, (0,)), (2, (0,))], 1, 3, 0).conflicts() == 1


def test_5000_rules_in_seconds():
    rng = random.Random(3)
    rules = [(n, (n % 300,)) for n in range(1000)]
    for n in range(1000):
        for _ in range(4):
            symbols = [~min(n + rng.randint(1, 9), 999), rng.randrange(300)]
            rules.append((n, tuple(rng.choices(symbols, k=rng.randint(1, 5)))))
    lr_tables(rules[:50], 300, 1000, 0)
    began = time.process_time()
    tables = lr_tables(rules, 300, 1000, 0)
    assert time.process_time() - began < 20
    assert tables.states > 3000
