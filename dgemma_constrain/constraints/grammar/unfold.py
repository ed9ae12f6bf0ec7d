"""A grammar as automata over characters: exact if nothing is nested without end, otherwise exact up to a depth."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property

import numpy as np

from dgemma_constrain.automata.charset import ANY, Charset, char
from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.lr_tables import derivable
from dgemma_constrain.automata.nfa import EPSILON, NFA, NOTHING, concat, star, symbol, union
from dgemma_constrain.constraints.grammar.lexer import Lexer
from dgemma_constrain.constraints.grammar.nesting import Nesting
from dgemma_constrain.constraints.grammar.rules import Grammar
from dgemma_constrain.constraints.grammar.spelling import DEEP, spell
from dgemma_constrain.errors import LimitExceeded

STATES = 20_000  # an automaton grows with the depth; without a depth that is asked for, it may grow so far
SHALLOW = 1  # what cannot be unfolded so deep is searched instead
DEEPEST = 64


class Unfolded:
    """A grammar with nesting up to `depth` (None: nothing is nested, and the texts are exactly the grammar's).

    max_depth: the depth asked for, or None for the largest that keeps the automaton under STATES states.
    Raises LimitExceeded if it grows past the limits at the smallest depth that has any text.
    """

    def __init__(self, grammar: Grammar, max_depth: int | None, limits: Limits):
        self.grammar, self.limits = grammar, limits
        self._lexer = None if grammar.scannerless else Lexer(grammar, limits)
        nesting = self._nesting()
        if not nesting.is_nested():
            self.depth, self.dfa = None, self._at(0, nesting, limits)
        elif max_depth is not None:
            self.depth, self.dfa = max_depth, self._at(max_depth, nesting, limits)
        else:
            self.depth, self.dfa = self._deepest(nesting)

    @cached_property
    def wider(self) -> DFA:
        """At least the grammar's texts: what is nested too deeply may be anything, between what opens and closes it.

        Terminals may be cut anywhere here, so that nothing depends on which of them could come next.
        """
        if self.depth is None:
            return self.dfa
        ignored = star(union([self.grammar.terminals[k].dfa(self.limits).nfa() for k in self.grammar.ignore]))
        limits = self._small
        anything = star(symbol(ANY))
        loose = Nesting(
            self.grammar,
            lambda k: concat([ignored, self.grammar.terminals[k].dfa(limits).nfa()]),
            lambda n: anything,
        )
        for depth in sorted({self.depth >> k for k in range(self.depth.bit_length() + 1)}, reverse=True):
            with suppress(LimitExceeded):
                return compile_nfa(concat([loose.dfa(depth, limits).nfa(), ignored]), limits)
        return compile_nfa(anything)

    def _deepest(self, nesting: Nesting) -> tuple[int, DFA]:
        limits = self._small
        sizes: list[int] = []
        best = None
        depth = 0
        while depth <= DEEPEST:
            try:
                dfa = self._at(depth, nesting, limits)
            except LimitExceeded:
                break
            if best is not None and dfa.states > STATES:
                break
            if not dfa.is_empty:
                best = depth, dfa
            sizes.append(dfa.states)
            grows = np.diff(sizes[-3:])
            if len(grows) == 2 and 0 < grows[1] <= grows[0]:  # by the same at each level: the last one can be foreseen
                depth = max(depth, min(DEEPEST - 1, depth + (STATES - dfa.states) // int(grows[1]) - 1))
            depth += 1
        if best is None or best[0] < SHALLOW:
            raise LimitExceeded(
                f"this grammar nests in too many ways: unfolded {depth} deep it needs more than "
                f"{limits.states:,} states; leave out rules, or ask for a smaller max_depth"
            )
        return best

    @property
    def _small(self) -> Limits:
        """On the way to STATES minimal states."""
        return Limits(min(2 * STATES, self.limits.states), self.limits.seconds)

    def _at(self, depth: int, nesting: Nesting, limits: Limits) -> DFA:
        sentences = nesting.dfa(depth, limits)
        return sentences if self._lexer is None else spell(sentences, self._lexer, limits)

    def _nesting(self) -> Nesting:
        if self._lexer is None:
            terminals = self.grammar.terminals
            return Nesting(self.grammar, lambda k: terminals[k].dfa(self.limits).nfa(), lambda n: NOTHING)
        return Nesting(self.grammar, lambda k: symbol(char(chr(k))), self._traps.__getitem__)

    @cached_property
    def _traps(self) -> list[NFA]:
        """For every nonterminal: what it may begin with, then the mark that the rest is nested too deeply. So the lexer
        knows all that may come next there."""
        empty = derivable(self.grammar.rules, lambda terminal: False)
        first = first_terminals(self.grammar, empty)
        traps = [concat([symbol(Charset.ranges([(k, k) for k in sorted(f)])), symbol(DEEP)]) for f in first]
        return [union([trap, EPSILON]) if n in empty else trap for n, trap in enumerate(traps)]


def first_terminals(grammar: Grammar, empty: set[int]) -> list[set[int]]:
    """The terminals that each nonterminal can begin with, by a worklist over who begins with whom."""
    first: list[set[int]] = [set() for _ in grammar.nonterminals]
    heads: list[set[int]] = [set() for _ in grammar.nonterminals]  # that can begin with this one
    for rule in grammar.rules:
        for s in rule.body:
            if s >= 0:
                first[rule.head].add(s)
                break
            heads[~s].add(rule.head)
            if ~s not in empty:
                break
    agenda = list(range(len(first)))
    while agenda:
        n = agenda.pop()
        for head in heads[n]:
            if not first[n] <= first[head]:
                first[head] |= first[n]
                agenda.append(head)
    return first
