"""Sets of objects: what stands under each name, which names must be there, and how many there are.

All names are cut into the declared ones, one by one, and *cells*, languages of names that fill up the rest. `needs` asks
for a member with a name out of some language and a value that fits: `not: {patternProperties: …}` is one of these.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space

Member = tuple[str, Expr, bool]  # (the name, what its value may be, whether it must be there)
Cell = tuple[DFA, Expr]


@dataclass(frozen=True)
class ObjectShape:
    """Objects with these members in this order, if any, then others; from `least` to `most` members in all.

    cells: disjoint sets of names, with all that is not in `members` in one of them, and what their values may be
    needs: for each there is a member with such a name and value
    free: the members may stand in any order
    """

    members: tuple[Member, ...] = ()
    cells: tuple[Cell, ...] = ((leaves.STRINGS, ANY),)
    needs: tuple[Cell, ...] = ()
    least: int = 0
    most: int | None = None
    free: bool = False

    @property
    def size(self) -> int:
        return 1 + len(self.members)

    def exprs(self) -> Iterator[Expr]:
        yield from (part for _, part, _ in self.members)
        yield from (part for _, part in self.cells)
        yield from (part for _, part in self.needs)

    def cell_of(self, name: str) -> Expr:
        """What may stand under a name that is not declared."""
        return next((part for names, part in self.cells if names is leaves.STRINGS or names.accepts(name)), NEVER)


ALL_OBJECTS = ObjectShape()


def shapes(space: Space, shape: ObjectShape) -> list[ObjectShape]:
    """The shape as simple as can be, or none if no object has it."""
    members = []
    for name, part, required in shape.members:
        if required and (part is NEVER or space.is_never(part)):
            return []
        members.append((name, part, required))
    names = {name for name, _, _ in members}
    needs = []
    for allowed, part in dict.fromkeys(shape.needs):
        if part is NEVER or allowed is leaves.NONE:
            return []
        one = leaves.listed(allowed, 1)
        if one is None:
            needs.append((allowed, part))
        elif one[0] in names:
            k = [name for name, _, _ in members].index(one[0])
            both = space.both(members[k][1], part)
            if space.is_never(both):
                return []
            members[k] = (one[0], both, True)
        else:
            both = space.both(shape.cell_of(one[0]), part)
            if space.is_never(both):
                return []
            names.add(one[0])
            members.append((one[0], both, True))
    required = sum(must for _, _, must in members)
    least = 0 if shape.least <= required else shape.least
    most = shape.most
    if shape.cells == ((leaves.STRINGS, NEVER),):
        possible = sum(part is not NEVER for _, part, _ in members)
        if needs and not possible or least > possible:
            return []
        if most is not None and most >= possible:
            most = None
    if most is not None and (most < required or most < least):
        return []
    return [ObjectShape(tuple(members), shape.cells, tuple(needs), least, most, shape.free)]


def intersect(space: Space, a: ObjectShape, b: ObjectShape) -> list[ObjectShape]:
    in_a = {name: (part, required) for name, part, required in a.members}
    in_b = {name: (part, required) for name, part, required in b.members}
    members = []
    for name in dict.fromkeys([*in_a, *in_b]):
        left, must = in_a.get(name) or (a.cell_of(name), False)
        right, also = in_b.get(name) or (b.cell_of(name), False)
        both = space.both(left, right)
        if (must or also) and space.is_never(both):
            return []
        members.append((name, both, must or also))
    return shapes(
        space,
        ObjectShape(
            tuple(members),
            _cells(space, a.cells, b.cells),
            a.needs + b.needs,
            max(a.least, b.least),
            b.most if a.most is None else a.most if b.most is None else min(a.most, b.most),
            a.free or b.free,
        ),
    )


def _cells(space: Space, left: tuple[Cell, ...], right: tuple[Cell, ...]) -> tuple[Cell, ...]:
    if left == ALL_OBJECTS.cells or left == right:
        return right
    if right == ALL_OBJECTS.cells:
        return left
    cells: dict[Expr, DFA] = {}
    for names, part in left:
        for others, other in right:
            common = leaves.meet(names, others)
            if common is not leaves.NONE:
                both = space.both(part, other)
                cells[both] = leaves.join(cells.get(both, leaves.NONE), common)
    return tuple((names, part) for part, names in cells.items())


def complement(space: Space, a: ObjectShape) -> Iterator[ObjectShape]:
    """A member that is missing or does not fit, one that is needed missing, or too few or too many."""
    found = []
    for name, part, required in a.members:
        if required:
            found.append(ObjectShape(((name, NEVER, False),)))
        if part is not ANY:
            found.append(ObjectShape(((name, space.non(part), True),)))
    for names, part in a.cells:
        if part is not ANY:
            others = leaves.less(names, declared(a))
            found.append(ObjectShape(needs=((others, space.non(part)),)))
    for names, part in a.needs:
        found.append(ObjectShape(cells=cells_of(((names, space.non(part)),))))
    if a.least:
        found.append(ObjectShape(most=a.least - 1))
    if a.most is not None:
        found.append(ObjectShape(least=a.most + 1))
    for shape in found:
        yield from shapes(space, shape)


def cells_of(some: tuple[Cell, ...], others: Expr = ANY) -> tuple[Cell, ...]:
    """Disjoint cells, filled up with what all other names may hold."""
    rest = leaves.STRINGS
    for names, _ in some:
        rest = leaves.less(rest, names)
    return tuple(cell for cell in (*some, (rest, others)) if cell[0] is not leaves.NONE)


def declared(shape: ObjectShape) -> DFA:
    """The names of its members."""
    names = frozenset(name for name, _, _ in shape.members)
    return leaves.words(names) if names else leaves.NONE


def with_members(shape: ObjectShape, **changes) -> ObjectShape:
    return dataclasses.replace(shape, **changes)
