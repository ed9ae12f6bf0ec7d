"""Sets of Unicode characters.

A set is kept as the sorted positions where membership changes, so a set of a million characters costs as little as
its number of ranges, and every Boolean operation is one merge.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Iterable

import numpy as np

TEXT_LIMIT = 0x110000  # one past the last code point; "characters" from here on are markers, which stand for no text


class Charset:
    """An immutable set of code points, `bounds` int32[2n]: its members are [b0, b1) ∪ [b2, b3) ∪ …

    key: the same as bytes, equal for equal sets
    """

    __slots__ = ("bounds", "key")

    def __init__(self, bounds: np.ndarray):
        self.bounds = bounds
        self.key = bounds.tobytes()

    @staticmethod
    def of(characters: str) -> Charset:
        return Charset.ranges((ord(c), ord(c)) for c in characters)

    @staticmethod
    def ranges(pairs: Iterable[tuple[int, int]]) -> Charset:
        """The union of inclusive ranges of code points; surrogates, which no text holds, are left out."""
        flat = np.array(sorted((lo, hi + 1) for lo, hi in pairs if lo <= hi), np.int32).reshape(-1, 2)
        if not len(flat):
            return EMPTY
        reach = np.maximum.accumulate(flat[:, 1])  # merge overlaps: a range starts a new run past all before it
        fresh = np.concatenate([[True], flat[1:, 0] > reach[:-1]])
        ends = np.append(np.flatnonzero(fresh)[1:] - 1, len(flat) - 1)
        merged = np.stack([flat[fresh, 0], reach[ends]], 1).ravel().astype(np.int32)
        return Charset(merged) & ANY

    @staticmethod
    def marker(number: int) -> Charset:
        """A symbol that is no text: position marks of look-around assertions (see `constraints.regex.lookaround`)."""
        return Charset(np.array([TEXT_LIMIT + number, TEXT_LIMIT + number + 1], np.int32))

    def _merge(self, other: Charset, keep) -> Charset:
        cuts = np.union1d(self.bounds, other.bounds)
        inside = keep(np.searchsorted(self.bounds, cuts, "right") & 1, np.searchsorted(other.bounds, cuts, "right") & 1)
        return Charset(cuts[np.diff(inside, prepend=0) != 0].astype(np.int32))

    def __or__(self, other: Charset) -> Charset:
        return self._merge(other, np.bitwise_or)

    def __and__(self, other: Charset) -> Charset:
        return self._merge(other, np.bitwise_and)

    def __sub__(self, other: Charset) -> Charset:
        return self._merge(other, lambda a, b: a & ~b & 1)

    def __invert__(self) -> Charset:
        return ANY - self

    def __contains__(self, character: str | int) -> bool:
        point = ord(character) if isinstance(character, str) else character
        return bool(np.searchsorted(self.bounds, point, "right") & 1)

    def __len__(self) -> int:
        return int((self.bounds[1::2] - self.bounds[::2]).sum())

    def __bool__(self) -> bool:
        return len(self.bounds) > 0

    def __eq__(self, other) -> bool:
        return self is other or (isinstance(other, Charset) and self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def pairs(self) -> list[tuple[int, int]]:
        """Inclusive ranges, in order."""
        return [(int(a), int(b) - 1) for a, b in zip(self.bounds[::2], self.bounds[1::2])]

    def __repr__(self) -> str:
        return f"Charset({describe(self)})"


@lru_cache(maxsize=4096)
def char(character: str) -> Charset:
    """The set of one character."""
    point = ord(character)
    return Charset(np.array([point, point + 1], np.int32))


def describe(charset: Charset, limit: int = 6) -> str:
    """For people: `'a'-'z', '_'`, with "…" after `limit` ranges, or the complement where that is shorter."""
    if charset == ANY:
        return "any character"
    inverse = ANY - charset
    if 0 < len(inverse.bounds) < len(charset.bounds):
        return "any character but " + describe(inverse, limit)
    shown = [repr(chr(a)) if a == b else f"{chr(a)!r}-{chr(b)!r}" for a, b in charset.pairs()[:limit]]
    return ", ".join(shown) + (", …" if len(charset.bounds) > 2 * limit else "")


EMPTY = Charset(np.zeros(0, np.int32))
ANY = Charset(np.array([0, 0xD800, 0xE000, TEXT_LIMIT], np.int32))
