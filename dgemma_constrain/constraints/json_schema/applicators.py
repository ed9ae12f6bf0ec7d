"""The keywords that join schemas (applicators, as the standard calls them), where what they ask for takes more than a line."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any, Hashable

from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.documents import Place
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr
from dgemma_constrain.constraints.json_schema.keywords import ANNOTATIONS, shown, step
from dgemma_constrain.constraints.json_schema.literals import key_of, literals
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.constraints.json_schema.values import EVERYTHING, Values, of_type
from dgemma_constrain.errors import LimitExceeded, SchemaError

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.read import Reader
    from dgemma_constrain.constraints.json_schema.space import Space


MANY = 16  # branches of oneOf that are worth a look at what tells them apart
MOST = 400  # that are held against one another, each against each


def any_of(reader: Reader, place: Place, said: dict[str, Any], at: str) -> Expr:
    constants = _constants(reader, place, "anyOf")
    if constants is not None:
        return _listing(reader.space, {key: value for some in constants for key, value in some.items()})
    return reader.space.either(*reader.listed(place, "anyOf"))


def _listing(space: Space, values: dict[Hashable, Any]) -> Expr:
    found = literals(space, list(values.values()))
    return NEVER if found.is_never else space.known(found)


def _constants(reader: Reader, place: Place, keyword: str) -> list[dict[Hashable, Any]] | None:
    """What many branches list, where each is an enum or const (and what it says of it, as a title): equal keys for equal
    values. Otherwise None."""
    if len(place.schema[keyword]) <= MANY:
        return None
    found = []
    for i, branch in enumerate(place.schema[keyword]):
        said = branch.keys() - ANNOTATIONS if isinstance(branch, dict) else ()
        if len(said) != 1 or not said <= {"enum", "const"}:
            return None
        asserted = reader.asserted(reader.documents.inside(place, keyword, i))
        if said - asserted.keys():  # without the vocabulary of the standard that has it
            return None
        found.append({key_of(value): value for value in asserted.get("enum", [asserted.get("const")])})
    return found


def one_of(reader: Reader, place: Place, said: dict[str, Any], at: str) -> Expr:
    """Each branch without the others, of which only those count that it isn't provably disjoint from."""
    space, constants = reader.space, _constants(reader, place, "oneOf")
    if constants is not None:
        times = Counter(key for some in constants for key in some)
        return _listing(space, {key: value for some in constants for key, value in some.items() if times[key] == 1})
    branches = reader.listed(place, "oneOf")
    if len(branches) > 1 and ANY in branches and branches.count(ANY) > 1:
        return NEVER
    near = [range(len(branches))] * len(branches)
    if len(branches) > MANY:
        found = [space.known_by_now(branch) for branch in branches]
        if all(values is not None and not values.arrays and not values.objects for values in found):
            return space.known(space.once(found))
        near = _alike(space, found) or near
        if sum(map(len, near)) > MOST * MOST:
            raise LimitExceeded(
                f"{len(branches):,} branches that must exclude one another are too many unless an enum or const of a required "
                f"member tells them apart (at {at}); add one, or use anyOf"
            )
    cases = []
    for i, branch in enumerate(branches):
        others = [
            branches[j]
            for j in near[i]
            if j != i and (branches[j] is branch or not space.disjoint(branch, branches[j]))
        ]
        cases.append(NEVER if branch in others else space.both(branch, *map(space.non, others)))
    return space.either(*cases)


def _alike(space: Space, found: list[Values | None]) -> list[list[int]] | None:
    """For each of many sets of objects those that have a value in common with it under one name, which all of them require
    and list the values of; None if there is no such name."""
    for name in _required(found[0]):
        marks = [_marks(space, values, name) for values in found]
        if all(some is not None for some in marks):
            holders: dict[str, list[int]] = {}
            for i, some in enumerate(marks):
                for mark in some:
                    holders.setdefault(mark, []).append(i)
            return [sorted({j for mark in some for j in holders[mark]}) for some in marks]
    return None


def _required(values: Values | None) -> list[str]:
    """The names that objects of a set must have, where it holds nothing else, and all of its shapes require them."""
    if values is None or not values.objects or dataclasses.replace(values, objects=()).is_never is False:
        return []
    first, *others = ([name for name, _, must in shape.members if must] for shape in values.objects)
    return [name for name in first if all(name in other for other in others)]


def _marks(space: Space, values: Values | None, name: str) -> set[str] | None:
    """The strings under a name that objects of a set must have, where these are listed and nothing else may stand there."""
    if name not in _required(values):
        return None
    found: set[str] = set()
    for shape in values.objects:
        held = space.known_by_now(next(part for other, part, _ in shape.members if other == name))
        if held is None or not dataclasses.replace(held, strings=leaves.NONE, wide=None).is_never:
            return None
        some = leaves.listed(held.all_strings, MANY)
        if some is None:
            return None
        found.update(some)
    return found


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
