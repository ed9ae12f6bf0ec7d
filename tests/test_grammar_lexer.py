"""Scanners decide as the rule says: priority, then length, then order."""

import random

import numpy as np
import pytest
from grammar_cases import LARK

from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.constraints.grammar.lexer import Lexer
from dgemma_constrain.errors import LimitExceeded

OVERLAPPING = r"""
start: ("if" | "IF"i | "ifx" | NAME | UPPER | HEX | NUMBER | FLOAT | LAZY | REST | "..")*
NAME: /[a-z_]\w*/
UPPER: /[A-Z]+/
HEX.1: /[0-9a-f]x?/
NUMBER: /\d+/
FLOAT: /\d+\.\d*/
LAZY.-1: /i.*?f+x?/
REST.-2: /[^.]+/
%ignore " "
"""


def by_the_rule(grammar, terminals, text):
    """(winner, end) of all matches at the beginning: the best by definition."""
    found = []
    for k in terminals:
        ends = [end for end in range(1, len(text) + 1) if grammar.terminals[k].dfa().accepts(text[:end])]
        found += [(grammar.terminals[k].priority, max(ends), -k)] if ends else []
    if not found:
        return -1, 0
    _, end, k = max(found)
    return -k, end


@pytest.mark.parametrize("text", [OVERLAPPING, *(case for case, _ in LARK.values())])
def test_winners_are_those_of_the_rule(text):
    grammar = read(text)
    lexer = Lexer(grammar)
    rng = random.Random(text)
    for _ in range(200):
        terminals = frozenset(rng.sample(range(len(grammar.terminals)), rng.randint(1, len(grammar.terminals))))
        sample = "".join(rng.choices("ifxIFa0159. \n\"'#/*=(", k=rng.randint(0, 8)))
        scanner = lexer.of(terminals)
        winner, end, read_, _ = scanner.next(lexer.classes(sample), 0)
        assert (winner, end) == by_the_rule(grammar, terminals, sample), sample
        assert end <= read_ <= len(sample)
        assert lexer.of(frozenset(sorted(terminals))) is scanner


def test_from_every_state_a_winner_can_be_reached():
    grammar = read(OVERLAPPING)
    scanner = Lexer(grammar).of(frozenset(range(len(grammar.terminals))))
    live = scanner.winner >= 0
    for _ in range(len(live)):
        targets = live[scanner.targets].astype(np.int64)
        sums = np.concatenate([[0], np.cumsum(targets)])
        live |= (sums[scanner.offsets[1:]] - sums[scanner.offsets[:-1]]) > 0
    assert live.all() and scanner.winner[0] == -1
    assert all(np.all(np.diff(scanner.symbols[a:b]) > 0) for a, b in zip(scanner.offsets, scanner.offsets[1:]))


def test_no_terminals_and_no_characters():
    grammar = read('start: "a"')
    lexer = Lexer(grammar)
    assert lexer.of(frozenset()).next(lexer.classes("a"), 0) == (-1, 0, 0, 0)
    assert lexer.of(frozenset([0])).next(lexer.classes("\ud800"), 0) == (-1, 0, 0, 0)


def test_limits():
    with pytest.raises(LimitExceeded, match="states"):
        Lexer(read("start: /[ab]*a[ab]{10}/ | /[ab]*b[ab]{11}c/"), Limits(states=3000)).of(frozenset([0, 1]))
