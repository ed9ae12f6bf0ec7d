"""What a pattern means once it is read: a small tree, the same for every flavour.

Flags are gone by now. A class, a dot, a letter under (?i) are all `Chars`; anchors are look-around assertions with
small bodies (`^` is "no character before"), so there is one kind of zero-width thing to compile, and word boundaries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Union

from dgemma_constrain.automata.charset import ANY, EMPTY, Charset, char


@dataclass(frozen=True)
class Chars:
    """One character out of a set."""

    charset: Charset


@dataclass(frozen=True)
class Cat:
    """One after the other; `Cat(())` is the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Alt:
    """Any one of them; the order matters only to `fields`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """`least` to `most` times (None: no bound). `lazy` matters only to `fields`."""

    body: Node
    least: int
    most: int | None
    lazy: bool = False


@dataclass(frozen=True)
class Group:
    """A capturing group, numbered from 1."""

    body: Node
    number: int
    name: str | None = None


@dataclass(frozen=True)
class Look:
    """A look-around: the text after (ahead) or before this place begins (ends) with `body`, or must not (negative)."""

    body: Node
    ahead: bool
    negative: bool


@dataclass(frozen=True)
class Boundary:
    """`\\b`: exactly one of the two neighbours is in `word` (no neighbour is not); `negated`: `\\B`.

    `nonempty`: fails in the empty text whatever else, as `\\B` does in `re` up to Python 3.13.
    """

    word: Charset
    negated: bool
    nonempty: bool = False


Node = Union[Chars, Cat, Alt, Repeat, Group, Look, Boundary]

EMPTY_TEXT = Cat(())
ANY_TEXT = Repeat(Chars(ANY), 0, None)
NEWLINE = char("\n")

TEXT_START = Look(Chars(ANY), ahead=False, negative=True)
TEXT_END = Look(Chars(ANY), ahead=True, negative=True)
# `$` in `re`: nothing follows, or one last line break: so what follows is neither another character nor more than one.
LAST_LINE_END = Look(Alt((Chars(~NEWLINE), Cat((Chars(NEWLINE), Chars(ANY))))), ahead=True, negative=True)


def line_start(line_breaks: Charset) -> Look:
    return Look(Chars(~line_breaks), ahead=False, negative=True)


def line_end(line_breaks: Charset) -> Look:
    return Look(Chars(~line_breaks), ahead=True, negative=True)


def cat(parts: Iterable[Node]) -> Node:
    """A sequence, flat: no sequence directly inside a sequence."""
    flat: list[Node] = []
    for part in parts:
        flat.extend(part.parts) if isinstance(part, Cat) else flat.append(part)
    return flat[0] if len(flat) == 1 else Cat(tuple(flat))


def alt(parts: Iterable[Node]) -> Node:
    """A choice; one between single characters is a set."""
    parts = tuple(parts)
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, Chars) for part in parts):
        union = EMPTY
        for part in parts:
            union |= part.charset
        return Chars(union)
    return Alt(parts)


def repeat(body: Node, least: int, most: int | None, lazy: bool = False) -> Node:
    if most == 0 or body == EMPTY_TEXT:
        return EMPTY_TEXT
    return body if least == most == 1 else Repeat(body, least, most, lazy)


def children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, (Cat, Alt)):
        return node.parts
    return (node.body,) if isinstance(node, (Repeat, Group, Look)) else ()


def walk(node: Node) -> Iterable[Node]:
    """The node and everything below it, top down."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def is_assertion(node: Node) -> bool:
    return isinstance(node, (Look, Boundary))


def width(node: Node) -> tuple[int, int | None]:
    """The least and the greatest length of the texts (None: no bound)."""
    if isinstance(node, Chars):
        return 1, 1
    if isinstance(node, Group):
        return width(node.body)
    if isinstance(node, Cat):
        lows, highs = zip(*map(width, node.parts)) if node.parts else ((0,), (0,))
        return sum(lows), None if None in highs else sum(highs)
    if isinstance(node, Alt):
        lows, highs = zip(*map(width, node.parts))
        return min(lows), None if None in highs else max(highs)
    if isinstance(node, Repeat):
        low, high = width(node.body)
        return low * node.least, 0 if high == 0 else None if None in (high, node.most) else high * node.most
    return 0, 0
