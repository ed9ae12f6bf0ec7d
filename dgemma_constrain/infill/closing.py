"""The shortest texts that bring a hole to its end: behind them, what stands right of the hole goes through.

What is left of the hole, and a beginning of what is written in it, are a few stacks of LR states. From a stack two things can
be done at the costs that `yields` has computed: finish one of the productions that its top state is in the middle of, which
pops it and pushes what it was reduced to; or write what leads to a state that shifts the first token right of the hole. A
shortest path over these steps (Dijkstra 1959), of which there are few, since all stacks are the first one cut off and one state
on top, gives the cheapest ways to close. It is the least-cost repair of a parser (Diekmann and Tratt 2020, "Don't panic!") that
only inserts, and whose insertions are whole productions.

Costs leave out lookaheads and how tokens touch, so of the cheapest ways each is read by the recogniser, with what stands right
of the hole, before it is given out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, intern
from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.infill import edge as _edge
from dgemma_constrain.infill.edge import Edge, _decoded
from dgemma_constrain.infill.lexer import STATE, TOUCHED, token
from dgemma_constrain.infill.recogniser import COLLECT, NEVER, _blank, run
from dgemma_constrain.infill.stacks import _shifted, _stack, new_item
from dgemma_constrain.infill.tables import ACCEPT, SHIFT
from dgemma_constrain.infill.yields import NEVER as DEAR
from dgemma_constrain.infill.yields import Yields, yields

WAYS, STACKS, STEPS, OPEN = (
    12,
    128,
    24,
    24,
)  # ways to close that are tried; stacks looked at for them; steps of a way; parses of an open token
AHEAD = 24  # tokens right of the hole of which the first that is no comment is looked for
_FOLLOWING = np.array([ord(c) for c in "\"'`\n a);{"], np.int32)
FEW = 4  # of the ways, which are read first
ROUNDS = 6  # in which goals are found out to be none
STRETCHES = (64, 16, 4, 1)  # lines right of the hole that are read where the rest of the file has errors


class Goals(NamedTuple):
    """What is to be reached. distance int32[S]: the least cost from a state to one that shifts what is right of the hole; way
    int32[S]: the edge that goes there first, -1 where it is there."""

    distance: np.ndarray
    way: np.ndarray


@kernel
def goals(t, block, text, at, saved, size, room, distance):
    """Fill in the distance of the states that shift the text's first token from `at` on, with the scanner's state saved[:size].

    States that take more of the text for one token are further away: most of them stand in a string or a comment, which would
    have to end somewhere, too.
    """
    least = np.int64(DEAR)
    for state in range(len(distance)):
        distance[state] = DEAR
        place, n = np.int64(at), size
        for j in range(size):
            room[1, j] = saved[j]
        for _ in range(AHEAD):
            found, end, n = token(t, block, text, np.int64(state), place, room[1], n, room[0])
            if found < 0:
                break
            row = t.table[state, found]
            extra = False
            for a in range(t.starts[row], t.starts[row + 1]):
                if t.actions[a, 0] == ACCEPT or t.actions[a, 0] == SHIFT:
                    extra = t.actions[a, 0] == SHIFT and t.actions[a, 1] == 0
                    distance[state] = end
                    least = min(least, end)
            if not extra or end == place:
                break
            distance[state] = DEAR  # a comment, which can stand anywhere
            place = end
            for j in range(n):
                room[1, j] = room[0, j]
    for state in range(len(distance)):
        if distance[state] < DEAR:
            distance[state] -= least


@kernel
def spread(source, symbol, target, cost, distance, way):
    """Given the distance of the states that are goals themselves, and DEAR of others, fill in those of all, and the ways."""
    changed = True
    while changed:
        changed = False
        for e in range(len(source)):
            total = cost[symbol[e]] + distance[target[e]]
            if total < distance[source[e]]:
                distance[source[e]] = total
                way[source[e]] = e
                changed = True


@kernel
def ways(
    t,
    words,
    y_starts,
    y_items,
    distance,
    block,
    work,
    text,
    left,
    data,
    ends,
    items,
    queue,
    first,
    stamp,
    begun,
    found,
    costs,
):
    """For candidates data[ends[i]:ends[i+1]] from the `first` on: the cheapest WAYS to close.

    found int32[N, WAYS, STEPS]: the items that are finished, one after the other, then -1 - the state that the goal is reached
    from; costs int32[N, WAYS], DEAR where there are no more. begun: a terminal that what is added begins with, or 0. Returns
    how many candidates were done before there was no room left.
    """
    starts, codes = np.empty(len(items), np.int32), np.empty(len(text), np.int32)  # text has room for one more
    for j in range(len(left)):
        text[j] = left[j]
    for i in range(first, len(costs)):
        for w in range(WAYS):
            costs[i, w] = DEAR
        n = _decoded(data, ends[i], ends[i + 1], codes, False)
        if n < 0:
            continue
        cursor = len(left)
        for j in range(n):
            text[cursor + j] = codes[j]
        for j in range(len(items)):
            item = new_item(work, items[j, 0], cursor - items[j, 1], items[j, 2])
            if item == FULL:
                return i
            starts[j] = item
        view = text[: cursor + n]
        opened = run(t, words, block, view, work, starts, COLLECT, NEVER, stamp + i - first + 1, codes)
        if opened == FULL:
            return i
        count = np.int64(0)
        for j in range(opened):
            count = _behind(t, block, work, text, cursor + n, np.int64(work.opened[j]), queue, count)
            if count == FULL:
                return i
        if begun:
            count = _after(t, work, queue, count, begun)
            if count == FULL:
                return i
        if _cheapest(t, y_starts, y_items, distance, work, queue, count, found[i], costs[i]) == FULL:
            return i
    return len(costs)


@kernel
def _behind(t, block, work, text, stop, item, queue, count):
    """Put the stacks behind an item's open text, up to `stop`, into the queue, and return how long that is now. FULL.

    A token that depends on what follows is taken for each of those that it is when one character more follows.
    queue int32[STACKS, 5]: a stack, its cost, the row it came from, by which item, whether it is done.
    """
    todo, top = np.empty(OPEN, np.int32), np.int64(1)
    todo[0] = item
    for i in range(OPEN):
        if i >= top:
            break
        items, now = work.heap.items, np.int64(todo[i])
        node, at, scanner = np.int64(items[now + 1]), np.int64(items[now + 2]), np.int64(items[now + 3])
        if _blank(text[:stop], at):
            count = _queue(queue, count, node, np.int64(i > 0), np.int64(-1), np.int64(-1))
            continue
        last, saved = np.int64(-1), np.int64(items[scanner] - 4)
        for probe in range(-1, len(_FOLLOWING)):
            text[stop] = _FOLLOWING[max(probe, 0)]
            for j in range(saved):
                work.saved[j] = items[scanner + 1 + j]
            symbol, end, size = token(
                t, block, text[: stop + (probe >= 0)], np.int64(items[node + 1]), at, work.saved, saved, work.room
            )
            if symbol >= 0 and end <= stop and symbol != last:
                last = symbol
                top = _onward(t, work, node, symbol, end, size, todo, top)
                if top == FULL:
                    return top
            if probe < 0 and not block[TOUCHED]:
                break
    return count


@kernel
def _onward(t, work, node, symbol, end, size, todo, top):
    """Put the items behind a token into `todo`, as far as there is room; how many are in it. FULL."""
    shifted = _shifted(t, work, node, symbol, True)
    if shifted == FULL:
        return shifted
    row = work.row
    for j in range(size):
        row[j] = work.room[j]
    for j in range(size, size + 4):
        row[j] = 0
    scanner = intern(work.heap, row, size + 4)
    if scanner == FULL:
        return scanner
    for j in range(shifted):
        if work.fed[0, j] >= 0 and top < len(todo):
            row[0] = work.fed[0, j]
            row[1] = end
            row[2] = scanner
            new = intern(work.heap, row, np.int64(3))
            if new == FULL:
                return new
            known = False
            for k in range(top):
                known = known or todo[k] == new
            if not known:
                todo[top] = new
                top += 1
    return top


@kernel
def _after(t, work, queue, count, symbol):
    """Replace the stacks in the queue by those behind a terminal."""
    before, more = count, count
    for i in range(before):
        shifted = _shifted(t, work, np.int64(queue[i, 0]), np.int64(symbol), False)
        if shifted == FULL:
            return shifted
        for j in range(shifted):
            if work.fed[0, j] >= 0:
                more = _queue(queue, more, np.int64(work.fed[0, j]), np.int64(0), np.int64(-1), np.int64(-1))
    for i in range(more - before):
        for j in range(5):
            queue[i, j] = queue[before + i, j]
    return more - before


@kernel
def _queue(queue, count, node, cost, parent, item):
    """How many rows there are when this one is among them; where there is no room it is left out."""
    for i in range(count):
        if queue[i, 0] == node:
            if cost < queue[i, 1] and not queue[i, 4]:
                queue[i, 1] = cost
                queue[i, 2] = parent
                queue[i, 3] = item
            return count
    if count == len(queue):
        return count
    queue[count, 0] = node
    queue[count, 1] = cost
    queue[count, 2] = parent
    queue[count, 3] = item
    queue[count, 4] = 0
    return count + 1


@kernel
def _cheapest(t, y_starts, y_items, distance, work, queue, count, found, costs):
    """Dijkstra's algorithm over stacks; the best WAYS of them to the goal go into `found`, cheapest first. FULL."""
    while True:
        best = np.int64(-1)
        for i in range(count):
            if not queue[i, 4] and (best < 0 or queue[i, 1] < queue[best, 1]):
                best = np.int64(i)
        if best < 0 or queue[best, 1] >= costs[WAYS - 1]:
            return np.int64(0)
        queue[best, 4] = 1
        node, paid = np.int64(queue[best, 0]), np.int64(queue[best, 1])
        state = np.int64(work.heap.items[node + 1])
        _note(queue, best, paid + distance[state], state, found, costs)
        for i in range(y_starts[state], y_starts[state + 1]):
            below = node
            for _ in range(y_items[i, 1]):
                if below >= 0:
                    below = np.int64(work.heap.items[below + 2])
            if below < 0 or paid + y_items[i, 2] >= DEAR:
                continue
            target = t.table[work.heap.items[below + 1], y_items[i, 0]]
            if target:
                new = _stack(work, target, below)
                if new == FULL:
                    return new
                count = _queue(queue, count, new, paid + y_items[i, 2], best, np.int64(i))


