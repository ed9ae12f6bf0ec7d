"""The elementary constraints: `literal choice text contains starts_with ends_with substring regex`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Sequence

from dgemma_constrain.automata import nfa as fragments
from dgemma_constrain.automata.charset import ANY
from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.automata.suffix import factors
from dgemma_constrain.constraints.base import Concat, Constraint, Literal, check_text
from dgemma_constrain.constraints.regex import Pattern, parse
from dgemma_constrain.errors import ConstraintError


@dataclass(frozen=True)
class Choice(Constraint):
    """One of some texts."""

    options: tuple[str, ...]

    def nfa(self, limits: Limits) -> NFA:
        limits.check(sum(map(len, self.options)) > limits.states, f"a choice of {len(self.options):,} texts")
        return fragments.strings(self.options)


@dataclass(frozen=True)
class Text(Constraint):
    """Any Unicode text, the empty one included."""

    def nfa(self, limits: Limits) -> NFA:
        return fragments.star(fragments.symbol(ANY))


@dataclass(frozen=True)
class Substring(Constraint):
    """Any run of a source's words (or characters)."""

    source: str
    unit: str

    def _make_dfa(self, limits: Limits) -> DFA:
        return factors(self.source, self.unit, limits)

    def nfa(self, limits: Limits) -> NFA:
        return self.dfa(limits).nfa()


@dataclass(frozen=True)
class Regex(Constraint):
    """Texts that match a pattern; its named groups are fields."""

    pattern: str
    flavor: str
    ignore_case: bool
    search: bool

    @cached_property
    def _parsed(self) -> Pattern:
        return parse(self.pattern, self.flavor, self.ignore_case, self.search)

    def nfa(self, limits: Limits) -> NFA:
        return self._parsed.nfa(limits)

    def fields(self, text: str) -> dict[str, str]:
        return {k: v for k, v in (self._parsed.fields(text) or {}).items() if v is not None}

    def _why_empty(self) -> str:
        return f"no text matches the pattern {self.pattern!r:.80}"


def literal(text: str) -> Constraint:
    """Exactly this text."""
    return Literal(text)


def choice(options: Sequence[str]) -> Constraint:
    """One of these texts. Raises ConstraintError for an empty list."""
    if isinstance(options, str):
        raise ConstraintError("choice takes a list of texts, not one text; for one text use literal")
    options = tuple(options)
    if not options:
        raise ConstraintError("choice needs at least one text")
    for i, option in enumerate(options):
        check_text(option, f"option {i} of a choice")
    return Choice(options)


def text() -> Constraint:
    """Any Unicode text, the empty one included."""
    return Text()


def contains(phrase: str) -> Constraint:
    """Texts with this phrase somewhere in them."""
    return Concat((Text(), Literal(phrase), Text()))


def starts_with(phrase: str) -> Constraint:
    """Texts that begin so."""
    return Concat((Literal(phrase), Text()))


def ends_with(phrase: str) -> Constraint:
    """Texts that end so."""
    return Concat((Text(), Literal(phrase)))


def substring(source: str, unit: str = "word") -> Constraint:
    """Any run of the source's words, from the start of one to the end of one, with what stands between them as it is.

    A word is a run of letters, digits and underscores, or one other character that is no white space, so that both
    `Keller` and `Keller,` are runs of "Keller, 34". With unit="char": any non-empty run of characters.
    Raises ConstraintError if the source has none.
    """
    check_text(source, "the source of a substring")
    if unit not in ("word", "char"):
        raise ConstraintError(f'substring: unit must be "word" or "char", not {unit!r}')
    if not source or (unit == "word" and not source.strip()):
        raise ConstraintError(f"substring: the source has no {unit}s")
    return Substring(source, unit)


def regex(pattern: str, flavor: str = "python", *, ignore_case: bool = False, search: bool = False) -> Constraint:
    """Texts that match a regular expression, as a whole (or anywhere in them, with `search`).

    flavor: "python" (the syntax and meaning of `re`) or "ecma" (ECMA-262 with the u flag, what JSON Schema names).
    Raises RegexError, with the position, for what cannot be read or is not regular (back-references).
    """
    check_text(pattern, "a pattern")
    constraint = Regex(pattern, flavor, ignore_case, search)
    constraint._parsed  # so that errors come now
    return constraint
