"""Whether a text is one of a value that satisfies a formula: parsed, and read off the normal form, without an automaton.

It knows what an automaton does not: values nested to whatever depth, items that are all different, how many names there
are. What it asks of a text is otherwise the same (see `write` and `plan`): the order of names, no declared name twice, every
member under a name that is written twice allowed there, the last of them being what counts; no lone surrogates; numbers that
a double can hold. As everywhere, equal are 1 and 1.0, and objects with the same members in any order.

All texts of the automaton are among these; `narrowed` says what else is.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Hashable

from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr
from dgemma_constrain.constraints.json_schema.numbers import canonical
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.errors import LimitExceeded

if TYPE_CHECKING:
    from dgemma_constrain.automata.dfa import DFA
    from dgemma_constrain.constraints.json_schema.values import Space, Values


def is_text_of(space: Space, expr: Expr, text: str, any_order: bool = False) -> bool:
    """Whether a text is JSON, and its value in the set of a formula; any_order: whether declared names may stand in any.

    Raises LimitExceeded for some hundred arrays and objects inside one another.
    """
    try:
        return _Reader(space, any_order).holds(expr, _parsed(text))
    except ValueError:
        return False
    except RecursionError:
        if _is_open(text):
            return False
        raise LimitExceeded("the text has too many arrays and objects inside one another to be read") from None


class _Whole(Decimal):
    """A number without point and exponent."""


class _Members(tuple[tuple[str, Any], ...]):
    """What an object's text lists."""


def _parsed(text: str) -> Any:
    """Raises ValueError."""
    rest = _PAIR.sub("", text.replace("\\\\", "")) if "\\u" in text else text
    if _HALF.search(rest):
        raise ValueError("half a surrogate pair")
    return json.loads(
        text, parse_float=_number, parse_int=_Whole, parse_constant=_number, object_pairs_hook=_Members
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


class _Reader:
    """Of one text. What it found of a value is kept: formulas share parts."""

    def __init__(self, space: Space, any_order: bool):
        self.space, self.any_order = space, any_order
        self._found: dict[tuple[Expr, int], bool] = {}

    def holds(self, expr: Expr, value: Any) -> bool:
        if expr is ANY or expr is NEVER:
            return expr is ANY
        key = (expr, id(value))
        if key not in self._found:
            self._found[key] = self._holds(expr, value)
        return self._found[key]

    def _holds(self, expr: Expr, value: Any) -> bool:
        values = self.space.values(expr)
        if value is None:
            return values.null
        if isinstance(value, bool):
            return value in values.booleans
        if isinstance(value, str):
            return values.strings is leaves.STRINGS or values.strings.accepts(value)
        if isinstance(value, Decimal):
            return self._is_number(values, value)
        if isinstance(value, list):
            for shape in values.arrays:
                if self._is_array(shape, value):
                    return True
        else:
            for shape in values.objects:
                if self._is_object(shape, value):
                    return True
        return False

    def _is_number(self, values: Values, number: Decimal) -> bool:
        if values.numbers is leaves.NUMBERS and values.fractions is None:
            return True
        whole = isinstance(number, _Whole)
        text = str(number) if whole and number else canonical(number)
        return values.numbers.accepts(text) and (whole or values.all_fractions.accepts(text))

    def _is_array(self, shape: ArrayShape, items: list[Any]) -> bool:
        if len(items) < shape.least or (shape.most is not None and len(items) > shape.most):
            return False
        if shape.unique or shape.repeats:
            if shape.unique == (len(set(map(_frozen, items))) < len(items)):
                return False
        for i, item in enumerate(items):
            if not self.holds(shape.at(i), item):
                return False
        for start, part, low, high in shape.counts:
            if low and self._count(part, items[start:]) < low:
                return False
            # Where something was relaxed, an item may fit a part and what is not of it: then it need not be counted.
            if high is not None and len(items[start:]) - self._count(self.space.non(part), items[start:]) > high:
                return False
        return True

    def _count(self, part: Expr, items: list[Any]) -> int:
        count = 0
        for item in items:
            count += self.holds(part, item)
        return count

    def _is_object(self, shape: ObjectShape, members: _Members) -> bool:
        parts = {name: (k, part) for k, (name, part, _) in enumerate(shape.members)}
        in_order, last, kept = not (shape.free or self.any_order), -1, dict(members)
        if len(kept) < shape.least or (shape.most is not None and len(kept) > shape.most):
            return False
        if not all(name in kept for name, _, must in shape.members if must):
            return False
        if sum(name in parts for name, _ in members) != sum(name in parts for name in kept):
            return False  # a declared name twice
        for name, value in members:
            place, part = parts.get(name) or (len(parts), shape.cell_of(name))
            if place < last if in_order else place < len(parts) == last:
                return False
            last = place
            if not self.holds(part, value):
                return False
        for names, part in shape.needs:
            if not self._is_met(names, part, kept):
                return False
        return True

    def _is_met(self, names: DFA, part: Expr, members: dict[str, Any]) -> bool:
        for name, value in members.items():
            if names.accepts(name) and self.holds(part, value):
                return True
        return False


def _frozen(value: Any) -> Hashable:
    """Equal for equal values only."""
    if isinstance(value, _Members):
        return "object", frozenset((name, _frozen(member)) for name, member in dict(value).items())
    if isinstance(value, list):
        return "array", tuple(map(_frozen, value))
    return type(value).__name__ if value is None or isinstance(value, (bool, str)) else "number", value