@kernel
def _note(queue, row, total, state, found, costs):
    """Put a way to the goal where it belongs among the cheapest."""
    if total >= costs[WAYS - 1] or total >= DEAR:
        return
    w = WAYS - 1
    while w and costs[w - 1] > total:
        costs[w] = costs[w - 1]
        for k in range(STEPS):
            found[w, k] = found[w - 1, k]
        w -= 1
    steps, i = np.int64(0), row
    while i >= 0 and queue[i, 3] >= 0:
        steps += 1
        i = np.int64(queue[i, 2])
    if steps >= STEPS:
        costs[w] = DEAR - 1  # too long to be written down
        found[w, 0] = -1 - state
        return
    costs[w] = total
    found[w, steps] = -1 - state
    i = row
    while i >= 0 and queue[i, 3] >= 0:
        steps -= 1
        found[w, steps] = queue[i, 3]
        i = np.int64(queue[i, 2])


class Closing:
    """What closes a hole, given an Edge of what is left of it and the text right of it. Not for two threads at once.

    `known` is False where nothing was found that does: where that text has errors of its own, say.
    """

    def __init__(self, language: str, edge: Edge, after: bytes, several: bool):
        self._edge, self._after, self._stretch = edge, after, None
        self._yields: Yields = yields(language, several)
        self._several = several
        self._external = {int(x) for x in edge._tables.externals}
        self._texts: dict[int, list[int]] = {}
        self.known = edge.known and self._choose()

    @property
    def reads_all(self) -> bool:
        """Whether all that is right of the hole goes through, and not only some lines."""
        return self._stretch is None

    def of(self, prefixes: list[bytes]) -> list[list[bytes]]:
        """For each beginning of a text for the hole, what may stand behind it to close the hole, shortest first."""
        found, costs = self._ways(prefixes, 0)
        closed: list[list[bytes]] = [[] for _ in prefixes]
        for some in (slice(0, FEW), slice(FEW, WAYS)):  # mostly one of the cheapest does
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
        for terminal, spelled in enumerate(self._yields.spelled):
            if spelled and self._edge._tables.table[:, terminal].any():
                for one in spelled[:1]:
                    begun = _joined(head.decode()[-1:], one).encode()
                    if self._edge.alive_each([head + begun])[0] == 1:
                        found |= dict.fromkeys(head + begun + rest for rest in self._behind(head, terminal, one)[:3])
        texts = [one for one in found if one[len(head) :].strip()]
        return [one for one, fine in zip(texts, self.fits(texts)) if fine]

    def _behind(self, head: bytes, terminal: int, spelled: str) -> list[bytes]:
        return self._written([head], terminal, spelled[-1:])[0]

    def _choose(self) -> bool:
        """Find out how much of what is right of the hole can be read to its end, all of it or so many lines, and behind what.

        States where its first token can stand, but not the others, are no goals: they are found out one after the other.
        """
        first = self._reached(self._after)
        left = first.copy()
        for _ in range(ROUNDS):
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
        return False

    def _goal(self, row: np.ndarray) -> int:
        """The state that a way ends in."""
        state = -1 - int(row[row < 0][0])
        while self._goals.way[state] >= 0:
            state = self._yields.target[self._goals.way[state]]
        return int(state)

    def _spread(self, distance: np.ndarray) -> Goals:
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
        rows = [row for row, cost in zip(found[0], costs[0]) if cost < DEAR - 1]
        return list(dict.fromkeys(text for row in rows for text in self._spelled(row, last or _last(prefix))))

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

    def _spelled(self, row: np.ndarray, last: str) -> list[bytes]:
        """A way as texts: one, or several where a terminal has several spellings, of which all take the same one."""
        y, terminals = self._yields, []
        for step in row.tolist():
            if step >= 0:
                terminals += self._terminals(step)
                continue
            state = -1 - step
            while self._goals.way[state] >= 0:
                edge = self._goals.way[state]
                terminals += y.terminals(int(y.symbol[edge]))
                state = y.target[edge]
            break
        count = max((len(y.spelled[x]) for x in terminals if x in self._external), default=1)
        texts = []
        for k in range(count):
            text, end = "", last
            for x in terminals:
                one = y.spelled[x][min(k, len(y.spelled[x]) - 1) if x in self._external else 0]
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


def _joined(end: str, text: str) -> str:
    """`text` with a blank before it where it would otherwise grow together with what ends in the character `end`."""
    if not end or not text:
        return text

    def kind(one: str) -> str:
        return "a" if one.isalnum() or one == "_" else "+" if one in "+-*/%&|^<>=!~?.:@#$\\" else one

    return " " + text if kind(end) == kind(text[0]) and kind(end) in "a+" else text
