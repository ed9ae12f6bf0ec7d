"""Grammars put together: the machine of a composite, which is an automaton that calls grammars.

All grammars of a composite have one lexer and one set of tables. The rule of a whole text of grammar g is written between
two terminals of its own that are no text: the stacks after the first are where its texts begin, and where the second
may follow they may end. So no two grammars share a state, and a set of terminals that may follow says whose it is.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.alphabet import members
from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.kernels import sources
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.lr_tables import lr_tables
from dgemma_constrain.automata.product import split_symbols
from dgemma_constrain.automata.stacks import advance, first_set
from dgemma_constrain.constraints.grammar.configurations import all_items, needs
from dgemma_constrain.constraints.grammar.guesses import CALL, ITEMS, NONE, Composite
from dgemma_constrain.constraints.grammar.lexer import Lexer, Scanner
from dgemma_constrain.constraints.grammar.machine import GrammarMachine, by_class, of_classes, shortest_texts
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule
from dgemma_constrain.constraints.grammar.spans import Automata, joined, side_by_side, singles


class Parts(NamedTuple):
    """What a composite is made of, as plain data.

    skeleton  over characters and marks, `Charset.marker(k)` being mark k
    marks     (CALL, number of a grammar), (slot, number of a filter) to open it, or (slot, NONE) to close it
    filters, grammars
    """

    skeleton: DFA
    marks: tuple[tuple[int, int], ...]
    filters: tuple[DFA, ...]
    grammars: tuple[Grammar, ...]


class CompositeMachine(GrammarMachine):
    """As the machine of a grammar."""

    def __init__(self, parts: Parts, limits: Limits = Limits()):
        self.parts = parts
        grammars, automata = parts.grammars, (parts.skeleton, *parts.filters)
        own = [[dfa.alphabet.charset([c]) for c in range(dfa.alphabet.size)] for dfa in automata]
        lexed = [g for g in grammars if not g.scannerless]
        terminals = tuple(t for g in lexed for t in g.terminals)
        also = [c for row in own for c in row] + [Charset.marker(k) for k in range(len(parts.marks))]
        for grammar in grammars:
            if grammar.scannerless:
                dfas = [t.dfa(limits) for t in grammar.terminals]
                also += [dfa.alphabet.charset([c]) for dfa in dfas for c in range(dfa.alphabet.size)]
        lexer = Lexer(Grammar(terminals, (), (), (), 0), limits, list(dict.fromkeys(also)))
        # Terminals: the classes, if a grammar has no lexer; those of all lexers; of each grammar its begin and its end.
        self._base = lexer.alphabet.size if len(lexed) < len(grammars) else 0
        limit = first = self._base + len(terminals)
        limit += 2 * len(grammars)
        self._owner: dict[int, int] = {}
        self._ignores: list[frozenset[int]] = []
        rules: list[Rule] = []
        nonterminals, next_terminal, whole = 0, self._base, []
        for k, grammar in enumerate(grammars):
            begin, end, shift = first + 2 * k, first + 2 * k + 1, 0
            if grammar.scannerless:
                some, count = by_class(grammar, lexer, limits)
            else:
                some, count, shift = grammar.rules, len(grammar.nonterminals), next_terminal
                next_terminal += len(grammar.terminals)
                self._owner |= dict.fromkeys([*range(shift, next_terminal), end], k)
            self._ignores.append(frozenset(shift + t for t in grammar.ignore))
            for head, body in some:
                rules.append(Rule(head + nonterminals, tuple(s + shift if s >= 0 else s - nonterminals for s in body)))
            whole.append((begin, ~(grammar.start + nonterminals), end))
            nonterminals += count
        rules += [Rule(nonterminals, body) for body in whole]
        tables = lr_tables(rules, limit, nonterminals + 1, nonterminals, limits)
        length = np.zeros(limit, np.int32)
        length[: self._base] = 1
        length[self._base : first] = shortest_texts(lexer.grammar, limits)
        ignored = np.isin(np.arange(limit), [t for some in self._ignores for t in some])
        self.begins, ends = range(first, limit, 2), [*range(first + 1, limit, 2)]
        self.whole = limit + 1 + nonterminals  # the head of these rules
        self._set_up(lexer, tables, length, ignored, ends, self._composite(own, lexer))

    def _composite(self, own: list[list[Charset]], lexer: Lexer) -> Composite:
        """With what is not known before the tables are: the starts, and what needs the grammars' shortest texts."""
        parts, rows, states, edges = self.parts, [], 0, 0
        firsts = []
        for dfa, charsets in zip((parts.skeleton, *parts.filters), own):
            offsets, symbols, targets = split_symbols(
                dfa.offsets, dfa.symbols, dfa.targets, *members(lexer.alphabet, charsets)
            )
            rows.append((offsets[:-1] + edges, symbols, targets + states, dfa.accept))
            firsts.append(states)
            states, edges = states + dfa.states, edges + len(symbols)
        offsets, symbols, targets, accept = map(np.concatenate, zip(*rows))
        marks = [(slot, what if slot == CALL or what == NONE else firsts[1 + what]) for slot, what in parts.marks]
        slots = 1 + max((slot for slot, _ in marks), default=-1)
        return Composite(
            np.append(offsets, edges).astype(np.int64), symbols.astype(np.int32), targets.astype(np.int32), accept,
            np.zeros(states, np.int32), np.array(marks, np.int32).reshape(-1, 2),
            np.zeros(len(parts.grammars), np.int64), np.full((ITEMS, 2 + slots), NONE, np.int32),
        )  # fmt: skip

    def _begin(self) -> int:
        composite = self.machine.composite
        for k, terminal in enumerate(self.begins):
            whole = first_set(self.machine.stacks.heap)
            begun = self._ask(lambda machine: advance(machine.stacks, np.int64(whole), np.int64(terminal)))
            composite.starts[k] = self._first(begun) if begun >= 0 else NONE
        cost = [
            self.shortest(int(composite.starts[what])) if slot == CALL and composite.starts[what] != NONE else 0
            for slot, what in composite.marks.tolist()
        ]
        composite.need[:] = needs(*composite[:4], self.machine.classes, np.array(cost, np.int32))
        return self._ask(self._first_items)

    @staticmethod
    def _first_items(machine) -> int:
        machine.composite.items[0] = NONE
        machine.composite.items[0, 0] = 0
        return all_items(machine, np.int64(1))

    @cached_property
    def edges(self) -> np.ndarray:
        """What leads on in the skeleton: state, state, and a class, or `classes` + a mark; int32[n, 3]."""
        offsets, symbols, targets = self.machine.composite[:3]
        last = offsets[self.parts.skeleton.states]
        return np.stack([sources(offsets)[:last], targets[:last], symbols[:last]], axis=1).astype(np.int32)

    @cached_property
    def characters(self) -> np.ndarray:
        """The classes of characters that the skeleton reads."""
        symbols = self.edges[:, 2]
        return np.unique(symbols[symbols < self.machine.classes])

    @cached_property
    def automata(self) -> Automata:
        """How the terminals are spelt, and after them the `characters`.

        What stands in a part is cut as if nothing came after it. So a terminal may end, though it would match on, before
        all that may follow a part.
        """
        none = np.zeros(2 * len(self.begins) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32)
        empty = (*none, np.zeros(len(none[0]) - 1, bool), np.arange(len(none[0]), dtype=np.int32))
        spelt = joined([singles(np.arange(self._base)), self.lexer.automata, empty, singles(self.characters)])
        return side_by_side(*spelt, self._stops())

    def _stops(self) -> np.ndarray:
        source, target, symbol = self.edges.T
        call = np.zeros(self.machine.classes + len(self.parts.marks), bool)
        call[self.machine.classes :] = [slot == CALL for slot, _ in self.parts.marks]
        behind = np.zeros(self.parts.skeleton.states, bool)
        behind[target[call[symbol]]] = True
        marks = symbol >= self.machine.classes
        for _ in self.parts.filters:  # of which each may be closed there, and another one opened
            behind[target[marks & behind[source]]] = True
            behind[target[marks & behind[source]]] = True
        stops = np.zeros(self.alphabet.size, bool)
        stops[symbol[behind[source] & ~marks]] = True
        return np.full_like(stops, True) if (behind[source] & call[symbol]).any() else stops

    def _scanner(self, followers: frozenset[int]) -> Scanner:
        owner = next((self._owner[t] for t in followers if t in self._owner), None)
        wanted = followers - self.ending
        if owner is None:
            return of_classes(wanted)
        scanner = self.lexer.of(frozenset(t - self._base for t in wanted | self._ignores[owner]))
        winner = np.where(scanner.winner < 0, scanner.winner, scanner.winner + self._base).astype(np.int32)
        return Scanner(scanner.offsets, scanner.symbols, scanner.targets, winner)
