"""The likeliest strings of a canvas that are whole, by a beam from left to right.

A beginning is kept only where something is known that ends it in the positions that are left; that with this ending is a
string, too. So whatever a model says there are whole strings, and those that it prefers push the others out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from dgemma_constrain.tokens.vocabulary import Vocabulary

WIDTH, BRANCHES = 16, 24  # beginnings kept at every position; tokens looked at behind each
AT_ONCE = 48  # beginnings that are checked together: a call costs as much as ten of them
ENDINGS = 3  # of a beginning that become strings
GROUP = 64  # tokens


class String(NamedTuple):
    """ids without the end token; `score`, the mean log-probability of a token, the end's included where there is one."""

    score: float
    ids: tuple[int, ...]
    text: bytes
    ended: bool


class Rules(Protocol):
    """hopes: how many beginnings are kept at every position of which no ending is known."""

    hopes: int

    def alive(self, texts: list[bytes]) -> list[bool]:
        """Which beginnings can be gone on with."""

    def closings(self, texts: list[bytes]) -> list[list[bytes]]:
        """For each beginning, what may stand behind it to end it; b"" where it is whole as it is."""


class Spelling:
    """What a vocabulary says of tokens and texts, remembered: a beam asks again and again for the same."""

    def __init__(self, vocabulary: Vocabulary):
        self.eos_ids, self.order = vocabulary.eos_ids, vocabulary.order
        self.token_bytes, self.encode = cache(vocabulary.token_bytes), cache(vocabulary.encode)


class Bound:
    """What a canvas's strings can score at most, given how they begin: no token is likelier than the likeliest in its place.

    rows: float[L, V]. A string of n tokens scores the mean of them, and of the end token behind them where n < L.
    """

    def __init__(self, rows: np.ndarray, ends: tuple[int, ...], pinned: dict[int, tuple[int, float]]):
        n, ids = len(rows), list(ends)
        self._end = np.append(rows[:, ids].max(1), 0.0) if ids else np.append(np.full(n, -np.inf), 0.0)
        self._token = rows.max(1).astype(float)
        for k in np.flatnonzero(self._token <= self._end[:-1]):  # the end itself is the likeliest
            row = rows[k].copy()
            row[ids] = -np.inf
            self._token[k] = row.max()
        for k, (i, p) in pinned.items():
            self._token[k], self._end[k] = (-np.inf, p) if i in ends else (p, -np.inf)
        self._count = np.append(np.arange(n) + 1.0, n)

    def of(self, score: float, length: int) -> float:
        """Of strings longer than `length`, of which the first tokens score so much in sum."""
        return ((score + self._more(length)[1:]) / self._count[length + 1 :]).max(initial=-np.inf)

    def least(self, score: float, length: int) -> float:
        """What the first tokens must score in sum, so many of them, for a string to score that much."""
        return score if score == -np.inf else (score * self._count[length:] - self._more(length)).min()

    def _more(self, length: int) -> np.ndarray:
        """What may be added to the first tokens' sum, by the string's length."""
        return np.append(0.0, self._token[length:].cumsum()) + self._end[length:]


def strings(
    log_p: np.ndarray,
    vocabulary: Vocabulary | Spelling,
    pinned: dict[int, tuple[int, float]],
    head: bytes,
    rules: Rules,
    on_time: Callable[[], bool],
    lead: String | None = None,
    worth: Callable[[], float] = lambda: -np.inf,
) -> Iterator[String]:
    """The likeliest whole strings of a canvas, best first, each as soon as none that is still to come can be better.

    log_p: float[L, V]. pinned: position → id and the log-probability it was committed with. head: what every string begins
    with. on_time: asked at every position; when it says no, what is whole by then is returned. lead: a string that is whole
    and agrees with what is pinned; it is among those returned, scored anew. worth: asked at every position; of what scores less
    not all is found.
    """
    return _Beam(log_p, vocabulary, pinned, head, rules).run(on_time, lead, worth)


