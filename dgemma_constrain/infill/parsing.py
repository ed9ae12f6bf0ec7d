"""tree-sitter's parser with a deadline. A file that is broken everywhere takes it seconds a megabyte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

SLICE = 8192  # bytes that the parser is handed at once


class OutOfTime(Exception):
    """Parsing was stopped."""


def parse(parser: Any, source: bytes, on_time: Callable[[], bool], old: Any = None) -> Any:
    """The tree of a file, given an edited `old` one where there is one. on_time: asked every hundred operations of the parser.

    Raises OutOfTime when it says no.
    """

    def read(at: int, _: Any) -> bytes:
        return source[at : at + SLICE]

    try:
        given = (read,) if old is None else (read, old)
        return parser.parse(*given, progress_callback=lambda *_: not on_time())
    except ValueError:  # that is how the binding says it
        parser.reset()
        raise OutOfTime from None


def path_to(tree: Any, at: int) -> Iterator[Any]:
    """The nodes around a place in a file, in bytes, from the root's child to a leaf. Climbing from the leaf would take the square
    of the depth: a node looks for its parent from the root down."""
    cursor = tree.walk()
    while cursor.goto_first_child_for_byte(at) is not None and cursor.node.start_byte <= at:
        yield cursor.node
