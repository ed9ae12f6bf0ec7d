"""Whether a text is one of a value that satisfies a formula: parsed, and read off the normal form, without an automaton.

It knows what an automaton does not: values nested to whatever depth, items that are all different, how many names there
are. What it asks of a text is otherwise the same (see `write` and `plan`): the order of names, no declared name twice, every
member under a name that is written twice allowed there, the last of them being what counts; no lone surrogates; numbers that
a double can hold. As everywhere, equal are 1 and 1.0, and objects with the same members in any order.

All texts of the automaton are among these; `narrowed` says what else is.

Where a normal form has too many cases to be listed, its parts are asked one by one, which takes none. Then not every answer
is yes or no: a string may be of a format that is known in part (`LEFT_OUT`), a value may be let through because something was
relaxed (`LOOSE`). The answers are those of Kleene's logic: of "and" the least, of "or" the greatest, and "not" leaves such a
one as it is, so it never turns what is not known into a yes. Of the order of names, a part knows that of its own.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Callable, Hashable, Iterable

from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr
from dgemma_constrain.constraints.json_schema.numbers import canonical
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.errors import LimitExceeded

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space
    from dgemma_constrain.constraints.json_schema.values import Values


def is_text_of(space: Space, expr: Expr, text: str, any_order: bool = False) -> bool:
    """Whether a text is JSON, and its value in the set of a formula; any_order: whether declared names may stand in any.

    Raises LimitExceeded for some hundred arrays and objects inside one another.
    """
    try:
        return Truths(space, any_order).truth(expr, parsed(text)) >= LOOSE
    except ValueError:
        return False
    except RecursionError:
        if _is_open(text):
            return False
        raise LimitExceeded("the text has too many arrays and objects inside one another to be read") from None


FALSE, LEFT_OUT, LOOSE, TRUE = range(4)
_NOT = (TRUE, LEFT_OUT, LOOSE, FALSE)
STRICT, RELATIVE, NONE = range(3)  # the order of names: declared ones first; these among themselves; any


class _Whole(Decimal):
    """A number without point and exponent."""


class Members(tuple[tuple[str, Any], ...]):
    """What an object's text lists."""


def parsed(text: str) -> Any:
    """Raises ValueError."""
    rest = _PAIR.sub("", text.replace("\\\\", "")) if "\\u" in text else text
    if _HALF.search(rest):
        raise ValueError("half a surrogate pair")
    return json.loads(
        text, parse_float=_number, parse_int=_Whole, parse_constant=_number, object_pairs_hook=Members
    )  # fmt: skip


_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def _number(text: str) -> Decimal:
    if not leaves.representable().accepts(text):
        raise ValueError(text)
    return Decimal(text)


def _is_open(text: str) -> bool:
    """Whether an array or object does not end."""
    marks = [mark for mark in _BRACKET.findall(text) if mark[0] != '"']
    return sum(1 if mark in "[{" else -1 for mark in marks) != 0


