"""The keywords that join schemas (applicators, as the standard calls them), where what they ask for takes more than a line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from dgemma_constrain.constraints.json_schema.documents import Place
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr
from dgemma_constrain.constraints.json_schema.keywords import shown, step
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.constraints.json_schema.values import EVERYTHING, Values, of_type
from dgemma_constrain.errors import SchemaError

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.read import Reader


def one_of(reader: Reader, place: Place, said: dict[str, Any], at: str) -> Expr:
    """Each branch without the others, of which only those count that it isn't provably disjoint from."""
    branches, space = reader.listed(place, "oneOf"), reader.space
    if len(branches) > 1 and ANY in branches and branches.count(ANY) > 1:
        return NEVER
    cases = []
    for i, branch in enumerate(branches):
        others = [x for j, x in enumerate(branches) if j != i and (x is branch or not space.disjoint(branch, x))]
        cases.append(NEVER if branch in others else space.both(branch, *map(space.non, others)))
    return space.either(*cases)


def conditional(reader: Reader, place: Place, said: dict[str, Any], at: str) -> Expr:
    space = reader.space
    condition = reader.inside(place, "if")
    then = reader.inside(place, "then") if "then" in said else ANY
    otherwise = reader.inside(place, "else") if "else" in said else ANY
    if then is otherwise is ANY:
        return ANY
    return space.either(space.both(condition, then), space.both(space.non(condition), otherwise))


def dependent(reader: Reader, place: Place, said: dict[str, Any], at: str) -> Expr:
    keyword, space = at.rpartition("/")[2], reader.space
    cases, lists = [], {}
    for name, what in said[keyword].items():
        if isinstance(what, list) and keyword != "dependentSchemas":
            if not all(isinstance(other, str) for other in what):
                raise SchemaError(f"{keyword!r} must list names", at + step(name), keyword)
            lists[name] = what
            continue
        if keyword == "dependentRequired":
            raise SchemaError(f"{keyword!r} must list names, not {shown(what)}", at + step(name), keyword)
        more = reader.inside(place, keyword, name)
        cases.append(space.either(space.known(lacks([name])), space.both(space.known(has(name)), more)))
    for names, what in _grouped(lists):
        there = space.known(has(names[0])) if len(names) == 1 else ANY  # so that the two cases exclude each other
        cases.append(space.either(space.known(lacks(names)), space.both(there, space.known(requiring(what)))))
    return space.both(*cases)


def _grouped(lists: dict[str, list[str]]) -> list[tuple[list[str], list[str]]]:
    """Which names need which others, in as few pairs as there may be, since each makes two cases: by what is needed, all of
    it or one by one."""
    by_all: dict[frozenset[str], tuple[list[str], list[str]]] = {}
    by_one: dict[frozenset[str], tuple[list[str], list[str]]] = {}
    for name, what in lists.items():
        for groups, parts in ((by_all, [what] if what else []), (by_one, [[other] for other in what])):
            for part in parts:
                groups.setdefault(frozenset(part), ([], part))[0].append(name)
    return list(min(by_all, by_one, key=len).values())


def negation(reader: Reader, place: Place, said: dict[str, Any], at: str) -> Expr:
    return reader.space.non(reader.inside(place, "not"))


def has(name: str) -> Values:
    """Objects with this name."""
    return of_type(objects=(ObjectShape(((name, ANY, True),)),))


def lacks(names: list[str]) -> Values:
    """Everything but objects with one of these names."""
    return dataclasses.replace(EVERYTHING, objects=(ObjectShape(tuple((name, NEVER, False) for name in names)),))


def requiring(names: list[str]) -> Values:
    """Everything but objects that lack one of these names."""
    shape = ObjectShape(tuple((name, ANY, True) for name in names))
    return dataclasses.replace(EVERYTHING, objects=(shape,))
