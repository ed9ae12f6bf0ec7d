"""Constraints: immutable descriptions of a set of texts, with `& | ~ +` and `repeat`.

A constraint knows how to build itself as an NFA fragment over characters. Everything asked of it on text (`matches`,
`explain`, `fields`) and everything the canvas needs is read off its minimal DFA, made on first use and kept.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from dgemma_constrain.automata import nfa as fragments
from dgemma_constrain.automata.dfa import DFA, compile_nfa, complement, intersect, subtract
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.explain import Mismatch, by_automaton, by_machine, short, why_no_complement
from dgemma_constrain.constraints.nesting import Language, Nesting
from dgemma_constrain.constraints.remembering import Remembering
from dgemma_constrain.constraints.split import split
from dgemma_constrain.errors import ConstraintError, EmptyConstraint, LimitExceeded


class Constraint(Nesting, Remembering):
    """A set of texts. Subclasses are frozen dataclasses that implement `nfa`."""

    def nfa(self, limits: Limits) -> NFA:
        """This set as an NFA fragment over characters. Raises LimitExceeded."""
        raise NotImplementedError

    def dfa(self, limits: Limits = Limits()) -> DFA:
        """The minimal automaton, made once. Raises LimitExceeded."""
        if "_dfa" not in self.__dict__:
            try:
                self.__dict__["_dfa"] = self._make_dfa(limits)
            except RecursionError:
                raise LimitExceeded("this constraint is nested too deeply; build it from flatter parts") from None
        return self.__dict__["_dfa"]

    def _make_dfa(self, limits: Limits) -> DFA:
        return compile_nfa(self.nfa(limits), limits)

    def matches(self, text: str) -> bool:
        """Whether the whole text satisfies the constraint."""
        machine = self.machine()
        return self.dfa().accepts(text) if machine is None else len(text) in machine.ends(text)

    def explain(self, text: str) -> Mismatch | None:
        """None if the text matches; otherwise the first wrong place and what could stand there."""
        machine = self.machine()
        return by_automaton(self.dfa(), text) if machine is None else by_machine(machine, text)

    def ends(self, text: str) -> Callable[[int], list[int]]:
        """A function from a place in a text to all places, ascending, where a match that begins there may end."""
        machine = self.machine()
        if machine is not None:
            return lambda start: [start + n for n in machine.ends(text, start)]
        dfa = self.dfa()
        classes = dfa.alphabet.of(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32))
        return lambda start: (start + np.flatnonzero(dfa.accept[dfa.path(classes[start:])])).tolist()

    def fields(self, text: str) -> dict[str, str]:
        """What a matching text holds in each named part; {} where nothing is named."""
        return {}

    def value(self, text: str) -> Any:
        """What a matching text means: the parsed value under a JSON schema, otherwise None."""
        return None

    @property
    def narrowed(self) -> tuple:
        """What a schema in it leaves out: see `JsonSchema.narrowed`."""
        return sum((c.narrowed for c in self._children()), ())

    def _children(self) -> tuple[Constraint, ...]:
        """All the constraints that this one is made of."""
        return ()

    def _with(self, children: tuple[Constraint, ...]) -> Constraint:
        """The same made of others."""
        raise NotImplementedError

    def lifting(self, limits: Limits) -> Limits:
        """What of the limits its lift to a vocabulary may take."""
        return limits

    def grown(self, error: LimitExceeded, limits: Limits) -> LimitExceeded:
        """The same error, with the part that grew, where that is known."""
        return error

    def check_not_empty(self) -> None:
        """Raise EmptyConstraint, naming the smallest part that contradicts itself, if no text matches."""
        if self.dfa().is_empty:
            for part in self.parts():
                part.check_not_empty()
            raise EmptyConstraint(self._why_empty())

    def parts(self) -> tuple[Constraint, ...]:
        """The constraints this one is put together from, where an empty part makes the whole empty."""
        return ()

    def _why_empty(self) -> str:
        return f"no text satisfies {short(self)}"

    def __and__(self, other: Constraint | str) -> Constraint:
        return And((*_flat(self, And), *_flat(as_constraint(other), And)))

    def __rand__(self, other: Constraint | str) -> Constraint:
        return as_constraint(other) & self

    def __or__(self, other: Constraint | str) -> Constraint:
        return Or((*_flat(self, Or), *_flat(as_constraint(other), Or)))

    def __ror__(self, other: Constraint | str) -> Constraint:
        return as_constraint(other) | self

    def __add__(self, other: Constraint | str) -> Constraint:
        return Concat((*_flat(self, Concat), *_flat(as_constraint(other), Concat)))

    def __radd__(self, other: Constraint | str) -> Constraint:
        return as_constraint(other) + self

    def __invert__(self) -> Constraint:
        return Not(self)

    def repeat(self, least: int = 0, most: int | None = None) -> Constraint:
        """This, from `least` to `most` times in a row (None: as often as you like)."""
        for bound in (least, 0 if most is None else most):
            if not isinstance(bound, int) or isinstance(bound, bool) or bound < 0:
                raise ConstraintError(f"repeat({least!r}, {most!r}): bounds are whole numbers from 0 up")
        if most is not None and most < least:
            raise ConstraintError(f"repeat({least}, {most}): the upper bound is below the lower one")
        return Repeat(self, least, most)


@dataclass(frozen=True)
class Literal(Constraint):
    """Exactly one text."""

    text: str

    def __post_init__(self) -> None:
        check_text(self.text, "a literal")

    def nfa(self, limits: Limits) -> NFA:
        limits.check(len(self.text) > limits.states, f"a literal of {len(self.text):,} characters")
        return fragments.literal(self.text)


@dataclass(frozen=True)
class And(Constraint):
    """Texts in all of them."""

    items: tuple[Constraint, ...]

    def _make_dfa(self, limits: Limits) -> DFA:
        return functools.reduce(lambda a, b: intersect(a, b, limits), (i.dfa(limits) for i in self.items))

    def _make_search(self, limits: Limits) -> Language:
        """Of one item; the others are put into its cover, which is exact for them."""
        from dgemma_constrain.constraints import compose

        one, others = compose.one_side(self, limits)
        cover, machine = one.searched(limits)
        for other in others:
            cover = intersect(cover, other.dfa(limits), limits)
        return Language(cover, machine)

    def nfa(self, limits: Limits) -> NFA:
        return self.dfa(limits).nfa()

    def fields(self, text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for item in reversed(self.items):  # of equal names the first counts
            found.update(item.fields(text))
        return found

    def value(self, text: str) -> Any:
        return next((v for i in self.items if (v := i.value(text)) is not None), None)

    def matches(self, text: str) -> bool:
        return all(i.matches(text) for i in self.items)

    def explain(self, text: str) -> Mismatch | None:
        """Where all of them together go wrong, or, where they have no automaton together, the first that does."""
        if self.matches(text):
            return None
        if sum(i.holds_nested() for i in self.items) < 2:
            try:
                return super().explain(text)
            except LimitExceeded:
                pass
        wrong = [mismatch for i in self.items if (mismatch := i.explain(text)) is not None]
        return min(wrong, key=lambda mismatch: mismatch.position, default=None)

    def parts(self) -> tuple[Constraint, ...]:
        return self.items

    _children = parts

    def _with(self, children: tuple[Constraint, ...]) -> Constraint:
        return And(children)

    def _why_empty(self) -> str:
        both = self.items[0].dfa()
        for k in range(1, len(self.items)):
            both = intersect(both, self.items[k].dfa())
            if both.is_empty:
                before = " & ".join(map(short, self.items[:k]))
                return f"no text satisfies both {before:.200} and {short(self.items[k])}; loosen one side of the &"
        return super()._why_empty()


@dataclass(frozen=True)
class Or(Constraint):
    """Texts in any of the alternatives."""

    alternatives: tuple[Constraint, ...]

    def nfa(self, limits: Limits) -> NFA:
        return fragments.union([a.nfa(limits) for a in self.alternatives])

    def matches(self, text: str) -> bool:
        return any(a.matches(text) for a in self.alternatives)

    def explain(self, text: str) -> Mismatch | None:
        """Where all of them have gone wrong: the last place at which one does, where they have no automaton together."""
        if self.matches(text):
            return None
        try:
            return super().explain(text)
        except LimitExceeded:
            wrong = [mismatch for a in self.alternatives if (mismatch := a.explain(text)) is not None]
            return max(wrong, key=lambda mismatch: mismatch.position, default=None)

    def _children(self) -> tuple[Constraint, ...]:
        return self.alternatives

    def _with(self, children: tuple[Constraint, ...]) -> Constraint:
        return Or(children)

    def fields(self, text: str) -> dict[str, str]:
        return next((a.fields(text) for a in self.alternatives if a.matches(text)), {})

    def value(self, text: str) -> Any:
        return next((a.value(text) for a in self.alternatives if a.matches(text)), None)


@dataclass(frozen=True)
class Not(Constraint):
    """Every text that does not match."""

    inner: Constraint

    def _make_dfa(self, limits: Limits) -> DFA:
        if why := why_no_complement(self.inner, limits):
            raise ConstraintError(why)
        return complement(self.inner.dfa(limits), limits)

    def _children(self) -> tuple[Constraint, ...]:
        return (self.inner,)

    def nfa(self, limits: Limits) -> NFA:
        return self.dfa(limits).nfa()


@dataclass(frozen=True)
class Concat(Constraint):
    """One after the other. Where a text can be cut in several ways, each part takes as much as it can, left first."""

    items: tuple[Constraint, ...]

    def nfa(self, limits: Limits) -> NFA:
        return fragments.concat([i.nfa(limits) for i in self.items])

    def fields(self, text: str) -> dict[str, str]:
        pieces = split(text, [i.ends(text) for i in self.items])
        found: dict[str, str] = {}
        for item, piece in zip(self.items, pieces or ()):
            found.update(item.fields(piece))
        return found

    def parts(self) -> tuple[Constraint, ...]:
        return self.items

    _children = parts

    def _with(self, children: tuple[Constraint, ...]) -> Constraint:
        return Concat(children)


@dataclass(frozen=True)
class Repeat(Constraint):
    """The same several times in a row."""

    inner: Constraint
    least: int
    most: int | None

    def nfa(self, limits: Limits) -> NFA:
        part, least = self.inner.nfa(limits), self.least
        copies = self.most or self.least
        if copies > 4:  # many copies of the smallest form there is
            dfa = self.inner.dfa(limits)
            if dfa.accept[0]:  # copies that may be left out altogether, rather than each be empty: no long ways of ε
                dfa, least = subtract(dfa, compile_nfa(fragments.EPSILON), limits), 0
            part = dfa.nfa()
        limits.check(copies * part.states > 4 * limits.states, f"{copies:,} copies of {short(self.inner)}")
        return fragments.repeat(part, least, self.most)

    def parts(self) -> tuple[Constraint, ...]:
        return (self.inner,) if self.least else ()

    def _children(self) -> tuple[Constraint, ...]:
        return (self.inner,)

    def _with(self, children: tuple[Constraint, ...]) -> Constraint:
        return Repeat(*children, self.least, self.most)


def as_constraint(what: Constraint | str) -> Constraint:
    """A text stands for itself."""
    if isinstance(what, Constraint):
        return what
    if isinstance(what, str):
        return Literal(what)
    raise ConstraintError(f"a constraint or a text is needed here, not {type(what).__name__}: {what!r:.60}")


def check_text(text: object, what: str) -> None:
    """Raise ConstraintError unless `text` is a str that can be written in UTF-8."""
    if not isinstance(text, str):
        raise ConstraintError(f"{what} must be a str, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConstraintError(f"{what} holds half a surrogate pair at position {error.start}, so is no text") from None


def _flat(constraint: Constraint, kind: type) -> tuple[Constraint, ...]:
    if type(constraint) is not kind:
        return (constraint,)
    return constraint.alternatives if kind is Or else constraint.items
