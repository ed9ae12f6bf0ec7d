"""`unevaluatedProperties` and `unevaluatedItems`, as far as it is static what the other keywords have looked at.

What is looked at depends on which branches hold: so the values are cut into cases, each a condition and what is evaluated
under it, and under each condition the names or items that are left must fit. The cases together are everything.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.json_schema import arrays, leaves, objects
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.documents import Place
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr
from dgemma_constrain.constraints.json_schema.keywords import step
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.constraints.json_schema.values import EVERYTHING, Values
from dgemma_constrain.errors import LimitExceeded, SchemaError

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.read import Reader

MAX_CASES = 500


@dataclass(frozen=True)
class Seen:
    """names: a language; items: the first so many (None: all); fitting: and those that fit one of these."""

    names: DFA = leaves.NONE
    items: int | None = 0
    fitting: frozenset[Expr] = frozenset()

    def __or__(self, other: Seen) -> Seen:
        items = None if None in (self.items, other.items) else max(self.items, other.items)
        return Seen(leaves.join(self.names, other.names), items, self.fitting | other.fitting)


NOTHING_SEEN = Seen()
Cases = dict[Seen, Expr]  # by what is evaluated: the condition


def unevaluated(reader: Reader, place: Place, said: dict[str, Any], at: str) -> Expr:
    """What `unevaluatedProperties` or `unevaluatedItems` asks for."""
    keyword, space = at.rpartition("/")[2], reader.space
    left = reader.inside(place, keyword)
    total = []
    for seen, condition in _cases(reader, place, said, keyword).items():
        if keyword == "unevaluatedProperties":
            shape = ObjectShape(cells=objects.cells_of(((seen.names, ANY),), left))
            rest = dataclasses.replace(EVERYTHING, objects=tuple(objects.shapes(space, shape)))
        elif seen.items is None:
            rest = EVERYTHING
        else:
            shape = ArrayShape((ANY,) * seen.items, space.either(left, *seen.fitting))
            rest = dataclasses.replace(EVERYTHING, arrays=tuple(arrays.shapes(space, shape)))
        total.append(space.both(condition, space.known(rest)))
    return space.either(*total)


def _of(reader: Reader, place: Place, deep: int = 0) -> Cases:
    """What a schema that holds evaluates."""
    if isinstance(place.schema, bool):
        return {NOTHING_SEEN: ANY}
    if deep > 40:
        raise SchemaError("references lead in a circle", place.pointer, "$ref")
    return _cases(reader, place, reader.asserted(place), "", deep)


def _cases(reader: Reader, place: Place, said: dict[str, Any], besides: str, deep: int = 0) -> Cases:
    """The cases of a schema, without what the keyword `besides` evaluates."""
    space, documents = reader.space, reader.documents
    cases: Cases = {_own(reader, place, said, besides): ANY}

    def add(more: Iterable[Cases]) -> None:
        nonlocal cases
        for one in more:
            cases = _crossed(space, cases, one)

    def of(*steps: str | int) -> Cases:
        return _of(reader, documents.inside(place, *steps), deep + 1)

    def maybe(condition: Expr, then: Cases) -> Cases:
        """`then` where the condition holds."""
        if set(then) == {NOTHING_SEEN}:
            return {NOTHING_SEEN: ANY}
        held = {seen: space.both(condition, also) for seen, also in then.items()}
        return _merged(space, [*held.items(), (NOTHING_SEEN, space.non(condition))])

    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        if keyword in said:
            add([_of(reader, documents.target(place, keyword), deep + 1)])
    add(of("allOf", i) for i in range(len(said.get("allOf", ()))))
    for keyword in ("anyOf", "oneOf"):
        add(maybe(reader.inside(place, keyword, i), of(keyword, i)) for i in range(len(said.get(keyword, ()))))
    if "if" in said:
        condition = reader.inside(place, "if")
        yes, no = of("if"), {NOTHING_SEEN: ANY}
        if "then" in said:
            yes = _crossed(space, yes, of("then"))
        if "else" in said:
            no = of("else")
        held = [(seen, space.both(condition, also)) for seen, also in yes.items()]
        add([_merged(space, held + [(seen, space.both(space.non(condition), also)) for seen, also in no.items()])])
    for keyword in ("dependentSchemas", "dependencies"):
        for name, what in said.get(keyword, {}).items():
            if not isinstance(what, list):
                there = space.place(("has", name), lambda name=name: [_has(name)])
                add([maybe(there, of(keyword, name))])
    return cases


def _has(name: str) -> Values:
    from dgemma_constrain.constraints.json_schema.applicators import has

    return has(name)


def _crossed(space, left: Cases, right: Cases) -> Cases:
    if len(left) * len(right) > MAX_CASES:
        raise LimitExceeded(
            f"what is unevaluated depends on {len(left) * len(right):,} cases (at {space.where() or '/'}); write "
            "'additionalProperties' where you can"
        )
    return _merged(space, [(a | b, space.both(under, also)) for a, under in left.items() for b, also in right.items()])


def _merged(space, cases: Iterable[tuple[Seen, Expr]]) -> Cases:
    merged: Cases = {}
    for seen, condition in cases:
        if condition is not NEVER:
            merged[seen] = space.either(merged.get(seen, NEVER), condition)
    return merged


def _own(reader: Reader, place: Place, said: dict[str, Any], besides: str) -> Seen:
    """What the keywords of a place itself evaluate."""
    names = leaves.words(frozenset(said["properties"])) if said.get("properties") else leaves.NONE
    for source in said.get("patternProperties", {}):
        at = f"{place.pointer}/patternProperties{step(source)}"
        names = leaves.join(names, reader.names(source, at))
    if "additionalProperties" in said or ("unevaluatedProperties" in said and besides != "unevaluatedProperties"):
        names = leaves.STRINGS
    tuples, others = ("prefixItems", "items") if place.dialect.year == 2020 else ("items", "additionalItems")
    items: int | None = 0
    if isinstance(said.get(tuples), list):
        items = None if others in said else len(said[tuples])
    elif "items" in said:
        items = None
    if "unevaluatedItems" in said and besides != "unevaluatedItems":
        items = None
    fitting = frozenset()
    if "contains" in said and place.dialect.year == 2020:
        fitting = frozenset({reader.inside(place, "contains")})
    return Seen(names, items, fitting)
