"""What constraints say of the grammars in them whose texts no automaton holds: how deep one nests, and what does hold them all.

A grammar's automaton leaves out texts nested deeper than the limits let it, if it isn't too large altogether. All
of them are read by a machine, which keeps a stack (see `compose`), searched for in a cover, or held by a pushdown system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.errors import LimitExceeded

if TYPE_CHECKING:
    from dgemma_constrain.automata.pushdown import Network
    from dgemma_constrain.constraints.base import Constraint
    from dgemma_constrain.constraints.grammar.machine import GrammarMachine


class Language(NamedTuple):
    """The texts of an automaton; with a machine, those that it accepts of them: the automaton is only a cover then."""

    automaton: DFA
    machine: GrammarMachine | None


class Nesting:
    """For constraints: what nests in them."""

    def depth(self, limits: Limits = Limits()) -> int | None:
        """How deep grammars in this constraint nest in its automaton; None if nothing is left out. Raises LimitExceeded.

        A canvas may know more: see `network`, and `searched`.
        """
        return min((d for c in self._children() if (d := c.depth(limits)) is not None), default=None)

    def wider(self, limits: Limits = Limits()) -> Constraint | None:
        """A constraint that lets through what is nested too deeply, whatever it is; None if nothing is left out."""
        if self.depth(limits) is None:
            return None
        return self._with(tuple(c.wider(limits) or c for c in self._children()))

    def is_nested(self, limits: Limits = Limits()) -> bool:
        """Whether this is a grammar not all of whose texts an automaton holds, and none was asked for."""
        return False

    def holds_nested(self, limits: Limits = Limits()) -> bool:
        """Whether there is such a grammar in it."""
        return self.is_nested(limits) or any(c.holds_nested(limits) for c in self._children())

    def machine(self, limits: Limits = Limits()) -> GrammarMachine | None:
        """What reads exactly the texts of this constraint, if there are such grammars in it. Made once.

        Raises ConstraintError for what cannot be read so, nor by an automaton.
        """
        if "_machine" not in self.__dict__:
            from dgemma_constrain.constraints import compose

            self.__dict__["_machine"] = compose.machine_if_needed(self, limits) if self.holds_nested(limits) else None
        return self.__dict__["_machine"]

    def searched(self, limits: Limits = Limits()) -> Language | None:
        """All texts of this constraint, for a search, where `dfa` does not hold them; None if it does. Made once.

        Raises LimitExceeded; ConstraintError for what cannot be searched.
        """
        if "_search" not in self.__dict__:
            self.__dict__["_search"] = self._make_search(limits) if self.holds_nested(limits) else None
        return self.__dict__["_search"]

    def _make_search(self, limits: Limits) -> Language:
        from dgemma_constrain.constraints import compose

        return Language(compose.cover(self, limits), self.__dict__.get("_machine") or compose.machine(self, limits))

    def network(self, limits: Limits = Limits()) -> Network | None:
        """All texts of this constraint, nested to any depth, as a pushdown system; None if there is none. Raises LimitExceeded."""
        return None

    def language(self, limits: Limits = Limits()) -> Language:
        """`dfa`, or `searched` if it is too large. Raises LimitExceeded."""
        try:
            return Language(self.dfa(limits), None)
        except LimitExceeded:
            found = self.searched(limits)
            if found is None:
                raise
            return found