class _Beam:
    def __init__(self, log_p, vocabulary, pinned, head, rules):
        self._rows, self._vocabulary, self._pinned, self._head, self._rules = log_p, vocabulary, pinned, head, rules
        self._known: set[tuple[tuple[int, ...], bool]] = set()
        self._whole: list[tuple[float, int, String]] = []  # a heap
        self._bound = Bound(log_p, vocabulary.eos_ids, pinned)
        self._end = [max(vocabulary.eos_ids, key=lambda e: row[e], default=-1) for row in log_p]
        self._last = max(pinned, default=-1)

    def run(self, on_time: Callable[[], bool], lead: String | None, worth: Callable[[], float]) -> Iterator[String]:
        beam: list[tuple[float, tuple[int, ...], bytes]] = [(0.0, (), b"")]
        if lead is not None:
            self._add(0.0, (), lead.ids, lead.text, lead.ended)
        for position in range(len(self._rows)):
            best = self._bound.of(max(one[0] for one in beam), position) if beam else -np.inf
            while self._whole and -self._whole[0][0] >= best:
                yield heappop(self._whole)[-1]
            least = worth()
            if not on_time() or not beam or best < least:
                break
            beam = self._kept(self._grown(beam, position, self._bound.least(least, position + 1)))
        while self._whole:
            yield heappop(self._whole)[-1]

    def _grown(self, beam: list, position: int, least: float) -> Iterator[tuple[float, tuple[int, ...], bytes]]:
        """The beginnings with one token more, best first, down to a score, each text once."""
        row, ends, head = self._rows[position], set(self._vocabulary.eos_ids), self._head
        if position in self._pinned:
            i, p = self._pinned[position]
            near, scores = self._spelled([i] if i not in ends else []), [p]
        else:
            near = self._spelled(i for i in _likeliest(row, BRANCHES) if i not in ends)
            scores = row[[i for i, _ in near]]
        choices, sums = [], []
        for score, _, text in beam:
            some, theirs = near, scores
            if len(text) < len(head) and position not in self._pinned:
                some = self._spelled(_with_head(row, self._vocabulary, head[len(text) :]))
                theirs = row[[i for i, _ in some]]
            choices.append(some)
            sums.append(score + np.array(theirs[: len(some)], float))
        total = np.concatenate(sums)
        order = np.argsort(-total, kind="stable")
        order = order[: np.searchsorted(-total[order], -least, side="right")]
        begins = np.repeat(np.arange(len(beam)), [len(some) for some in choices])[order]
        places = order - np.cumsum([0, *map(len, choices)])[begins]
        seen = set()
        for score, begin, place in zip(total[order].tolist(), begins.tolist(), places.tolist()):
            _, ids, text = beam[begin]
            i, added = choices[begin][place]
            text += added
            if text not in seen and (text.startswith(head) or head.startswith(text)):
                seen.add(text)
                yield score, (*ids, i), text

    def _spelled(self, ids: Iterable[int]) -> list[tuple[int, bytes]]:
        """The tokens, with the bytes that they add; those that add none are left out."""
        return [(i, added) for i in ids if (added := self._vocabulary.token_bytes(i))]

    def _kept(self, longer: Iterator[tuple[float, tuple[int, ...], bytes]]) -> list:
        """The first of the beginnings, best first, that can be ended in time: as many as the beam is wide."""
        alive, beam, self._hopes = [], [], self._rules.hopes
        waiting = list(islice(longer, AT_ONCE))
        while len(beam) < WIDTH and (waiting or alive):
            while len(alive) < WIDTH and waiting:
                alive += [one for one, fine in zip(waiting, self._rules.alive([text for *_, text in waiting])) if fine]
                waiting = list(islice(longer, AT_ONCE))
            near, alive = alive[:WIDTH], alive[WIDTH:]
            beam += self._ended_in_time(near)
        return beam[:WIDTH]

    def _ended_in_time(self, near: list) -> list:
        """Those of some beginnings that have an ending, with which they are added to the strings."""
        begun = [one for one in near if len(one[2]) < len(self._head)]
        rest = [one for one in near if len(one[2]) >= len(self._head)]
        kept = []
        for one, endings in zip(rest, self._rules.closings([text for *_, text in rest]) if rest else ()):
            score, ids, text = one
            fits = 0
            for ending in endings:
                if fits < ENDINGS:
                    more = self._vocabulary.encode(ending.decode()) if ending else []
                    room = bool(self._vocabulary.eos_ids) and len(ids) + len(more) < len(self._rows)
                    fits += self._add(score, ids, (*ids, *more), text + ending, room)
            if fits or len(ids) <= self._last:  # what is pinned further on says what follows
                kept.append(one)
            elif self._hopes:
                kept.append(one)
                self._hopes -= 1
        return begun + kept

    def _add(self, score: float, before: tuple, ids: tuple[int, ...], text: bytes, ended: bool) -> bool:
        """Whether a string has room and agrees with what is pinned; then it is kept. score: of the ids before."""
        rows, n = self._rows, len(ids)
        stop = n + ended
        if stop > len(rows) or self._last >= stop or not ended and n < len(rows):
            return False
        for i in range(len(before), stop):
            one = ids[i] if i < n else self._end[i]
            pin = self._pinned[i][0] if i in self._pinned else one
            if pin != one and (i < n or pin not in self._vocabulary.eos_ids):
                return False
            score += self._pinned[i][1] if i in self._pinned else float(rows[i, one])
        if (ids, ended) not in self._known:
            self._known.add((ids, ended))
            score /= max(stop, 1)
            heappush(self._whole, (-score, len(self._known), String(score, ids, text, ended)))
        return True


def _likeliest(row: np.ndarray, count: int) -> list[int]:
    """So many ids, in no order. Of the greatest ones of so many groups each is as likely as the least of them, or likelier: what
    is less likely needn't be looked at."""
    groups = row[: len(row) // GROUP * GROUP].reshape(GROUP, -1).max(0) if len(row) >= 2 * GROUP * count else row
    count = min(count, len(groups))
    ids = np.flatnonzero(row >= np.partition(groups, -count)[-count])
    return ids[np.argpartition(row[ids], -count)[-count:]].tolist()


def _with_head(row: np.ndarray, vocabulary: Vocabulary | Spelling, head: bytes) -> list[int]:
    """The tokens that go on with what is left of the head, or end in the middle of it."""
    order = vocabulary.order
    ids = []
    for length in range(1, len(head) + 1):
        at = _first(vocabulary, order, head[:length])
        while at < len(order) and vocabulary.token_bytes(int(order[at])) == head[:length]:
            ids.append(int(order[at]))
            at += 1
    start = _first(vocabulary, order, head)
    stop = _first(vocabulary, order, head + b"\xff" * 64)
    longer = order[start:stop]
    ids += [int(i) for i in longer[np.argsort(-row[longer], kind="stable")[:BRANCHES]]]
    return list(dict.fromkeys(ids))


def _first(vocabulary: Vocabulary | Spelling, order: np.ndarray, key: bytes) -> int:
    """Where in the sorted tokens the first stands that isn't smaller than `key`."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if (vocabulary.token_bytes(int(order[middle])) or b"") < key:
            low = middle + 1
        else:
            high = middle
    return low
