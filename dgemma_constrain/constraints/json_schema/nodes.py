"""The normal form of a schema: small immutable nodes that say what a JSON value may be.

A node means exactly what the standard says, open ends included: an `Object` that is not `closed` may hold names nobody
declared, and `Anything` is any JSON value. What cannot be written as text is decided later, in `narrow`.

Nodes are compared by identity; `normal` makes equal schemas one node, so a stage can remember its work by node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Node:
    pointer: str  # where in the schema it was first read, for error messages


@dataclass(frozen=True, eq=False)
class Anything(Node):
    """Any JSON value: `{}` or `true`."""


@dataclass(frozen=True, eq=False)
class Null(Node):
    pass


@dataclass(frozen=True, eq=False)
class Boolean(Node):
    pass


@dataclass(frozen=True, eq=False)
class Number(Node):
    integer: bool


@dataclass(frozen=True, eq=False)
class String(Node):
    """Strings of `least` to `most` characters (None: no upper bound) in which every pattern is found."""

    least: int
    most: int | None
    patterns: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Array(Node):
    items: Node
    least: int
    most: int | None


@dataclass(frozen=True, eq=False)
class Object(Node):
    """Objects whose declared names hold what `properties` says; `closed`: no other names."""

    properties: tuple[tuple[str, Node], ...]
    required: frozenset[str]
    closed: bool


@dataclass(frozen=True, eq=False)
class Literals(Node):
    """One of these values, as `json.loads` gives them; never changed."""

    values: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class AnyOf(Node):
    """One of `choices`, or of `implied`: values that are allowed only because no type was given.

    `{"minLength": 3}` speaks of strings and thereby allows every number, too; the numbers are implied.
    """

    choices: tuple[Node, ...]
    implied: tuple[Node, ...] = ()


NEVER = AnyOf("", ())


def is_never(node: Node) -> bool:
    """Whether no value fits, as far as the form of the node shows it."""
    return isinstance(node, AnyOf) and not node.choices and not node.implied


def any_of(pointer: str, choices: list[Node], implied: list[Node]) -> Node:
    """The flat union: no union or empty node inside it, each node once, and no union of one."""
    flat: dict[Node, None] = {}
    silent: dict[Node, None] = {}
    for node in choices:
        flat.update(dict.fromkeys(node.choices if isinstance(node, AnyOf) else [node]))
        silent.update(dict.fromkeys(node.implied if isinstance(node, AnyOf) else []))
    for node in implied:
        silent.update(dict.fromkeys(node.choices + node.implied if isinstance(node, AnyOf) else [node]))
    silent = {node: None for node in silent if node not in flat}
    if len(flat) == 1 and not silent:
        return next(iter(flat))
    return AnyOf(pointer, tuple(flat), tuple(silent)) if flat or silent else NEVER