class Truths:
    """Of one text. What it found of a value is kept: formulas share parts."""

    def __init__(self, space: Space, any_order: bool):
        self.space, self.any_order = space, any_order
        self._found: dict[tuple[Expr, int, int], int] = {}

    def truth(self, expr: Expr, value: Any, order: int = STRICT) -> int:
        if expr is ANY or expr is NEVER:
            return TRUE if expr is ANY else FALSE
        key = (expr, id(value), order)
        if key not in self._found:
            try:
                values = self.space.values(expr)
            except LimitExceeded:  # too many cases to list, but of one value each part can be asked
                self._found[key] = self._in_parts(expr, value, max(order, RELATIVE))
            else:
                self._found[key] = self.within(values, value, order)
        return self._found[key]

    def _in_parts(self, expr: Expr, value: Any, order: int) -> int:
        if expr.op == "non":  # a member that stands at the wrong place must not make this true
            return _NOT[self.truth(expr.parts[0], value, NONE)]
        if expr.op == "either":
            return _any(self.truth(part, value, order) for part in expr.parts)
        if expr.op == "both":
            return _all(self.truth(part, value, order) for part in expr.parts)
        said = self.space.said(expr)
        return _all(
            self.truth(part, value, order) if isinstance(part, Expr) else self.within(part, value, order) for part in said
        )

    def within(self, values: Values, value: Any, order: int) -> int:
        found = FALSE
        if value is None:
            found = TRUE if values.null else FALSE
        elif isinstance(value, bool):
            found = TRUE if value in values.booleans else FALSE
        elif isinstance(value, str):
            found = _is_string(values, value)
        elif isinstance(value, Decimal):
            found = TRUE if self._is_number(values, value) else FALSE
        elif isinstance(value, list):
            for shape in values.arrays:
                if found < TRUE:
                    found = max(found, self._is_array(shape, value, order))
        else:
            for shape in values.objects:
                if found < TRUE:
                    found = max(found, self._is_object(shape, value, order))
            if values.lacking:
                found = max(found, LEFT_OUT)
        return found if values.exact else min(found, LOOSE)

    def _is_number(self, values: Values, number: Decimal) -> bool:
        if values.numbers is leaves.NUMBERS and values.fractions is None:
            return True
        whole = isinstance(number, _Whole)
        text = str(number) if whole and number else canonical(number)
        return values.numbers.accepts(text) and (whole or values.all_fractions.accepts(text))

    def _is_array(self, shape: ArrayShape, items: list[Any], order: int) -> int:
        if len(items) < shape.least or (shape.most is not None and len(items) > shape.most):
            return FALSE
        if shape.unique or shape.repeats:
            if shape.unique == (len(set(map(_frozen, items))) < len(items)):
                return FALSE
        inside = NONE if order == NONE else STRICT
        found = TRUE
        for i, item in enumerate(items):
            if found:
                found = min(found, self.truth(shape.at(i), item, inside))
        for start, part, low, high in shape.counts:
            if found and low:
                found = min(found, self._at_least(low, part, items[start:], inside))
            if found and high is not None:
                # In a count no order of names may make an item that fits into one that does not.
                found = min(found, _NOT[self._at_least(high + 1, part, items[start:], NONE)])
        return found

    def _at_least(self, low: int, part: Expr, items: list[Any], order: int) -> int:
        """Whether so many items fit: the low-th best of them does."""
        found = sorted((self.truth(part, item, order) for item in items), reverse=True)
        return found[low - 1] if low <= len(found) else FALSE

    def _is_object(self, shape: ObjectShape, members: Members, order: int) -> int:
        parts = {name: (k, part) for k, (name, part, _) in enumerate(shape.members)}
        kept = dict(members)
        if len(kept) < shape.least or (shape.most is not None and len(kept) > shape.most):
            return FALSE
        if not all(name in kept for name, _, must in shape.members if must):
            return FALSE
        if order != NONE and not self._in_order(shape, parts, members, order):
            return FALSE
        inside = NONE if order == NONE else STRICT
        found = TRUE
        for name, value in kept.items() if order == NONE else members:
            if found:
                part = parts[name][1] if name in parts else shape.cell_of(name)
                found = min(found, self.truth(part, value, inside))
        for names, part in shape.needs:
            if found:
                met = (self.truth(part, value, inside) for name, value in kept.items() if names.accepts(name))
                found = min(found, _any(met))
        return found

    def _in_order(self, shape: ObjectShape, parts: dict[str, tuple[int, Expr]], members: Members, order: int) -> bool:
        """Whether the declared names come first, in their order, and none of them twice."""
        places = [parts[name][0] if name in parts else len(parts) for name, _ in members]
        declared = [place for place in places if place < len(parts)]
        if len(set(declared)) < len(declared):
            return False
        if order == RELATIVE:
            places = declared
        elif shape.free or self.any_order:
            return declared == places[: len(declared)]
        return shape.free or self.any_order or all(a <= b for a, b in pairwise(places))


def _is_string(values: Values, text: str) -> int:
    if values.strings is leaves.STRINGS or values.strings.accepts(text):
        return TRUE
    return LEFT_OUT if values.wide is not None and values.wide.accepts(text) else FALSE


def _joined(choose: Callable[[int, int], int], unit: int, zero: int, found: Iterable[int]) -> int:
    """Kleene's "and" or "or"; no more is asked once it is decided."""
    total = unit
    for truth in found:
        total = choose(total, truth)
        if total == zero:
            break
    return total


_all = partial(_joined, min, TRUE, FALSE)
_any = partial(_joined, max, FALSE, TRUE)


def _frozen(value: Any) -> Hashable:
    """Equal for equal values only."""
    if isinstance(value, Members):
        return "object", frozenset((name, _frozen(member)) for name, member in dict(value).items())
    if isinstance(value, list):
        return "array", tuple(map(_frozen, value))
    return type(value).__name__ if value is None or isinstance(value, (bool, str)) else "number", value
