"""Items, or names, that must all be different, where no automaton can remember which were used.

All values are cut into numbered *marks*, of which equal values have the same: strings by their first and last characters,
numbers by their last digit, objects by the string under a name that they must have. An array whose marks ascend has
no two equal items, and to see that an automaton need remember the last mark only. So of the arrays without repetition those
are written whose marks ascend: of a set of items that differ in their marks one order, and no other sets. `Schema.narrowed`
says so; what is written is right, and `membership` knows what else would be.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dgemma_constrain.automata.charset import ANY as ANY_CHARACTER
from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, compile_nfa, intersect
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, star, symbol, union
from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.arrays import ALL_ARRAYS
from dgemma_constrain.constraints.json_schema.exprs import Expr
from dgemma_constrain.constraints.json_schema.objects import ALL_OBJECTS, ObjectShape
from dgemma_constrain.constraints.json_schema.values import Values, of_type

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space
ENDS = 6  # first characters are told apart modulo this, and so are last ones
WHY = "are told apart by their first and last characters, and stand in the order which that gives"


@lru_cache(maxsize=1)
def string_marks() -> tuple[DFA, ...]:
    """All strings, cut by their first and last characters."""
    groups = [Charset.ranges((p, p) for p in range(0x80) if p % ENDS == k) for k in range(ENDS)]
    groups[0] |= Charset.ranges([(0x80, 0x10FFFF)]) & ANY_CHARACTER
    found = [_from_to(first, last) for first in groups for last in groups]
    found[0] = union([EPSILON, found[0]])
    return tuple(leaves.full(compile_nfa(nfa)) for nfa in found)


def _from_to(first: Charset, last: Charset) -> NFA:
    both = first & last
    longer = concat([symbol(first), star(symbol(ANY_CHARACTER)), symbol(last)])
    return union([longer, symbol(both)]) if both else longer


@lru_cache(maxsize=1)
def number_marks() -> tuple[DFA, ...]:
    """All numbers, cut by the last digit of their plain spelling."""
    ends = (concat([star(symbol(ANY_CHARACTER)), symbol(Charset.of(digit))]) for digit in "0123456789")
    return tuple(leaves.full(intersect(leaves.NUMBERS, compile_nfa(end))) for end in ends)


def marks(space: Space, parts: list[Expr]) -> tuple[Expr, ...]:
    """Disjoint sets that hold all values of these formulas, of different values as far as it goes."""
    values = [space.values(part) for part in parts]
    found = [of_type(null=True)] if any(v.null for v in values) else []
    found += [of_type(booleans=frozenset({b})) for b in (False, True) if any(b in v.booleans for v in values)]
    found += [of_type(strings=dfa) for dfa in string_marks() if any(v.strings is not leaves.NONE for v in values)]
    found += [of_type(numbers=dfa) for dfa in number_marks() if any(v.numbers is not leaves.NONE for v in values)]
    if any(v.arrays for v in values):
        found.append(of_type(arrays=(ALL_ARRAYS,)))
    found += _object_marks(space, values)
    # Equal marks are one formula, wherever they are asked for.
    keys = [("mark", v.null, v.booleans, v.numbers, v.strings, v.arrays, v.objects) for v in found]
    return tuple(space.place(key, lambda v=v: [v]) for key, v in zip(keys, found))


def _object_marks(space: Space, values: list[Values]) -> list[Values]:
    shapes = [shape for v in values for shape in v.objects]
    if not shapes:
        return []
    whole = [of_type(objects=(ALL_OBJECTS,))]
    required = set.intersection(*({name for name, _, must in shape.members if must} for shape in shapes))
    for name in (name for name, _, _ in shapes[0].members if name in required):
        held = [space.values(part) for shape in shapes for other, part, _ in shape.members if other == name]
        if any(v.all_strings is not leaves.NONE for v in held):
            strings = [space.known(of_type(strings=dfa)) for dfa in string_marks()]
            others = space.non(space.either(*strings))
            return [of_type(objects=(ObjectShape(((name, part, True),)),)) for part in (*strings, others)]
    return whole
