"""Constraints with grammars in them that no automaton holds: their machine, and their cover.

Each such grammar is a hole in what is otherwise regular. With a mark in place of each hole the constraint is an
automaton, the skeleton of a composite; with each grammar's cover in its place it is the cover of the whole. Of `&` with a
grammar on one side, the other side is a filter, which is open while that side is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Callable

from dgemma_constrain.automata import nfa as fragments
from dgemma_constrain.automata.charset import ANY, Charset
from dgemma_constrain.automata.dfa import DFA, intersect
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.base import And, Concat, Constraint, Not
from dgemma_constrain.constraints.explain import short
from dgemma_constrain.constraints.grammar.composite import CompositeMachine, Parts
from dgemma_constrain.constraints.grammar.constraint import COVER_STATES
from dgemma_constrain.constraints.grammar.guesses import CALL, NONE
from dgemma_constrain.errors import ConstraintError, LimitExceeded

LOOSE = fragments.star(fragments.symbol(ANY))


@dataclass(frozen=True)
class Mark(Constraint):
    """A character that is no text."""

    number: int

    def nfa(self, limits: Limits) -> NFA:
        return fragments.symbol(Charset.marker(self.number))


@dataclass(frozen=True)
class Covered(Constraint):
    """An automaton in place of a grammar, of all its texts and more."""

    cover: NFA

    def nfa(self, limits: Limits) -> NFA:
        return self.cover


def cover(constraint: Constraint, limits: Limits) -> DFA:
    """An automaton of all its texts, and more.

    Where a text can be cut in many ways, covers that know much may make too many states together. Then of the grammar with
    the largest cover all strings of its characters must do, and so on.
    """
    covers: dict[Constraint, NFA] = {}

    def covered(part: Constraint) -> Constraint | None:
        if not part.is_nested(limits):
            return None
        if part not in covers:
            covers[part] = part.searched(limits).automaton.nfa()
        return Covered(covers[part])

    few = Limits(min(COVER_STATES, limits.states), limits.seconds)
    while True:
        try:
            return _rebuilt(constraint, covered, limits).dfa(few)
        except LimitExceeded:
            largest = max(covers, key=lambda part: covers[part].states)
            if covers[largest].states <= LOOSE.states:
                raise
            covers[largest] = fragments.star(fragments.symbol(largest.characters(limits)))


def machine(constraint: Constraint, limits: Limits) -> CompositeMachine:
    """The machine of exactly its texts. Raises ConstraintError where two grammars are to hold at once."""
    marks: list[tuple[int, int]] = []
    filters: list[DFA] = []
    grammars: list = []
    open_filters = 0

    def mark(slot: int, what: int) -> Constraint:
        if slot == CALL and (slot, what) in marks:
            return Mark(marks.index((slot, what)))
        marks.append((slot, what))
        return Mark(len(marks) - 1)

    def marked(part: Constraint) -> Constraint | None:
        nonlocal open_filters
        if part.is_nested(limits):
            if part.grammar not in grammars:
                grammars.append(part.grammar)
            return mark(CALL, grammars.index(part.grammar))
        if type(part) is And:
            one, others = one_side(part, limits)
            filters.append(reduce(lambda a, b: intersect(a, b, limits), (c.dfa(limits) for c in others)))
            slot, number = open_filters, len(filters) - 1
            open_filters += 1
            inside = _rebuilt(one, marked, limits)
            open_filters -= 1
            return Concat((mark(slot, number), inside, mark(slot, NONE)))
        return None

    skeleton = _rebuilt(constraint, marked, limits).dfa(limits)
    return CompositeMachine(Parts(skeleton, tuple(marks), tuple(filters), tuple(grammars)), limits)


def machine_if_needed(constraint: Constraint, limits: Limits) -> CompositeMachine | None:
    """`machine`, or None where there is none but an automaton holds the constraint. Raises ConstraintError."""
    try:
        return machine(constraint, limits)
    except ConstraintError as error:
        try:
            constraint.dfa(limits)
        except LimitExceeded:
            raise error from None
        return None


def one_side(both: And, limits: Limits) -> tuple[Constraint, list[Constraint]]:
    """The one side of an `&` that holds such grammars, and the others. Raises ConstraintError if there are more."""
    nested = [i for i in both.items if i.holds_nested(limits)]
    if len(nested) > 1:
        raise ConstraintError(
            f"& of {short(nested[0])} and {short(nested[1])}: both nest without bound, and whether two such grammars "
            "have a text in common can't be decided in general; give one of them a max_depth"
        )
    return nested[0], [i for i in both.items if i is not nested[0]]


def _rebuilt(constraint: Constraint, of: Callable[[Constraint], Constraint | None], limits: Limits) -> Constraint:
    """The same with what `of` makes of those of its parts that hold such grammars; where it is None, of their parts."""
    if not constraint.holds_nested(limits):
        return constraint
    new = of(constraint)
    if new is not None:
        return new
    if type(constraint) is Not:
        constraint.dfa(limits)  # says why this cannot be
    return constraint._with(tuple(_rebuilt(c, of, limits) for c in constraint._children()))
