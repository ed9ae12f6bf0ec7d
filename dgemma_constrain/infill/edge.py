"""The text left of a hole, read once, and what candidates make of it: the recogniser, over many candidates in one call.

For `complete`: one `Edge` a hole; `alive_each` for the strings of a beam, all at once, since a call costs some 4 us beside the
1 to 2 us of a candidate; `fits_each` before tree-sitter is asked for the last word. Right of the hole it knows no errors that
are to be tolerated: where no placeholder fits, only `alive` is of use. tree-sitter's grammars are looser than the languages: in
Python's a body may be missing, and lines may be indented as they like. Kernels are compiled when the first Edge is made.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, intern
from dgemma_constrain.infill.candidates import SEPARATOR, check_at, lying
from dgemma_constrain.infill.languages import grammar
from dgemma_constrain.infill.lexer import keywords, new_block
from dgemma_constrain.infill.recogniser import ALIVE, COLLECT, NEVER, WHOLE, run
from dgemma_constrain.infill.stacks import LIMIT, LONGEST, emptied, enlarged, new_work
from dgemma_constrain.infill.tables import Tables, tables, unread

ROOM, KEPT = 4096, 1 << 22  # characters of a candidate, numbers in the heap before it is emptied
SPELLINGS = 4096  # of a language at most
READ = 300_000  # characters left of a hole that are worth the time, and right of it
DEEPEST = 2000  # states of a stack
_lock = threading.Lock()  # a wheel's scanner is one object, and kernels let other threads run


@cache
def _compiled(language: str) -> tuple[Tables, np.ndarray]:
    """The tables, and the spellings of terminals, int32[W, 1 + longest + 1]: the terminal, code points, then 0."""
    read, binding = tables(language), grammar(language)
    words = np.zeros((SPELLINGS, LONGEST + 3), np.int32)
    fixed = [
        (k, name)
        for k, name in enumerate(read.names[: read.reserved.shape[1]])
        if k and not binding.node_kind_is_named(k) and binding.node_kind_is_visible(k)
    ]
    for row, (k, name) in zip(words, fixed):
        row[0] = k
        row[1 : 1 + min(len(name), LONGEST)] = [ord(c) for c in name[:LONGEST]]
    read, count = read._replace(names=()), len(fixed)  # a kernel is compiled for the number of names
    if read.capture:  # keywords that have a name of their own, or several spellings
        count += keywords(read, new_block(), words[count:])
    return read, np.unique(words[:count], axis=0)


@cache
def warm_up() -> None:
    """Compile the kernels, or load them; some 12 s at the very first."""
    Edge("python", b"x = ").fits(b"1", b"\n")


class Open(NamedTuple):
    """An item at the cursor: its stack's states from the top, how far left of the cursor it is, the scanner's state."""

    states: tuple[int, ...]
    back: int
    scanner: bytes


class Edge:
    """The text left of a hole, read once. Not for two threads at once.

    `known` is False where that text can't become a whole file, as in one that is broken before the hole, or where it has too
    many parses, more than READ characters or DEEPEST states open: then there is nothing to check by, and `alive` and `fits` say None.
    """

    def __init__(self, language: str, before: bytes, behind: Edge | None = None):
        """behind: an edge that `before` follows upon; what is left of that isn't read again."""
        self._language, (self._tables, self._words) = language, _compiled(language)
        self._block, self._unread = new_block(), unread(language)
        text = _codes(before.decode())
        self._after, self._memo, self._stamp = b"", NEVER, 0
        self._left = self._text = self._changed = np.zeros(0, np.int32)
        opened, at = [Open((1,), 0, self._unread)], int(len(text) > 0 and text[0] == 0xFEFF)
        if behind is not None:
            opened, at = behind._open, len(behind._left)
            text = np.concatenate([behind._left, text])
        self._work = new_work(len(text))
        self._open = self._collected(text, opened, at) if len(text) <= READ else []
        back = max((one.back for one in self._open), default=0)
        lines = np.flatnonzero(text[: len(text) - back] == 10)
        tail = text[lines[-1] + 1 if len(lines) else 0 :]
        self._left = np.concatenate([np.array([10], np.int32), tail])  # a line end, since scanners ask for columns
        self._make_room(0, b"")
        self.known = bool(self._open) and self.alive_each([b""])[0] == 1

    def behind(self, text: bytes) -> Edge:
        """The edge of what is left of this one and a text that follows."""
        return Edge(self._language, text, self)

    def alive(self, candidate: bytes) -> bool | None:
        """Whether the text left of the hole and this can be continued to a whole file. True where it has too many parses."""
        return bool(self.alive_each([candidate])[0]) if self.known else None

    def alive_each(self, candidates: list[bytes]) -> np.ndarray:
        """`alive` of many, int8[n]: 1, 0, or LIMIT where one has too many parses. Of an edge that is known."""
        return self._checked(candidates, ALIVE, self._after)

    def fits(self, candidate: bytes, after: bytes) -> bool | None:
        """Whether the file is whole with this in the hole, and `after` right of it. None where it has too many parses.

        False of every candidate where `after` has an error of its own: ask for a placeholder that is known to fit first.
        """
        answer = self.fits_each([candidate], after)[0] if self.known else LIMIT
        return None if answer == LIMIT else bool(answer)

    def fits_each(self, candidates: list[bytes], after: bytes) -> np.ndarray:
        """`fits` of many, int8[n]: 1, 0, or LIMIT."""
        return self._checked(candidates, WHOLE, after)

    def _checked(self, candidates: list[bytes], goal: int, after: bytes) -> np.ndarray:
        data = SEPARATOR.join((*candidates, b""))
        if data.count(SEPARATOR) != len(candidates):  # one has it itself, so that it is no text
            return self._checked([one.replace(SEPARATOR, b"\xfe") for one in candidates], goal, after)
        room = len(self._changed) - len(self._left)
        other = after is not self._after and after != self._after
        if other or len(data) > room:
            longest = max(map(len, candidates), default=0)
            if other or longest > room:
                self._make_room(longest, after)
                room = len(self._changed) - len(self._left)
        data = np.frombuffer(data, np.uint8)
        answers, done, moved = np.empty(len(candidates), np.int8), 0, True
        while done < len(candidates):
            if moved and self._work.heap.size[0] > KEPT:
                self._empty()
            if self._kept is None:
                self._kept = np.array([self._interned(one) for one in self._open], np.int32).reshape(-1, 3)
            need = 4 * len(candidates) + len(self._kept) + room + 8
            if need > len(self._order):
                self._order, self._where = np.empty(2 * need, np.int32), None
            if self._where is None:
                self._where = lying(
                    self._tables, self._work, self._words, self._block, self._text, self._kept, self._order, self._changed, self._memo,
                    len(self._left),
                )  # fmt: skip
            with _lock:
                now = check_at(self._where, data, answers, goal, done, self._stamp)
            self._stamp += len(candidates) + 1
            done, moved = now, now > done
            if done < len(candidates) and not (moved and self._work.heap.size[0] > KEPT):
                self._enlarge()
        return answers

    def _collected(self, text: np.ndarray, opened: list[Open], cursor: int) -> list[Open]:
        """The items that the end of a text leaves open, given those at a place in it."""
        while True:
            rows = [self._interned(one) for one in opened]
            starts = np.array([self._row([node, cursor - back, scanner]) for node, back, scanner in rows], np.int32)
            self._stamp += 1
            with _lock:
                count = run(
                    self._tables, self._words, self._block, text, self._work, starts, COLLECT, NEVER, self._stamp, self._changed
                )  # fmt: skip
            if count != FULL:
                found = [self._read(int(item), len(text)) for item in self._work.opened[: max(count, 0)]]
                return [] if any(len(one.states) > DEEPEST for one in found) else found
            self._enlarge()

    def _interned(self, one: Open) -> tuple[int, int, int]:
        node = -1
        for state in reversed(one.states):
            node = self._row([state, node])
        return node, one.back, self._row([*one.scanner, 0, 0, 0, 0])

    def _row(self, values: list[int]) -> int:
        row = np.array(values, np.int32)
        while (found := int(intern(self._work.heap, row, len(row)))) == FULL:
            self._enlarge()
        return found

    def _read(self, item: int, length: int) -> Open:
        items = self._work.heap.items
        node, at, scanner = items[item + 1 : item + 4].tolist()
        states = []
        while node >= 0 and len(states) <= DEEPEST:
            states.append(int(items[node + 1]))
            node = int(items[node + 2])
        return Open(
            tuple(states), length - at, bytes(items[scanner + 1 : scanner + items[scanner] - 3].astype(np.uint8))
        )

    def _empty(self) -> None:
        self._kept = self._where = None
        self._work, self._stamp = emptied(self._work), 0
        self._changed.fill(0)

    def _make_room(self, size: int, after: bytes) -> None:
        """For candidates of so many bytes together, between what is left of the hole and what is right of it."""
        right, behind = _codes(after.decode()), len(self._left) + 2 * size + ROOM
        self._text = np.concatenate([self._left, np.zeros(behind - len(self._left), np.int32), right])
        self._after, self._changed, self._order = after, np.empty(behind, np.int32), np.empty(0, np.int32)
        lines = np.flatnonzero(right == 10)  # in the first line columns depend on the candidate
        self._memo = behind + int(lines[0]) + 1 if len(lines) else NEVER
        self._empty()

    def _enlarge(self) -> None:
        self._work, self._where = enlarged(self._work), None


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.int32)
