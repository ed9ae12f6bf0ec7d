"""A grammar as a constraint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from dgemma_constrain.automata.charset import EMPTY, Charset
from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.base import Constraint, Mismatch
from dgemma_constrain.constraints.grammar import read, rules
from dgemma_constrain.constraints.nesting import Language
from dgemma_constrain.errors import ConstraintError, LimitExceeded

if TYPE_CHECKING:
    from dgemma_constrain.automata.pushdown import Network
    from dgemma_constrain.constraints.grammar.machine import GrammarMachine

COVER_STATES = 200_000  # before it is minimal; a larger one would be too slow for a step


@dataclass(frozen=True)
class Grammar(Constraint):
    """The sentences of a context-free grammar.

    `matches` and `explain` know every nesting; the automaton those up to `depth()`. With a small `network` a canvas knows
    every nesting, too; otherwise what is nested more deeply is searched for.
    """

    grammar: rules.Grammar
    max_depth: int | None

    def nfa(self, limits: Limits) -> NFA:
        return self.dfa(limits).nfa()

    def _make_dfa(self, limits: Limits) -> DFA:
        return self._unfolded(limits).dfa

    def _unfolded(self, limits: Limits):
        if "_made" not in self.__dict__:
            from dgemma_constrain.constraints.grammar.unfold import Unfolded

            tried, reason = self.__dict__.get("_failed", (None, ""))
            if tried != limits:
                try:
                    self.__dict__["_made"] = Unfolded(self.grammar, self.max_depth, limits)
                    return self.__dict__["_made"]
                except LimitExceeded as error:
                    reason = str(error)
                    self.__dict__["_failed"] = limits, reason
            if self.max_depth is None:
                raise LimitExceeded(reason)
            raise LimitExceeded(
                f"unfolded {self.max_depth} deep, as max_depth asks, this grammar is too large ({reason}); "
                "ask for less, or leave max_depth out: then it is searched, to any depth"
            )
        return self.__dict__["_made"]

    def depth(self, limits: Limits = Limits()) -> int | None:
        return self._unfolded(limits).depth

    def wider(self, limits: Limits = Limits()) -> Constraint | None:
        return None if self.depth(limits) is None else Wider(self)

    def is_nested(self, limits: Limits = Limits()) -> bool:
        try:
            return self.max_depth is None and self.depth(limits) is not None
        except LimitExceeded:
            return True

    def machine(self, limits: Limits = Limits()) -> GrammarMachine | None:
        return self._own_machine(limits) if self.is_nested(limits) else None

    def _own_machine(self, limits: Limits) -> GrammarMachine:
        if "_machine" not in self.__dict__:
            from dgemma_constrain.constraints.grammar.machine import GrammarMachine

            self.__dict__["_machine"] = GrammarMachine(self.grammar, limits)
        return self.__dict__["_machine"]

    def searched(self, limits: Limits = Limits()) -> Language | None:
        """Of any grammar for which no depth was asked for, nested or not."""
        if self.max_depth is not None:
            return None
        if "_search" not in self.__dict__:
            self.__dict__["_search"] = self._make_search(limits)
        return self.__dict__["_search"]

    def _make_search(self, limits: Limits) -> Language:
        from dgemma_constrain.constraints.grammar.cover import cover

        machine = self._own_machine(limits)
        few = Limits(min(COVER_STATES, limits.states), limits.seconds)
        return Language(cover(machine.tables, machine.terminals, machine.lexer, few), machine)

    def characters(self, limits: Limits) -> Charset:
        """All that occur in its texts, and more."""
        alphabets = [terminal.dfa(limits).alphabet for terminal in self.grammar.terminals]
        return reduce(or_, (a.charset(range(a.size)) for a in alphabets), EMPTY)

    def network(self, limits: Limits = Limits()) -> Network | None:
        if self.max_depth is not None:
            return None
        if "_network" not in self.__dict__:
            from dgemma_constrain.automata.pushdown import merged
            from dgemma_constrain.constraints.grammar.network import network

            found = network(self.grammar, limits)
            self.__dict__["_network"] = found and merged(found)
        return self.__dict__["_network"]

    def matches(self, text: str) -> bool:
        return self.explain(text) is None

    def explain(self, text: str) -> Mismatch | None:
        from dgemma_constrain.constraints.grammar.recognise import first_mismatch

        return first_mismatch(self.grammar, text)


@dataclass(frozen=True)
class Wider(Constraint):
    """At least the sentences of a grammar: what its automaton does not reach may be anything."""

    grammar: Grammar

    def nfa(self, limits: Limits) -> NFA:
        return self.dfa(limits).nfa()

    def _make_dfa(self, limits: Limits) -> DFA:
        return self.grammar._unfolded(limits).wider


def grammar(
    source: str | Path,
    start: str | None = None,
    max_depth: int | None = None,
    dialect: str | None = None,
    import_paths: Sequence[str | Path] = (),
) -> Constraint:
    """Texts that a context-free grammar derives.

    source: Lark's notation or llama.cpp's GBNF, as a text; a file that ends in .lark or .gbnf; or the name of a
    grammar that comes with the package, such as "json". start: the rule for a whole text ("start", "root" in GBNF).
    How a text is cut into terminals is told in `constraints/grammar/lexer.py`.

    max_depth: how often something may stand inside itself on a canvas. Without it, as often as it likes: exactly, by a
    chart, if the grammar is small, and otherwise by a search beyond what an automaton holds. `depth()` says how often
    that is, and None if nothing is nested without end. `matches` has no such bound. Raises GrammarError with line and column.
    """
    if max_depth is not None and (not isinstance(max_depth, int) or isinstance(max_depth, bool) or max_depth < 0):
        raise ConstraintError(f"max_depth must be a whole number from 0 up, not {max_depth!r}")
    return Grammar(read(source, start, dialect, import_paths), max_depth)
