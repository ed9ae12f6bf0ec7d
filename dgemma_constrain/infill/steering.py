"""What steers the search for a hole's text: which beginnings can still become one, and what may stand behind them to end it."""

from __future__ import annotations

import heapq
from collections import deque

import numpy as np

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.errors import EmptyConstraint
from dgemma_constrain.infill.closing import Closing
from dgemma_constrain.infill.edge import Edge
from dgemma_constrain.infill.hole import Hole

ENDINGS, TRIED = 12, 2000  # of a caller's constraint, that are tried behind a beginning; that are begun for them


class Steering:
    """Syntax and a caller's constraint, as far as either is known. Texts begin with the hole's head and end with its tail.

    edge: None where syntax isn't known. constraint: on what is written between head and tail, None for none. What it says is
    never the last word: `judge` and `allows` have that. partly: the hole's `after` ends where another hole is.
    """

    hopes = 0

    def __init__(
        self, language: str, hole: Hole, edge: Edge | None, constraint: Constraint | None, partly: bool = False
    ):
        self._hole, self._constraint = hole, constraint
        self._head, self._tail = hole.head.encode(), hole.tail.encode()
        self._edge = edge if edge is not None and edge.known else None
        self._closing = None
        after = self._tail + hole.after.encode()
        if self._edge is not None and (after.strip() or not partly):
            closing = Closing(language, self._edge, after, hole.several, partly)
            self._closing = closing if closing.known else None
        self._endings = None if constraint is None else _Endings(constraint.language().automaton)
        # Canvases of all lengths, and all looks at them, ask for the same texts.
        self._alive: dict[bytes, bool] = {}
        self._closings: dict[bytes, list[bytes]] = {}

    def alive(self, texts: list[bytes]) -> list[bool]:
        """Which beginnings can be gone on with."""
        new = [text for text in texts if text not in self._alive]
        if new:
            self._alive.update(zip(new, self._alive_each(new)))
        return [self._alive[text] for text in texts]

    def _alive_each(self, texts: list[bytes]) -> list[bool]:
        fine = [b"\r" not in x and b"\0" not in x and (self._hole.several or b"\n" not in x) for x in texts]
        fine = [ok and self._may_begin(text) for ok, text in zip(fine, texts)]
        if self._edge is None:
            return fine
        return [ok and bool(alive) for ok, alive in zip(fine, self._edge.alive_each(texts))]

    def closings(self, texts: list[bytes]) -> list[list[bytes]]:
        """For each beginning, what may stand behind it to end the hole, shortest first; b"" where it is whole as it is.

        Where nothing is known of how a hole ends, every beginning counts as whole.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._closings]
        if new:
            self._closings.update(zip(new, self._closings_each(new)))
        return [self._closings[text] for text in texts]

    def _closings_each(self, texts: list[bytes]) -> list[list[bytes]]:
        if self._closing is not None:
            found = self._closing.of(texts)
        else:
            found = [[b""] for _ in texts]
        if self._endings is not None:
            found = [self._constrained(text, some) for text, some in zip(texts, found)]
        if not self._tail:
            return found
        return [self._with_tail(text, some) for text, some in zip(texts, found)]

    def shortest(self) -> list[bytes]:
        """Some texts that are whole: for every terminal that may come first the shortest, and the constraint's shortest."""
        found = self._closing.shortest(self._head) if self._closing is not None else []
        if self._constraint is not None:
            found = [text for text in found if self._allows(text)]
            found += [self._head + one for one in self._constrained(self._head, [])]
        return [text + self._tail for text in found]

    def allows(self, text: str) -> bool:
        """Whether a whole text, with head and tail, satisfies the caller's constraint, spelled as it will be in the source."""
        inner = self._hole.filled(text[len(self._hole.head) : len(text) - len(self._hole.tail)])
        return self._constraint is None or self._constraint.matches(inner)

    def _with_tail(self, text: bytes, found: list[bytes]) -> list[bytes]:
        """The endings of a text, with the tail; it isn't written a second time."""
        if not text.endswith(self._tail):
            return [one + self._tail for one in found]
        inner = text[: -len(self._tail)]
        return [b""] if len(inner) > len(self._head) and self._whole(inner) else []

    def _constrained(self, text: bytes, found: list[bytes]) -> list[bytes]:
        ends = [one.encode() for one in self._endings.of(_characters(text[len(self._head) :]), ENDINGS)]
        if self._closing is not None:
            ends = [one for one, fine in zip(ends, self._closing.fits([text + one for one in ends])) if fine]
        return list(dict.fromkeys([*(one for one in found if self._allows(text + one)), *ends]))

    def _whole(self, text: bytes) -> bool:
        return (self._closing is None or self._closing.fits([text])[0]) and self._allows(text)

    def _allows(self, text: bytes) -> bool:
        if self._constraint is None:
            return True
        try:
            return self._constraint.matches(text[len(self._head) :].decode())
        except UnicodeDecodeError:
            return False

    def _may_begin(self, text: bytes) -> bool:
        try:
            text.decode()
        except UnicodeDecodeError as error:  # cut within a character
            if error.end < len(text) or error.reason != "unexpected end of data":
                return False
        if self._endings is None or len(text) <= len(self._head):
            return True
        return self._endings.state(_characters(text[len(self._head) :])) is not None


