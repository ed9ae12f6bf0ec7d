"""tree-sitter's parser with a deadline. A file that is broken everywhere takes it seconds a megabyte."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

SLICE = 8192  # bytes that the parser is handed at once
# Of each language the file without an error that was parsed last, its tree, and the placeholder in it: see `parse_next`.
_LAST: dict[str, tuple[bytes, Any, tuple[int, int, bytes] | None]] = {}
_BLANK = re.compile(rb"\s*")


class OutOfTime(Exception):
    """Parsing was stopped."""


class Clock(NamedTuple):
    """Whether there is time left, when called."""

    end: float
    cancel: threading.Event | None

    def __call__(self) -> bool:
        return time.monotonic() < self.end and not (self.cancel is not None and self.cancel.is_set())


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


def parse_next(
    language: str,
    parser: Any,
    source: bytes,
    on_time: Callable[[], bool],
    hole: tuple[int, int, bytes] | None = None,
) -> Any:
    """The tree of a whole file, as `parse` makes it, with what can stay of the last one in this language: from one keystroke to the
    next a file hardly changes. Only between files without an error, where there is one tree, however it was come by.

    hole: where in the source a placeholder stands, start and end in bytes, and instead of what: another file may have its hole
    elsewhere. Raises OutOfTime.
    """
    tree, last = None, _LAST.get(language)
    if last is not None:
        text, old, placed = last[0], last[1].copy(), last[2]
        if placed is not None:
            start, stop, now = placed
            text = text[:start] + now + text[stop:]
            edit(old, last[0], text, start, stop, start + len(now))
        start, stop = _shared(text, source)
        if 2 * (start + stop) > len(source):
            edit(old, text, source, start, len(text) - stop, len(source) - stop)
            tree = parse(parser, source, on_time, old)
    if tree is None or tree.root_node.has_error:
        tree = parse(parser, source, on_time)
    remember(language, source, tree, hole)
    return tree


def remember(language: str, source: bytes, tree: Any, hole: tuple[int, int, bytes] | None) -> None:
    """Keep a file's tree for `parse_next`, if there is no error in it."""
    if not tree.root_node.has_error:
        _LAST[language] = source, tree, hole


def edit(tree: Any, old: bytes, new: bytes, start: int, old_end: int, new_end: int) -> None:
    """Tell a tree that old[start:old_end] has become new[start:new_end], and the blanks behind it anew, too: of tokens without
    characters that stand there, such as Python's line ends, the parser would take the old ones for read, and then all that follows
    for changed."""
    blank = _BLANK.match(old, old_end).end() - old_end
    ends = start, old_end + blank, new_end + blank
    tree.edit(*ends, *(_point(text, end) for text, end in zip((new, old, new), ends)))


def _shared(one: bytes, other: bytes) -> tuple[int, int]:
    """How many bytes two texts share at their beginnings, and then at their ends."""
    n = min(len(one), len(other))
    a, b = (np.frombuffer(text, np.uint8) for text in (one, other))
    start = _equal(a[:n], b[:n])
    rest = n - start
    return start, _equal(a[len(one) - rest :][::-1], b[len(other) - rest :][::-1])


def _equal(a: np.ndarray, b: np.ndarray) -> int:
    """Where two arrays of one length differ first; their length if nowhere."""
    differ = a != b
    return int(differ.argmax()) if differ.any() else len(a)


def _point(source: bytes, at: int) -> tuple[int, int]:
    """Row, and column in bytes."""
    return source.count(b"\n", 0, at), at - source.rfind(b"\n", 0, at) - 1


def path_to(tree: Any, at: int) -> Iterator[Any]:
    """The nodes around a place in a file, in bytes, from the root's child to a leaf. Climbing from the leaf would take the square
    of the depth: a node looks for its parent from the root down."""
    cursor = tree.walk()
    while cursor.goto_first_child_for_byte(at) is not None and cursor.node.start_byte <= at:
        yield cursor.node
