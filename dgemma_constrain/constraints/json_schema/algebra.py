"""Two questions about nodes: does a value fit, and which values fit both of two nodes. Both are exact."""

from __future__ import annotations

from typing import Any, Hashable

from dgemma_constrain.constraints.json_schema import strings
from dgemma_constrain.constraints.json_schema.nodes import (
    NEVER,
    AnyOf,
    Anything,
    Array,
    Boolean,
    Literals,
    Node,
    Null,
    Number,
    Object,
    String,
    any_of,
    is_never,
)
from dgemma_constrain.errors import LimitExceeded

MAX_PAIRS = 20_000  # pairs of alternatives in one intersection


def fits(node: Node, value: Any) -> bool:
    """Whether a parsed JSON value is one of the node's."""
    match node:
        case Anything():
            return True
        case Null():
            return value is None
        case Boolean():
            return isinstance(value, bool)
        case Number(integer=integer):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return False
            return not integer or value == int(value)
        case String():
            return isinstance(value, str) and strings.fits(node, value)
        case Array(items=items, least=least, most=most):
            if not isinstance(value, list) or len(value) < least or (most is not None and len(value) > most):
                return False
            return all(fits(items, item) for item in value)
        case Object(properties=properties, required=required, closed=closed):
            if not isinstance(value, dict) or not required <= value.keys():
                return False
            declared = dict(properties)
            if closed and not value.keys() <= declared.keys():
                return False
            return all(fits(declared[name], member) for name, member in value.items() if name in declared)
        case Literals(values=values):
            return identity(value) in {identity(v) for v in values}
        case AnyOf(choices=choices, implied=implied):
            return any(fits(choice, value) for choice in choices + implied)
    raise TypeError(node)


def identity(value: Any) -> Hashable:
    """Equal exactly for equal JSON values: 1 is 1.0, true is not 1, and the order of names means nothing."""
    if isinstance(value, list):
        return ("array", tuple(map(identity, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, identity(member)) for name, member in value.items()))
    return (isinstance(value, bool), value)


def intersect(a: Node, b: Node, memo: dict[tuple[Node, Node], Node] | None = None) -> Node:
    """The values of `a` that are values of `b`. The order of names, and the pointers, are those of `a`."""
    memo = {} if memo is None else memo
    if (a, b) not in memo:
        memo[a, b] = _intersect(a, b, memo)
    return memo[a, b]


def _intersect(a: Node, b: Node, memo: dict) -> Node:
    if a is b or isinstance(b, Anything):
        return a
    if isinstance(a, Anything):
        return b
    if isinstance(a, AnyOf) or isinstance(b, AnyOf):
        return _distribute(a, b, memo)
    if isinstance(a, Literals):
        return _literals(a, b)
    if isinstance(b, Literals):
        return _literals(b, a)
    match a, b:
        case Null(), Null():
            return a
        case Boolean(), Boolean():
            return a
        case Number(), Number():
            return a if a.integer else b
        case String(), String():
            least, most = max(a.least, b.least), _lower(a.most, b.most)
            patterns = tuple(dict.fromkeys(a.patterns + b.patterns))
            return NEVER if most is not None and least > most else String(a.pointer, least, most, patterns)
        case Array(), Array():
            return array(a.pointer, intersect(a.items, b.items, memo), max(a.least, b.least), _lower(a.most, b.most))
        case Object(), Object():
            return _objects(a, b, memo)
    return NEVER


def _lower(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _literals(a: Literals, b: Node) -> Node:
    kept = tuple(value for value in a.values if fits(b, value)) if not isinstance(b, Literals) else _common(a, b)
    return Literals(a.pointer, kept) if kept else NEVER


def _common(a: Literals, b: Literals) -> tuple[Any, ...]:
    known = {identity(value) for value in b.values}
    return tuple(value for value in a.values if identity(value) in known)


def _alternatives(node: Node) -> list[tuple[Node, bool]]:
    """The nodes of a union, and whether each is merely implied."""
    if not isinstance(node, AnyOf):
        return [(node, False)]
    return [(choice, False) for choice in node.choices] + [(choice, True) for choice in node.implied]


def _distribute(a: Node, b: Node, memo: dict) -> Node:
    """Alternatives pairwise. A pair is merely implied only if both sides are."""
    left, right = _alternatives(a), _alternatives(b)
    if len(left) * len(right) > MAX_PAIRS:
        raise LimitExceeded(
            f"{len(left)} alternatives against {len(right)} others at {a.pointer or '/'}; write them out as one anyOf"
        )
    pairs = [(intersect(x, y, memo), p and q) for x, p in left for y, q in right]
    return any_of(a.pointer, [n for n, implied in pairs if not implied], [n for n, implied in pairs if implied])


def array(pointer: str, items: Node, least: int, most: int | None) -> Node:
    """An array node, or NEVER where the bounds or the items leave nothing."""
    if is_never(items):
        most = 0
    return NEVER if most is not None and least > most else Array(pointer, items, least, most)


def _objects(a: Object, b: Object, memo: dict) -> Node:
    in_a, in_b = dict(a.properties), dict(b.properties)
    properties = []
    for name in dict.fromkeys([*in_a, *in_b]):
        if name in in_a and name in in_b:
            node = intersect(in_a[name], in_b[name], memo)
        else:
            other = b if name in in_a else a
            node = NEVER if other.closed else in_a.get(name) or in_b[name]
        properties.append((name, node))
    return obj(a.pointer, properties, a.required | b.required, a.closed or b.closed)


def obj(pointer: str, properties: list[tuple[str, Node]], required: frozenset[str], closed: bool) -> Node:
    """An object node, or NEVER where a required name can hold nothing."""
    declared = dict(properties)
    if any((name not in declared and closed) or is_never(declared.get(name, Anything(""))) for name in required):
        return NEVER
    return Object(pointer, tuple(properties), required, closed)
