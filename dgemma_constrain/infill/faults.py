"""What is wrong with a file that has a hole: its ERROR and MISSING nodes, and whether those with one text in the hole are among
those with another.

How tree-sitter recovers from an error is a matter of costs all over the file: an edit can make it skip another token of a line
far away, or take one wide error for a few small ones. So errors are not only compared node by node. A text keeps to another if
each error that only it leads to lies in the lines of, or next to, one that only the other leads to: so one that swallows the rest
of the file is not taken for a few of a word each. What they cost is what the parser left out or put in to read the file, as in
least-error correction (Aho and Peterson 1972).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from typing import Any, NamedTuple

NEXT = 1  # lines that an error may move by
# ("left", bytes from the start), ("in", bytes from the hole's start) or ("right", bytes from the end)
Place = tuple[str, int]
Fault = tuple[str, Place, Place]  # what it is, where it starts and ends
Key = tuple[int, int]  # a place by which others lie before or behind it; all of the hole is one
_BLANK = re.compile(rb"\s*")
_HOLE: Key = (1, 0)


class Faults(NamedTuple):
    """nodes: a tree's ERROR and MISSING nodes. cost: their number, and that of the tokens that lie bare in errors, where no other
    node holds them. loose: how many of these are the hole's; one is not counted, since a text has at least one."""

    nodes: Counter[Fault]
    cost: int
    loose: int


class Sides:
    """The text left and right of a hole."""

    def __init__(self, before: bytes, after: bytes):
        self._before, self._after = before, after
        self._line = before.rfind(b"\n") + 1
        stop = after.find(b"\n")
        self._rest = len(after) if stop < 0 else stop

    def faults(self, tree: Any, length: int) -> Faults:
        """Of a file's tree with so many bytes in the hole."""
        found: Counter[Fault] = Counter()
        at, bare, loose = len(self._before), 0, 0
        stop = at + length
        todo = [tree.root_node] if tree.root_node.has_error else []
        while todo:
            node = todo.pop()
            children = node.children
            inner = [child for child in children if child.has_error or child.is_error or child.is_missing]
            what = None
            if node.is_missing:
                what = f"missing {node.type}"
            elif node.is_error:
                what = "error"
                alone = [x for x in children if not (x.child_count or x.is_extra or x.is_error or x.is_missing)]
                bare += len(alone) + (not children)
                if node.start_byte < stop and node.end_byte > at:
                    loose += sum(x.start_byte < stop and x.end_byte > at for x in alone)
            elif not inner:
                what = "hidden"  # a MISSING node that the grammar hides
            if what:
                found[what, self._place(node.start_byte, length), self._place(node.end_byte, length)] += 1
            todo += inner
        return Faults(found, found.total() + bare - min(loose, 1), loose)

    def on_the_line(self, faults: Faults) -> Counter[Fault]:
        """Those that begin on the hole's line: it is the hole's to mend them."""
        return Counter({one: count for one, count in faults.nodes.items() if self._begins_on_the_line(one[1])})

    def keeps_to(self, faults: Faults, others: Faults) -> bool:
        """Whether each that isn't one of the others lies in the lines of one that is gone, or next to them."""
        new = faults.nodes - others.nodes
        if not new:
            return True
        gone = sorted((self._near(start, -1), self._near(end, 1)) for _, start, end in others.nodes - faults.nodes)
        firsts, lasts = [first for first, _ in gone], list(accumulate((last for _, last in gone), max))
        for one in new:
            k = bisect_right(firsts, self._start(one))  # of those that begin before it, the one that reaches furthest
            if not k or lasts[k - 1] < self._key(one[2]):
                return False
        return True

    def _place(self, position: int, length: int) -> Place:
        start = len(self._before)
        if position < start or position == start and not length:
            return "left", position
        if position >= start + length:
            return "right", start + length + len(self._after) - position
        return "in", position - start

    def _begins_on_the_line(self, place: Place) -> bool:
        side, position = place
        if side == "left":
            return position >= self._line
        return side == "in" or position >= len(self._after) - self._rest

    def _key(self, place: Place) -> Key:
        side, position = place
        return (0, position) if side == "left" else _HOLE if side == "in" else (2, len(self._after) - position)

    def _start(self, fault: Fault) -> Key:
        """What is missing lies anywhere between two tokens: as far as its start goes, before the second."""
        side, at = key = self._key(fault[1])
        if not fault[0].startswith("missing") or key == _HOLE:
            return key
        return side, _BLANK.match(self._after if side else self._before, at).end()

    def _near(self, place: Place, way: int) -> Key:
        """The beginning (way -1) or end (1) of the line NEXT lines away."""
        side, at = key = self._key(place)
        if key == _HOLE:
            return key
        text = self._after if side else self._before
        at -= way > 0
        for _ in range(1 + NEXT):
            at = text.find(b"\n", at + 1) if way > 0 else text.rfind(b"\n", 0, at)
            if at < 0:
                return _HOLE if (side == 0) == (way > 0) else (side, len(text) if way > 0 else 0)
        return side, at
