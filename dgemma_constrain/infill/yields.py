"""A grammar's least texts, read off its LR tables: the shortest spelling of every terminal, and the cheapest way to finish
what an LR state has begun.

A state stands for productions that are partly read. The cheapest way to read one of them to its end, and then reduce it, is a
shortest path in the automaton: over terminals, which cost their spelling, and over whole non-terminals, which cost what their
cheapest production does (Knuth 1977, "A generalization of Dijkstra's algorithm"). All of it is one fixed point over the
table's edges, computed once a language. Lookaheads and precedences are left out, so a cost is a lower bound and a text a
guess; `closing`, which uses them, has every text checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import kernel, slot_of
from dgemma_constrain.infill.languages import grammar
from dgemma_constrain.infill.lexer import STATE, keywords, new_block, token
from dgemma_constrain.infill.tables import REDUCE, SHIFT, Tables, tables, unread

NEVER = 1 << 20  # a cost
SPELLINGS = 4  # of a terminal
SCANNERS = 24  # states of the scanner that are met
PLACES = 16  # kinds of LR states in which it is tried
MET = 16  # texts that are one terminal, of which is told how it may be spelled; the last four are looked at, too
KEPT = 64  # bytes of a scanner's state that are kept
WORDS, LONGEST_WORD = 4096, 67  # keywords of a language, characters of one, and some room
_DEEP = 16  # no production has so many symbols


class Yields(NamedTuple):
    """Edges of the automaton, costs, and what finishes a state. E edges, Y symbols, S states, I items.

    source, symbol, target  int32[E], in order of source
    cost     int32[Y]: the least that a symbol costs, NEVER if it can't be spelled
    begins   int32[Y, 2]: the edge and the item that the cheapest production of a non-terminal begins with
    starts   int32[S+1]: items of state s are starts[s]:starts[s+1], cheapest first
    items    int32[I, 5]: what is reduced to, how many states that pops, its cost, and the edge and the item that it goes on
             with (-1: it is reduced at once)
    spelled  for each terminal how it may be spelled; () if it isn't known
    """

    source: np.ndarray
    symbol: np.ndarray
    target: np.ndarray
    cost: np.ndarray
    begins: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    spelled: tuple[tuple[str, ...], ...]

    def terminals(self, symbol: int) -> list[int]:
        """Those of the cheapest text of a symbol."""
        if symbol < len(self.spelled):
            return [symbol]
        edge, item = self.begins[symbol]
        return self.terminals(int(self.symbol[edge])) + self.rest(int(item))

    def rest(self, item: int) -> list[int]:
        """The terminals that finish an item."""
        found = []
        while self.items[item, 3] >= 0:
            found += self.terminals(int(self.symbol[self.items[item, 3]]))
            item = int(self.items[item, 4])
        return found


@cache
def yields(language: str, several: bool) -> Yields:
    """The least texts in a language; of one line unless several lines are allowed."""
    t = tables(language)
    spelled = tuple(
        tuple(one for one in found if several or "\n" not in one)[:SPELLINGS] for found in spellings(language)
    )
    cost = np.full(t.table.shape[1], NEVER, np.int32)
    for terminal, found in enumerate(spelled):
        if found:
            cost[terminal] = 1 + len(found[0])
    source, symbol, target = _edges(t)
    states = np.repeat(np.arange(len(t.table)), (t.table[:, : len(spelled)] > 0).sum(1))
    rows = t.table[:, : len(spelled)]
    reduced = _actions(t, states, rows[rows > 0], REDUCE)
    reduced = np.unique(reduced[reduced[:, 2] > 0], axis=0).astype(np.int32)  # state, symbol, how many
    size = 1 << 15
    while True:
        keys = np.full(2 * size, -1, np.int64)
        numbers, head = np.empty(2 * size, np.int32), np.full(len(t.table), -1, np.int32)
        items, more = np.empty((size, 7), np.int32), np.empty(size, np.int32)
        begins, now = np.full((len(cost), 2), -1, np.int32), cost.copy()
        count = _finish(source, symbol, target, now, begins, reduced, keys, numbers, head, more, items)
        if count >= 0:
            break
        size *= 2
    items = items[:count]  # state, symbol, how many, cost, edge, item
    order = np.lexsort((items[:, 3], items[:, 0]))
    place = np.full(count + 1, -1, np.int32)
    place[order] = np.arange(count)
    begins[:, 1] = place[begins[:, 1]]
    items = items[order]
    items[:, 5] = place[items[:, 5]]
    starts = np.searchsorted(items[:, 0], np.arange(len(t.table) + 1)).astype(np.int32)
    return Yields(source, symbol, target, now, begins, starts, np.ascontiguousarray(items[:, 1:6]), spelled)


def _edges(t: Tables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    terminals = t.reserved.shape[1]
    source, symbol = np.nonzero(t.table[:, :terminals])
    row = t.table[source, symbol]
    shifts = _actions(t, np.arange(len(source)), row, SHIFT)
    shifts = shifts[shifts[:, 1] > 0]
    upper, higher = np.nonzero(t.table[:, terminals:])
    all_ = np.concatenate([
        np.stack([source[shifts[:, 0]], symbol[shifts[:, 0]], shifts[:, 1]], 1),
        np.stack([upper, higher + terminals, t.table[upper, higher + terminals]], 1),
    ])  # fmt: skip
    all_ = all_[np.argsort(all_[:, 0], kind="stable")].astype(np.int32)
    return tuple(np.ascontiguousarray(column) for column in all_.T)


def _actions(t: Tables, of: np.ndarray, rows: np.ndarray, kind: int) -> np.ndarray:
    """int[N, 3]: (of, and the action's two numbers) for each action of a kind in the rows."""
    counts = t.starts[rows + 1] - t.starts[rows]
    which = np.repeat(np.arange(len(rows)), counts)
    at = t.starts[rows][which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = t.actions[at, 0] == kind
    return np.concatenate([of[which[chosen], None], t.actions[at[chosen], 1:]], 1)


@kernel
def _finish(source, symbol, target, cost, begins, reduced, keys, numbers, head, more, items):
    """Fill in `cost`, `begins` and `items`, the items of a state being a list from head on; how many there are, or -1 for no room."""
    width, count = np.int64(len(cost)), np.int64(0)
    for i in range(len(reduced)):
        if count == len(items):
            return np.int64(-1)
        state, made, n = np.int64(reduced[i, 0]), np.int64(reduced[i, 1]), np.int64(reduced[i, 2])
        _put(keys, numbers, head, more, items, (state * width + made) * _DEEP + n, state, made, n, count)
        items[count, 3] = 0
        items[count, 4] = items[count, 5] = -1
        count += 1
    changed = True
    while changed:
        changed = False
        for e in range(len(source)):
            price = cost[symbol[e]]
            if price >= NEVER:
                continue
            i = np.int64(head[target[e]])
            while i >= 0:
                total, made, n = items[i, 3] + price, np.int64(items[i, 1]), np.int64(items[i, 2])
                if n == 1:
                    if total < cost[made]:
                        cost[made] = total
                        begins[made, 0] = e
                        begins[made, 1] = i
                        changed = True
                else:
                    state = np.int64(source[e])
                    key = (state * width + made) * _DEEP + n - 1
                    slot = slot_of(keys, key)
                    if keys[slot] < 0:
                        if count == len(items):
                            return np.int64(-1)
                        _put(keys, numbers, head, more, items, key, state, made, n - 1, count)
                        items[count, 3] = NEVER
                        count += 1
                    j = numbers[slot]
                    if total < items[j, 3]:
                        items[j, 3] = total
                        items[j, 4] = e
                        items[j, 5] = i
                        changed = True
                i = np.int64(more[i])
    return count


@kernel
def _put(keys, numbers, head, more, items, key, state, made, n, count):
    slot = slot_of(keys, key)
    keys[slot] = key
    numbers[slot] = count
    items[count, 0] = state
    items[count, 1] = made
    items[count, 2] = n
    more[count] = head[state]
    head[state] = count


@cache
def spellings(language: str) -> tuple[tuple[str, ...], ...]:
    """How each terminal may be spelled, shortest first: its name where it is one of fixed spelling; otherwise what the wheel's
    lexer and scanner take for it, of all texts of one or two characters."""
    t, binding = tables(language), grammar(language)
    terminals = t.reserved.shape[1]
    names, t = t.names, t._replace(names=())
    found: list[list[str]] = [
        [names[k]] if k and not binding.node_kind_is_named(k) and binding.node_kind_is_visible(k) else []
        for k in range(terminals)
    ]
    ascii_ = [*range(97, 123), 48, 49, 10, *range(32, 48), *range(58, 97), *range(123, 127)]
    texts = [(a,) for a in ascii_] + [(a, b) for a in ascii_ for b in ascii_] + [(a, a, a) for a in (34, 39, 96)]
    padded = np.array([[10, *x, *[-1] * (3 - len(x))] for x in texts], np.int32)
    sizes = np.array([len(x) for x in texts], np.int32)
    external, scanners = {int(x) for x in t.externals}, [unread(language)]
    block, answers = new_block(), np.empty((len(texts), 2), np.int32)
    saved, room, kept = np.zeros(STATE, np.uint8), np.zeros(STATE, np.uint8), np.zeros((len(texts), KEPT), np.uint8)

    def probed(state: int, scanner: bytes, few: np.ndarray | slice) -> Iterator[tuple[int, str, bytes]]:
        """The terminals that texts are in a state, the texts, the scanner's state behind them."""
        saved[: len(scanner)] = np.frombuffer(scanner, np.uint8)
        part, length = padded[few], sizes[few]
        _probe(t, block, part, length, np.int64(state), saved, np.int64(len(scanner)), room, answers, kept)
        symbols = answers[: len(part), 0] >> 16
        hits = [np.flatnonzero(symbols == one) for one in np.unique(symbols[symbols > 0])]
        for i in np.concatenate([np.concatenate([one[:MET], one[MET:][-4:]]) for one in hits] or [hits]).astype(int):
            text, end, size = "".join(map(chr, part[i, 1 : 1 + length[i]])), answers[i, 0] & 0xFFFF, int(answers[i, 1])
            # A token of no characters is there for the line end behind it.
            if end == length[i] and not text[0].isspace() or text.isspace() and "\n" in text and end <= 1:
                yield int(answers[i, 0] >> 16), text, bytes(kept[i, :size]) if size <= KEPT else scanner

    seen: dict[int, list[tuple[int, str]]] = {}
    for x in range(1, terminals):
        states = np.flatnonzero(t.table[:, x])
        _, kinds = np.unique(t.modes[states], axis=0, return_index=True)
        for state in states[kinds[:PLACES]] if x not in external else ():
            if not found[x]:
                if state not in seen:
                    seen[state] = [(symbol, text) for symbol, text, _ in probed(state, scanners[0], slice(None))]
                found[x] += [text for symbol, text in seen[state] if symbol == x][: 2 * SPELLINGS]
    states = np.flatnonzero((t.modes[:, 1] > 0) & (t.modes[:, 0] != 0xFFFF))
    _, kinds = np.unique(t.modes[states, 1], return_index=True)
    for scanner in scanners if external else ():  # which grows: a string is ended only behind what begins one
        few = slice(None) if scanner is scanners[0] else np.flatnonzero(sizes != 2)
        for state in states[kinds]:
            for symbol, text, after in probed(state, scanner, few):
                if symbol in external:
                    if text not in found[symbol] and len(found[symbol]) < 2 * SPELLINGS:
                        found[symbol].append(text)
                    if len(scanners) < SCANNERS and after not in scanners:
                        scanners.append(after)
    for x, text in _words(t, names):
        if not found[x]:
            found[x].append(text)
    return tuple(tuple(sorted(x, key=len)) for x in found)


def _words(t: Tables, names: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Keywords that have a name of their own: as the keyword lexer spells them, or by their name where there is none."""
    block, room, answers = new_block(), np.zeros(STATE, np.uint8), np.empty((1, 2), np.int32)
    if t.capture:
        words = np.zeros((WORDS, LONGEST_WORD), np.int32)
        for row in words[: keywords(t, block, words)]:
            yield int(row[0]), "".join(map(chr, row[1:][row[1:] > 0]))
        return
    for x, name in enumerate(names[: t.reserved.shape[1]]):
        states = np.flatnonzero(t.table[:, x])
        if name.isidentifier() and len(states) and x not in t.externals:
            text, size = np.array([[10, *map(ord, name)]], np.int32), np.array([len(name)], np.int32)
            _probe(
                t,
                block,
                text,
                size,
                np.int64(states[0]),
                room,
                np.int64(0),
                room.copy(),
                answers,
                np.zeros((1, KEPT), np.uint8),
            )
            if answers[0, 0] == x << 16 | len(name):
                yield x, name


@kernel
def _probe(t, block, texts, sizes, state, saved, size, room, answers, kept):
    """For each text, behind a line end: the symbol that it begins with and, in the lower 16 bits, its end; the scanner's state."""
    for i in range(len(texts)):
        symbol, end, after = token(t, block, texts[i, : 1 + sizes[i]], state, np.int64(1), saved, size, room)
        answers[i, 0] = -1 if symbol < 0 else symbol << 16 | end - 1
        answers[i, 1] = after
        for j in range(min(after, kept.shape[1])):
            kept[i, j] = room[j]