class _Endings:
    """The shortest texts that lead from each state of an automaton to an accepting one."""

    def __init__(self, dfa: DFA):
        if dfa.is_empty:
            raise EmptyConstraint("no text satisfies the hole's constraint")
        self._dfa, self._known = dfa, {}
        sources = np.repeat(np.arange(dfa.states), np.diff(dfa.offsets))
        order = np.argsort(dfa.targets, kind="stable")
        starts = np.searchsorted(dfa.targets[order], np.arange(dfa.states + 1))
        self._distance = np.full(dfa.states, -1)
        todo = deque(np.flatnonzero(dfa.accept).tolist())
        self._distance[todo] = 0
        while todo:
            state = todo.popleft()
            for source in sources[order[starts[state] : starts[state + 1]]].tolist():
                if self._distance[source] < 0:
                    self._distance[source] = self._distance[state] + 1
                    todo.append(source)

    def state(self, text: str) -> int | None:
        read, state = self._dfa.run(text)
        return state if read == len(text) and self._distance[state] >= 0 else None

    def of(self, text: str, count: int) -> list[str]:
        """At most so many texts that may stand behind this one, the shortest ones first."""
        state = self.state(text)
        if state is None:
            return []
        if state not in self._known:
            self._known[state] = self._shortest(state, count)
        return self._known[state]

    def _shortest(self, state: int, count: int) -> list[str]:
        """By A*, the distance being exact."""
        dfa = self._dfa
        found, todo, made = [], [(int(self._distance[state]), int(self._distance[state]), 0, "", state)], 0
        while todo and len(found) < count and made < TRIED:
            _, left, _, ending, state = heapq.heappop(todo)
            if dfa.accept[state]:
                found.append(ending)
            for k in range(dfa.offsets[state], dfa.offsets[state + 1]):
                made += 1
                target, one = int(dfa.targets[k]), _one_of(dfa, int(dfa.symbols[k]))
                left = int(self._distance[target])
                heapq.heappush(todo, (len(ending) + 1 + left, left, made, ending + one, target))
        return found


def _one_of(dfa: DFA, symbol: int) -> str:
    """A character of a class: the first one that is seen, where there is one."""
    first, last = dfa.alphabet.charset([symbol]).pairs()[0]
    return chr(max(first, min(last, ord("!"))))


def _characters(text: bytes) -> str:
    """What is whole of a text that may be cut within a character."""
    return text.decode(errors="ignore")
