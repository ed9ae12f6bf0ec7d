"""The algebra of a schema's formulas: their normal forms, closed under intersection, union and complement.

The complement of a shape is a union of shapes: one for each thing it asks for, saying that just this fails.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.json_schema import arrays, leaves, objects
from dgemma_constrain.constraints.json_schema.arrays import ALL_ARRAYS
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr, name_of
from dgemma_constrain.constraints.json_schema.objects import ALL_OBJECTS
from dgemma_constrain.constraints.json_schema.values import BOTH, EVERYTHING, FRACTIONAL, LOOSE, NOTHING, Values
from dgemma_constrain.errors import LimitExceeded, SchemaError

MAX_SHAPES = 2_000  # of one type, in one union
FEW_SHAPES = 3  # of arrays and objects in a set whose complement is taken case by case
MAX_WORK = 600_000  # members and items that were intersected, in a schema
SOME_WORK = 20  # what two sets take besides
MAX_DEEP = 120  # places inside one another that are being read


def batched(found: list) -> Iterator[list]:
    """Neighbours in pairs, and the last alone if it has none."""
    return (found[i : i + 2] for i in range(0, len(found), 2))


class _Circle(SchemaError):
    """What is being read was asked for."""

    def __init__(self, at: Expr, message: str):
        super().__init__(message, at.name or "", "$ref")
        self.at = at


class _TooMany(LimitExceeded):
    """A normal form with too many cases. It stays so, wherever it is asked for."""


class TooDeep(LimitExceeded):
    """Places inside one another that cannot be read."""


def _listed(one: DFA, ones: DFA, other: DFA, others: DFA) -> DFA:
    """What is in both of two sets, and listed in either."""
    return leaves.join(leaves.meet(one, others), leaves.meet(ones, other))


class Space:
    """The formulas of one schema, each a single object, and their normal forms."""

    def __init__(self, cannot: Callable[[str, str, str, str], Values], narrow: Callable[[str, str, str], bool]) -> None:
        self.cannot = cannot  # (pointer, keyword, why, what to do instead): raises, or gives a looser set
        self.narrow = (
            narrow  # (pointer, keyword, why): notes that texts are left out; False if more are to be given instead
        )
        self.listed: dict[Expr, Any] = {}  # the value of a formula that enum or const made
        self._made: dict[tuple, Expr] = {}
        self._values: dict[Expr, Values] = {ANY: EVERYTHING, NEVER: NOTHING}
        self._failed: dict[Expr, str] = {}
        self._said: dict[Expr, list[Values | Expr]] = {}
        self._active: dict[Expr, None] = {}
        self._work = 0
        self._at = ""

    # Formulas.

    def place(self, key: object, read: Callable[[], list[Values | Expr]], name: str | None = None) -> Expr:
        """A place in the schema, which says some things that hold together; without a name, something that stands in none."""
        if ("place", key) not in self._made:
            self._made["place", key] = Expr("place", (), read, name)
        return self._made["place", key]

    def known(self, values: Values) -> Expr:
        """A set that is in normal form already."""
        if values is EVERYTHING or values is NOTHING:
            return ANY if values is EVERYTHING else NEVER
        return self.place(values, lambda: [values])

    def non(self, part: Expr) -> Expr:
        if part.op == "non":
            return part.parts[0]
        if part is ANY or part is NEVER:
            return NEVER if part is ANY else ANY
        return self._intern("non", frozenset({part}))

    def both(self, *parts: Expr) -> Expr:
        return self._join("both", parts, ANY, NEVER)

    def either(self, *parts: Expr) -> Expr:
        return self._join("either", parts, NEVER, ANY)

    def _join(self, op: str, parts: tuple[Expr, ...], unit: Expr, zero: Expr) -> Expr:
        if len(parts) == 1:
            return parts[0]
        if zero in parts:
            return zero
        if len(parts) == 2 and (parts[0] is parts[1] or unit in parts):  # most
            return parts[0] if parts[1] is unit else parts[1]
        flat: dict[Expr, None] = {}
        for part in parts:
            flat.update(dict.fromkeys(part.parts if part.op == op else (part,)))
        flat.pop(unit, None)
        if zero in flat or any(part.op == "non" and part.parts[0] in flat for part in flat):
            return zero
        if len(flat) < 2:
            return next(iter(flat), unit)
        return self._intern(op, frozenset(flat), tuple(flat))

    def _intern(self, op: str, key: frozenset[Expr], parts: tuple[Expr, ...] = ()) -> Expr:
        if (op, key) not in self._made:
            self._made[op, key] = Expr(op, parts or tuple(key))
        return self._made[op, key]

    def said(self, place: Expr) -> list[Values | Expr]:
        """What a place says, keyword by keyword."""
        if place not in self._said:
            self._said[place] = place.read()
        return self._said[place]

    # Normal forms.

    def values(self, expr: Expr) -> Values:
        """The normal form. Raises SchemaError where a place leads back to itself without anything between; LimitExceeded."""
        if expr not in self._values:
            if expr in self._failed:
                raise _TooMany(self._failed[expr])
            if expr in self._active:
                names = [part.name for part in self._active if part.name is not None]
                circle = " → ".join(
                    "#" + name
                    for name in [*names[names.index(expr.name) if expr.name in names else 0 :], expr.name or ""]
                )
                raise _Circle(
                    expr, f"references lead in a circle: {circle}; nothing is said on the way: let one lead elsewhere"
                )
            if len(self._active) > MAX_DEEP:
                raise TooDeep(
                    f"more than {MAX_DEEP} schemas inside one another (at {self.where() or '/'}); flatten the schema"
                )
            self._active[expr] = None
            try:
                self._values[expr] = self._evaluate(expr)
            except _TooMany as error:
                self._failed[expr] = str(error)
                raise
            finally:
                del self._active[expr]
        return self._values[expr]

    def where(self) -> str:
        """The place that is being read or written."""
        return next((part.name for part in reversed(self._active) if part.name is not None), self._at)

    def writes(self, expr: Expr) -> None:
        """From here on this formula is being written."""
        self._at = name_of(expr)

    def _evaluate(self, expr: Expr) -> Values:
        if expr.op == "place":
            return self.together(self.said(expr))
        if expr.op == "non":
            return self._negated(expr.parts[0])
        if expr.op == "both":
            return self.together(expr.parts)
        found = [self.values(part) for part in expr.parts]
        while len(found) > 1:  # in pairs, since to add one after the other to what grows takes the square of it
            found = [self.unite(*pair) if len(pair) > 1 else pair[0] for pair in batched(found)]
        return found[0] if found else NOTHING

    def _negated(self, part: Expr) -> Values:
        """The complement; of what has many cases by De Morgan's laws, since for each case every way to fail it is one."""
        try:
            values = self.values(part)
            if len(values.arrays) + len(values.objects) <= FEW_SHAPES:
                return self.complement(values)
        except _TooMany:
            pass
        if part.op == "either":
            return self.together(map(self.non, part.parts))
        total = NOTHING
        for inner in self.said(part) if part.op == "place" else part.parts:
            negated = self.values(self.non(inner)) if isinstance(inner, Expr) else self.complement(inner)
            total = self.unite(total, negated)
        return total

    def together(self, parts: Iterable[Values | Expr]) -> Values:
        """The intersection."""
        total = EVERYTHING
        for part in parts:
            total = self.intersect(total, self.values(part) if isinstance(part, Expr) else part)
        return total

    def is_never(self, expr: Expr) -> bool:
        """Whether nothing fits, as far as it is known by now: what is being read, or has too many cases, counts as something."""
        values = self._values.get(expr) or self.known_by_now(expr)
        return values is not None and values.is_never

    def known_by_now(self, expr: Expr) -> Values | None:
        """The normal form; None while it is being read, or if it has too many cases."""
        if expr in self._values:
            return self._values[expr]
        if expr in self._active or self._touches_active(expr):
            return None
        active = set(self._active)
        try:
            return self.values(expr)
        except _Circle as circle:
            if circle.at in active:  # to know, one would have to know already what is being read
                return None
            raise
        except _TooMany:
            return None

    def _touches_active(self, expr: Expr) -> bool:
        return any(
            part in self._active or (part not in self._values and self._touches_active(part)) for part in expr.parts
        )

    def disjoint(self, a: Expr, b: Expr) -> bool:
        """Whether nothing fits both, for all that the form shows: no wrong yes."""
        return self.is_never(self.both(a, b))

    def once(self, some: list[Values]) -> Values:
        """What is in exactly one of some sets without arrays and objects."""
        found = [(values, NOTHING) for values in some]
        while len(found) > 1:
            found = [self._once(*pair) if len(pair) > 1 else pair[0] for pair in batched(found)]
        return found[0][0]

    def _once(self, a: tuple[Values, Values], b: tuple[Values, Values]) -> tuple[Values, Values]:
        """Of two pairs (what is in one set, what is in several) that of all of these sets."""
        more = self.unite(self.unite(a[1], b[1]), self.intersect(a[0], b[0]))
        one = self.unite(a[0], b[0])
        return (one if more.is_never else self.intersect(one, self.complement(more))), more

    # The algebra.

    def intersect(self, a: Values, b: Values) -> Values:
        if a is b or b is EVERYTHING:
            return a
        if a is EVERYTHING:
            return b
        self._works(SOME_WORK)
        none = leaves.NONE
        return Values(
            a.null and b.null,
            a.booleans & b.booleans,
            leaves.meet(a.numbers, b.numbers),
            leaves.meet(a.strings, b.strings),
            self._pairwise(a.arrays, b.arrays, ALL_ARRAYS, arrays.intersect),
            self._pairwise(a.objects, b.objects, ALL_OBJECTS, objects.intersect),
            a.exact and b.exact,
            None if a.wide is b.wide is None else leaves.meet(a.all_strings, b.all_strings),
            none
            if a.listed_numbers is none is b.listed_numbers
            else _listed(a.listed_numbers, a.numbers, b.listed_numbers, b.numbers),
            none
            if a.listed_strings is none is b.listed_strings
            else _listed(a.listed_strings, a.strings, b.listed_strings, b.strings),
            None if a.fractions is b.fractions is None else leaves.meet(a.all_fractions, b.all_fractions),
            a.lacking or b.lacking,
        )

    def unite(self, a: Values, b: Values) -> Values:
        if a is b or b is NOTHING:
            return a
        if a is NOTHING:
            return b
        return Values(
            a.null or b.null,
            a.booleans | b.booleans,
            leaves.join(a.numbers, b.numbers),
            leaves.join(a.strings, b.strings),
            self._joined(a.arrays + b.arrays, ALL_ARRAYS),
            self._joined(a.objects + b.objects, ALL_OBJECTS),
            a.exact and b.exact,
            None if a.wide is b.wide is None else leaves.join(a.all_strings, b.all_strings),
            leaves.join(a.listed_numbers, b.listed_numbers),
            leaves.join(a.listed_strings, b.listed_strings),
            None if a.fractions is b.fractions is None else leaves.join(a.all_fractions, b.all_fractions),
            a.lacking or b.lacking,
        )

    def complement(self, a: Values) -> Values:
        """What is not in `a`; everything, if `a` was relaxed (what it holds too much must not be missing here)."""
        if not a.exact:
            return LOOSE
        if a.lacking:
            return self.cannot(
                self.where(),
                "propertyNames",
                "which names are not of this format, pattern or length cannot be said, since the automaton knows a part of those that are",
                "use it without not, oneOf, if and dependentSchemas",
            )
        return Values(
            not a.null,
            BOTH - a.booleans,
            leaves.less(leaves.NUMBERS, a.numbers),
            leaves.less(leaves.STRINGS, a.all_strings),
            self._without(a.arrays, ALL_ARRAYS, arrays),
            self._without(a.objects, ALL_OBJECTS, objects),
            wide=None if a.wide is None else leaves.less(leaves.STRINGS, a.strings),
            fractions=None if a.fractions is None else FRACTIONAL,  # no more than is right, of this and its complement
        )

    def _pairwise(self, left: tuple, right: tuple, whole, intersect) -> tuple:
        if left == (whole,):
            return right
        if right == (whole,) or left == right:
            return left
        if len(left) * len(right) > 50 * MAX_SHAPES:
            self._too_many(len(left) * len(right))
        self._works(len(left) * sum(x.size for x in right) + len(right) * sum(x.size for x in left))
        return self._joined([shape for x in left for y in right for shape in intersect(self, x, y)], whole)

    def _joined(self, shapes: Iterable, whole) -> tuple:
        distinct = tuple(dict.fromkeys(shapes))
        if whole in distinct:
            return (whole,)
        if len(distinct) > MAX_SHAPES:
            self._too_many(len(distinct))
        return distinct

    def _without(self, shapes: tuple, whole, kind) -> tuple:
        left = (whole,)
        for shape in shapes:
            left = self._pairwise(left, tuple(kind.complement(self, shape)), whole, kind.intersect)
        return left

    def _works(self, much: int) -> None:
        self._work += much
        if self._work > MAX_WORK:
            self._too_many(0)

    def _too_many(self, count: int) -> None:
        what = f"of this part are {count:,} arrays or objects," if count else "of this schema, up to this part, are"
        raise _TooMany(
            f"the cases {what} too many to keep apart (at {self.where() or '/'}); "
            "use fewer of oneOf, not, if and dependentSchemas together"
        )
