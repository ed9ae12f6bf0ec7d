"""Templates: fixed text with named holes, each under its own constraint."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dgemma_constrain.automata import nfa as fragments
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.base import Constraint, Literal, as_constraint, check_text
from dgemma_constrain.constraints.split import split
from dgemma_constrain.errors import TemplateError

MAX_VALUES = 10_000  # of all repeated holes together: the language is a union over them


@dataclass(frozen=True)
class Template(Constraint):
    """`pieces` alternate: fixed text, hole, fixed text, … ; the names of the holes stand at the odd places."""

    source: str
    pieces: tuple[str, ...]
    holes: tuple[tuple[str, Constraint], ...]

    def _versions(self) -> list[dict[str, Constraint]]:
        """The holes' constraints, once for each way to fill the holes that stand more than once.

        Equality of two holes is not regular, but over finitely many values it is a finite union of templates in which
        both places hold the same literal.
        """
        holes = dict(self.holes)
        names = self.pieces[1::2]
        twice = [n for n in holes if names.count(n) > 1]
        total = 1
        for name in twice:
            count = holes[name].dfa().count()
            if count is None:
                raise self._never_equal(name)
            total *= count
            if total > MAX_VALUES:
                raise TemplateError(
                    f"the holes that stand more than once ({', '.join(twice)}) allow more than {MAX_VALUES:,} "
                    "combinations; narrow their constraints or give the holes other names"
                )
        values = [list(holes[n].dfa().words()) for n in twice]
        return [{**holes, **dict(zip(twice, map(Literal, combo)))} for combo in itertools.product(*values)]

    def _never_equal(self, name: str) -> TemplateError:
        return TemplateError(
            f"the hole {{{name}}} stands {self.pieces[1::2].count(name)} times, but allows infinitely many texts, and "
            "their equality cannot be kept by a finite automaton; bound its constraint or rename the holes"
        )

    def _children(self) -> tuple[Constraint, ...]:
        return tuple(constraint for _, constraint in self.holes)

    def _with(self, children: tuple[Constraint, ...]) -> Constraint:
        for (name, old), new in zip(self.holes, children):
            if new is not old and self.pieces[1::2].count(name) > 1:  # a grammar
                raise self._never_equal(name)
        return Template(self.source, self.pieces, tuple((name, c) for (name, _), c in zip(self.holes, children)))

    def _sequence(self, holes: dict[str, Constraint]) -> list[Constraint]:
        return [holes[p] if i % 2 else Literal(p) for i, p in enumerate(self.pieces)]

    def nfa(self, limits: Limits) -> NFA:
        # Each hole in its minimal form: what a hole's own look-around or & did stays inside the hole.
        minimal = {name: constraint.dfa(limits).nfa() for name, constraint in self.holes}
        versions = []
        for holes in self._versions():
            named = [(holes[p], minimal[p]) if i % 2 else (Literal(p), None) for i, p in enumerate(self.pieces)]
            versions.append(fragments.concat([c.nfa(limits) if type(c) is Literal else m for c, m in named]))
        return fragments.union(versions)

    def fields(self, text: str) -> dict[str, str]:
        """What each hole holds. Of several ways to cut a text: each hole takes as much as it can, left first."""
        pieces: list[str] = []
        for holes in self._versions():
            sequence = self._sequence(holes)
            if all(c.text in text for c in sequence if type(c) is Literal):
                cut = split(text, [c.ends(text) for c in sequence]) or []
                pieces = max(pieces, cut, key=lambda p: [len(piece) for piece in p])
        found: dict[str, str] = {}
        for name, piece in zip(self.pieces[1::2], pieces[1::2]):
            found.update(dict(self.holes)[name].fields(piece))
        found.update(zip(self.pieces[1::2], pieces[1::2]))
        return found

    def parts(self) -> tuple[Constraint, ...]:
        return tuple(c for _, c in self.holes)


def template(source: str, /, **holes: Constraint | str) -> Constraint:
    """Fixed text with holes: `template("Dear {name},", name=regex("[A-Z][a-z]+"))`.

    `{{` and `}}` stand for braces. A name that stands twice must hold the same text twice, which needs a constraint
    with finitely many texts. The filled holes come back as `fields`.
    Raises TemplateError, with the position, for braces that don't pair, and for holes without a constraint (or the
    reverse).
    """
    pieces = read(source)
    names = pieces[1::2]
    for name in names:
        if name not in holes:
            raise TemplateError(f"the hole {{{name}}} has no constraint; pass {name}=…, for instance {name}=text()")
    for name in holes:
        if name not in names:
            known = ", ".join(names) or "none"
            raise TemplateError(f"there is no hole {{{name}}} in this template; its holes: {known}")
    return Template(source, tuple(pieces), tuple((n, as_constraint(c)) for n, c in holes.items()))


def read(source: str) -> list[str]:
    """A template's pieces: fixed text, the name of a hole, fixed text, … Raises TemplateError with the position."""
    check_text(source, "a template")
    pieces = [""]
    end = 0
    for token in re.finditer(r"\{\{|\}\}|\{([^{}]*)\}|[{}]", source):
        pieces[-1] += source[end : token.start()]
        end = token.end()
        if token[0] in ("{{", "}}"):
            pieces[-1] += token[0][0]
        elif token[1] is None:
            raise TemplateError(f"a single {token[0]!r} at position {token.start()}; a brace is {token[0] * 2!r}")
        elif not token[1].isidentifier():
            raise TemplateError(f"{token[0]!r} at position {token.start()} is not a hole: no name between the braces")
        else:
            pieces += [token[1], ""]
    pieces[-1] += source[end:]
    return pieces


def filled(source: str, holes: Mapping[str, Constraint]) -> Constraint:
    """A template some of whose holes are given; the others take any text."""
    from dgemma_constrain.constraints.terms import text

    return template(source, **{**dict.fromkeys(read(source)[1::2], text()), **holes})
