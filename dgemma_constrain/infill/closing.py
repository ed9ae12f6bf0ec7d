"""The shortest texts that bring a hole to its end: behind them, what stands right of the hole goes through.

`ways` finds the cheapest by the costs that `yields` has computed; here they are spelled. Costs leave out lookaheads and how
tokens touch, so of the cheapest ways each is read by the recogniser, with what stands right of the hole, before it is given out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from dgemma_constrain.infill import edge as _edge
from dgemma_constrain.infill.edge import Edge
from dgemma_constrain.infill.lexer import STATE
from dgemma_constrain.infill.ways import STEPS, WAYS, goals, spread, ways
from dgemma_constrain.infill.yields import NEVER as DEAR
from dgemma_constrain.infill.yields import Yields, yields

STACKS = 128  # looked at for the ways to close
FEW = 4  # of the ways, which are read first
ROUNDS = 6  # in which goals are found out to be none
STRETCHES = (64, 16, 4, 1)  # lines right of the hole that are read where the rest of the file has errors


class Goals(NamedTuple):
    """What is to be reached. distance int32[S]: the least cost from a state to one that shifts what is right of the hole; way
    int32[S]: the edge that goes there first, -1 where it is there."""

    distance: np.ndarray
    way: np.ndarray


class Closing:
    """What closes a hole, given an Edge of what is left of it and the text right of it. Not for two threads at once.

    `known` is False where nothing was found that does: where that text has errors of its own, say.
    """

    def __init__(self, language: str, edge: Edge, after: bytes, several: bool, partly: bool = False):
        """partly: what is right of `after` isn't known, so that it need only be read, with whatever it leaves open."""
        self._edge, self._after, self._all = edge, after, after if partly else None
        self._stretch = self._all
        self._yields: Yields = yields(language, several)
        self._external = {int(x) for x in edge._tables.externals}
        self._texts: dict[int, list[int]] = {}
        self._keywords = {one for some in self._yields.spelled for one in some if one.isalnum() and len(one) > 1}
        self._spellings: dict[tuple[tuple[int, ...], str], list[bytes]] = {}
        self.known = edge.known and self._choose()

    @property
    def reads_all(self) -> bool:
        """Whether all that is right of the hole goes through, and not only some lines."""
        return self._stretch == self._all

    def of(self, prefixes: list[bytes]) -> list[list[bytes]]:
        """For each beginning of a text for the hole, what may stand behind it to close the hole, shortest first."""
        closed = self._closed(prefixes)
        stuck = [k for k, found in enumerate(closed) if not found and _last_word(prefixes[k]) in self._keywords]
        if stuck:  # a keyword that can't stand here, but a longer word may: `import` of `important`
            for k, found in zip(stuck, self._closed([prefixes[k] + b"_" for k in stuck])):
                closed[k] = [b"_" + one for one in found]
        asked = self._fewer or self._all is not None  # whether ways may say too little
        lacking = [k for k, found in enumerate(closed) if b"" not in found] if asked else []
        for k, fine in zip(lacking, self.fits([prefixes[k] for k in lacking])):
            closed[k] = [b""] * fine + closed[k]
        return closed

    def _closed(self, prefixes: list[bytes]) -> list[list[bytes]]:
        found, costs = self._ways(prefixes, 0)
        closed: list[list[bytes]] = [[] for _ in prefixes]
        for some in (slice(0, 1), slice(1, FEW), slice(FEW, WAYS)):  # mostly the cheapest does
            flat = [
                (k, text)
                for k, prefix in enumerate(prefixes)
                if not closed[k]
                for text in self._texts_of(prefix, found[k : k + 1, some], costs[k : k + 1, some])
            ]
            for (k, text), fine in zip(flat, self.fits([prefixes[k] + text for k, text in flat])):
                if fine:
                    closed[k].append(text)
        return closed

    def fits(self, texts: list[bytes]) -> list[bool]:
        """Whether each text closes the hole."""
        return [bool(one) for one in self._fits(texts)] if texts else []

    def shortest(self, head: bytes = b"") -> list[bytes]:
        """Texts that close the hole: for every terminal that may stand behind `head` the shortest that begin with it."""
        found = dict.fromkeys(head + one for one in self._written([head], 0)[0])
        first = [(terminal, spelled[0]) for terminal, spelled in enumerate(self._yields.spelled) if spelled]
        begun = [head + _joined(head.decode()[-1:], one).encode() for _, one in first]
        for (terminal, one), text, alive in zip(first, begun, self._edge.alive_each(begun)):
            if alive == 1:
                found |= dict.fromkeys(text + rest for rest in self._behind(head, terminal, one)[:3])
        found |= dict.fromkeys(self._healed(head))
        texts = [one for one in found if one[len(head) :].strip()]
        return [one for one, fine in zip(texts, self.fits(texts)) if fine]

    def _healed(self, head: bytes) -> list[bytes]:
        """Texts that begin with a terminal that the head is the beginning of, a keyword above all."""
        found = []
        for terminal, spelled in enumerate(self._yields.spelled):
            for one in (x.encode() for x in spelled if head and x.encode().startswith(head) and x.encode() != head):
                if self._edge.alive_each([one])[0] == 1:
                    found += [one + rest for rest in self._written([b""], terminal, one.decode()[-1:])[0][:3]]
        return found

    def _behind(self, head: bytes, terminal: int, spelled: str) -> list[bytes]:
        return self._written([head], terminal, spelled[-1:])[0]

    def _choose(self) -> bool:
        """Find out how much of what is right of the hole can be read to its end, all of it or so many lines, and behind what.

        States where its first token can stand, but not the others, are no goals: they are found out one after the other.
        """
        first = self._reached(self._after)
        left = first.copy()
        for tried in range(ROUNDS):
            self._fewer = tried > 0  # a state that is no goal at once may be one within brackets
            self._goals = self._spread(left)
            found = self._ways([b""], 0)
            if any(self.fits(self._texts_of(b"", *found))):
                return True
            left[[self._goal(row) for row, cost in zip(found[0][0], found[1][0]) if cost < DEAR - 1]] = DEAR
        self._goals = self._spread(first)
        written = self._written([b""], 0)[0]
        lines = self._after.split(b"\n")
        for stretch in (b"\n".join(lines[:n]) for n in STRETCHES if n < len(lines)):
            self._stretch = stretch
            if any(self.fits(written)):
                return True
        self._stretch = self._all
        return bool(self.shortest())  # as in an empty file, where nothing has begun that could be ended

    def _goal(self, row: np.ndarray) -> int:
        """The state that a way ends in."""
        state = -1 - int(row[row < 0][0])
        while self._goals.way[state] >= 0:
            state = self._yields.target[self._goals.way[state]]
        return int(state)

    def _spread(self, distance: np.ndarray) -> Goals:
        self._spellings.clear()  # they led to other goals
        y, reached = self._yields, Goals(distance.copy(), np.full(len(distance), -1, np.int32))
        spread(y.source, y.symbol, y.target, y.cost, *reached)
        return reached

    def _fits(self, texts: list[bytes]) -> np.ndarray:
        if self._stretch is None:
            return self._edge.fits_each(texts, self._after) == 1
        return self._edge.alive_each([text + self._stretch for text in texts]) == 1

    def _reached(self, after: bytes) -> np.ndarray:
        edge = self._edge
        distance = np.full(len(edge._tables.table), DEAR, np.int32)
        scanner = next((one.scanner for one in edge._open), b"")
        saved, room = np.zeros(STATE, np.uint8), np.zeros((2, STATE), np.uint8)
        saved[: len(scanner)] = np.frombuffer(scanner, np.uint8)
        text = np.concatenate([edge._left, _edge._codes(after.decode())])
        with _edge._lock:
            goals(
                edge._tables, edge._block, text, np.int64(len(edge._left)), saved, np.int64(len(scanner)), room, distance
            )  # fmt: skip
        return distance

    def _written(self, prefixes: list[bytes], begun: int, last: str = "") -> list[list[bytes]]:
        """The cheapest ways to close behind each prefix, as texts, cheapest first, unread."""
        found, costs = self._ways(prefixes, begun)
        return [self._texts_of(one, found[i : i + 1], costs[i : i + 1], last) for i, one in enumerate(prefixes)]

    def _texts_of(self, prefix: bytes, found: np.ndarray, costs: np.ndarray, last: str = "") -> list[bytes]:
        rows = [row for row, cost in zip(found[0].tolist(), costs[0].tolist()) if cost < DEAR - 1]
        last = last or _last(prefix)
        return list(dict.fromkeys(text for row in rows for text in self._spelled(row, last)))

    def _ways(self, prefixes: list[bytes], begun: int) -> tuple[np.ndarray, np.ndarray]:
        edge, y, n = self._edge, self._yields, len(prefixes)
        data = np.frombuffer(b"".join(prefixes) or b" ", np.uint8)
        ends = np.cumsum([0, *map(len, prefixes)])
        text = np.zeros(len(edge._left) + max(map(len, prefixes)) + 2, np.int32)
        found, costs = np.empty((n, WAYS, STEPS), np.int32), np.empty((n, WAYS), np.int32)
        queue, done = np.empty((STACKS, 5), np.int32), 0
        while done < n:
            if edge._work.heap.size[0] > _edge.KEPT:
                edge._empty()
            if edge._kept is None:
                edge._kept = np.array([edge._interned(one) for one in edge._open], np.int32).reshape(-1, 3)
            with _edge._lock:
                now = ways(
                    edge._tables, edge._words, y.starts, y.items, self._goals.distance, edge._block, edge._work, text,
                    edge._left, data, ends, edge._kept, queue, done, edge._stamp, begun, found, costs,
                )  # fmt: skip
            edge._stamp += n + 1
            done = now
            if done < n:
                edge._enlarge()
        return found, costs

    def _spelled(self, row: list[int], last: str) -> list[bytes]:
        """A way as texts behind a character: one, or several where a terminal has several spellings, of which all take the same one."""
        steps = tuple(row[: next(k for k, step in enumerate(row) if step < 0) + 1])
        if (steps, last) not in self._spellings:
            terminals = [terminal for step in steps[:-1] for terminal in self._terminals(step)]
            terminals += self._to_goal(-1 - steps[-1])
            self._spellings[steps, last] = self._texts_for(terminals, last)
        return self._spellings[steps, last]

    def _to_goal(self, state: int) -> list[int]:
        terminals = []
        while self._goals.way[state] >= 0:
            edge = self._goals.way[state]
            terminals += self._yields.terminals(int(self._yields.symbol[edge]))
            state = self._yields.target[edge]
        return terminals

    def _texts_for(self, terminals: list[int], last: str) -> list[bytes]:
        spelled, texts = self._yields.spelled, []
        count = max((len(spelled[x]) for x in terminals if x in self._external), default=1)
        for k in range(count):
            text, end = "", last
            for x in terminals:
                one = spelled[x][min(k, len(spelled[x]) - 1) if x in self._external else 0]
                text += _joined(end, one)
                end = one[-1:]
            texts.append(text.encode())
        return texts

    def _terminals(self, item: int) -> list[int]:
        if item not in self._texts:
            self._texts[item] = self._yields.rest(item)
        return self._texts[item]


def _last(prefix: bytes) -> str:
    return prefix.decode(errors="ignore")[-1:]


def _last_word(prefix: bytes) -> str:
    return re.search(r"\w*$", prefix.decode(errors="ignore"))[0]


def _joined(end: str, text: str) -> str:
    """`text` with a blank before it where it would otherwise grow together with what ends in the character `end`."""
    if not end or not text:
        return text

    def kind(one: str) -> str:
        return "a" if one.isalnum() or one == "_" else "+" if one in "+-*/%&|^<>=!~?.:@#$\\" else one

    return " " + text if kind(end) == kind(text[0]) and kind(end) in "a+" else text
