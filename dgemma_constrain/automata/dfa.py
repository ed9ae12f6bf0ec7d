"""Minimal DFAs over characters, and their Boolean algebra.

Every DFA here is trimmed, minimal, numbered breadth-first and over its coarsest alphabet, so equal languages have equal
arrays (Myhill-Nerode), and a text's first wrong place is where it leaves the automaton.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Iterator

import numpy as np

from dgemma_constrain.automata import product
from dgemma_constrain.automata.alphabet import Alphabet, alphabet_of, members, merge_classes, refine
from dgemma_constrain.automata.charset import ANY, Charset
from dgemma_constrain.automata.determinize import determinize
from dgemma_constrain.automata.kernels import grouped, kernel, position, sources
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.minimize import minimal_rows, minimize, minimize_rows
from dgemma_constrain.automata.nfa import NFA


@dataclass(frozen=True, eq=False)
class DFA:
    """States 0 … S-1, 0 the start; the row of state s is offsets[s]:offsets[s+1] of `symbols` (sorted) and `targets`.

    offsets int64[S+1], symbols int32[T] (classes of `alphabet`), targets int32[T], accept bool[S].
    What has no transition is dead. The empty language has one state and accepts nothing.
    """

    alphabet: Alphabet
    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    accept: np.ndarray

    @property
    def states(self) -> int:
        return len(self.accept)

    @property
    def is_empty(self) -> bool:
        return not self.accept.any()

    def run(self, text: str) -> tuple[int, int]:
        """How many characters can be read, and the state after them."""
        path = self.path(self.alphabet.of(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32)))
        return len(path) - 1, int(path[-1])

    def path(self, classes: np.ndarray) -> np.ndarray:
        """The states at which `classes` of the alphabet are read, from the start as far as it goes, int32[…]."""
        return _path(self.offsets, self.symbols, self.targets, classes)

    def accepts(self, text: str) -> bool:
        read, state = self.run(text)
        return read == len(text) and bool(self.accept[state])

    def next_characters(self, state: int) -> Charset:
        """What can follow in this state."""
        return self.alphabet.charset(self.symbols[self.offsets[state] : self.offsets[state + 1]])

    def same_language(self, other: DFA) -> bool:
        return all(
            np.array_equal(x, y)
            for x, y in (
                (self.alphabet.cuts, other.alphabet.cuts),
                (self.alphabet.classes, other.alphabet.classes),
                (self.offsets, other.offsets),
                (self.symbols, other.symbols),
                (self.targets, other.targets),
                (self.accept, other.accept),
            )
        )

    def nfa(self) -> NFA:
        """The same language as a fragment; transitions between the same two states become one edge."""
        source = sources(self.offsets)
        _, first, pair = np.unique(
            source.astype(np.int64) * self.states + self.targets, return_index=True, return_inverse=True
        )
        words = np.random.default_rng(0x5EED).integers(1, 2**63, self.alphabet.size + 1, dtype=np.int64)
        signature = np.zeros(len(first), np.int64)
        np.add.at(signature, pair, words[self.symbols])
        _, example, label = np.unique(signature, return_index=True, return_inverse=True)
        offsets, order = grouped(pair.astype(np.int32), len(first))
        charsets = tuple(self.alphabet.charset(self.symbols[order[offsets[g] : offsets[g + 1]]]) for g in example)
        return _fragment(np.stack([source[first], label, self.targets[first]], 1), self.accept, charsets)

    def is_finite(self) -> bool:
        """Whether the language is finite: a trimmed automaton without a cycle (Kahn's topological order)."""
        return len(self._topological()) == self.states

    def _topological(self) -> list[int]:
        waiting = np.bincount(self.targets, minlength=self.states)
        ready = deque(np.flatnonzero(waiting == 0).tolist())
        order = []
        while ready:
            s = ready.popleft()
            order.append(s)
            for t in self.targets[self.offsets[s] : self.offsets[s + 1]].tolist():
                waiting[t] -= 1
                if not waiting[t]:
                    ready.append(t)
        return order

    def count(self) -> int | None:
        """How many texts there are; None when infinitely many."""
        order = self._topological()
        if len(order) < self.states:
            return None
        width = [len(self.alphabet.charset([c])) for c in range(self.alphabet.size)]
        ways = [0] * self.states
        for s in reversed(order):
            row = slice(self.offsets[s], self.offsets[s + 1])
            onward = zip(self.symbols[row].tolist(), self.targets[row].tolist())
            ways[s] = int(self.accept[s]) + sum(width[c] * ways[t] for c, t in onward)
        return ways[0]

    def words(self) -> Iterator[str]:
        """The texts of a finite language, in depth-first order of characters."""
        stack = [("", 0)]
        while stack:
            text, s = stack.pop()
            if self.accept[s]:
                yield text
            row = slice(self.offsets[s], self.offsets[s + 1])
            for c, t in zip(self.symbols[row][::-1].tolist(), self.targets[row][::-1].tolist()):
                for lo, hi in reversed(self.alphabet.charset([c]).pairs()):
                    stack.extend((text + chr(p), t) for p in range(hi, lo - 1, -1))

    def shortest(self) -> str | None:
        """A shortest text, the first in character order; None for the empty language."""
        parent: dict[int, tuple[int, int]] = {0: (-1, -1)}
        queue = deque([0])
        while queue:
            s = queue.popleft()
            if self.accept[s]:
                classes = []
                while s:
                    s, c = parent[s]
                    classes.append(c)
                first = self.alphabet.first()
                return "".join(chr(first[c]) for c in reversed(classes))
            row = slice(self.offsets[s], self.offsets[s + 1])
            for c, t in zip(self.symbols[row].tolist(), self.targets[row].tolist()):
                if t not in parent:
                    parent[t] = (s, c)
                    queue.append(t)
        return None


@kernel
def _path(offsets, symbols, targets, classes):
    """The states on the way, as far as it goes: by binary search in each state's row."""
    path = np.empty(len(classes) + 1, np.int32)
    path[0] = 0
    for i in range(len(classes)):
        e = position(symbols, offsets[path[i]], offsets[path[i] + 1], np.int64(classes[i]))
        if e < 0:
            return path[: i + 1]
        path[i + 1] = targets[e]
    return path


def minimal(alphabet: Alphabet, offsets, symbols, targets, accept) -> DFA:
    """The canonical DFA of any deterministic rows over `alphabet`."""
    renamed, *rows = minimize_rows(offsets, symbols, targets, accept, alphabet.size)
    return DFA(merge_classes(alphabet, renamed), *rows)


def compile_nfa(nfa: NFA, limits: Limits = Limits()) -> DFA:
    """The minimal DFA of a fragment. Raises LimitExceeded when it grows past `limits`."""
    alphabet = alphabet_of(nfa.charsets)
    *rows, offsets, classes = determinize(nfa, members(alphabet, nfa.charsets), alphabet.size, limits)
    renamed, *rows = minimize(*rows, (offsets, classes), alphabet.size)
    return DFA(merge_classes(alphabet, renamed), *rows)


def reduced(nfa: NFA, limits: Limits = Limits()) -> NFA:
    """The same fragment, deterministic and minimal. Raises LimitExceeded.

    As `compile_nfa(nfa).nfa()`, but that its transitions keep the sets of characters that they have.
    """
    alphabet = alphabet_of(nfa.charsets)
    *rows, set_offsets, classes = determinize(nfa, members(alphabet, nfa.charsets), alphabet.size, limits)
    offsets, labels, targets, accept = minimal_rows(*rows, (set_offsets, classes), alphabet.size)
    used = np.flatnonzero(np.bincount(labels, minlength=len(set_offsets) - 1))
    number = np.zeros(len(set_offsets) - 1, np.int32)
    number[used] = np.arange(len(used))
    charsets = tuple(
        nfa.charsets[k] if k < len(nfa.charsets) else alphabet.charset(classes[set_offsets[k] : set_offsets[k + 1]])
        for k in used.tolist()
    )
    return _fragment(np.stack([sources(offsets), number[labels], targets], 1), accept, charsets)


def _fragment(edges: np.ndarray, accept: np.ndarray, charsets: tuple[Charset, ...]) -> NFA:
    """Edges among the states of a DFA, which are to end in one more."""
    accepting = np.flatnonzero(accept)
    jumps = np.stack([accepting, np.full_like(accepting, len(accept))], 1).astype(np.int32)
    return NFA(len(accept) + 1, edges.astype(np.int32), jumps, charsets)


def _combine(mode: int, a: DFA, b: DFA, limits: Limits, doing: str) -> DFA:
    joint, of_a, of_b = refine(a.alphabet, b.alphabet)
    *rows, status = product.product_rows(
        mode, *_split(a, of_a), a.accept, *_split(b, of_b), b.accept, limits.states, limits.work
    )
    limits.check(status, doing)
    return minimal(joint, *rows)


def _split(dfa: DFA, coarse: np.ndarray):
    """The rows of `dfa` over a refinement, given the old class of each new one (-1: none)."""
    known = np.flatnonzero(coarse >= 0).astype(np.int32)
    offsets, order = grouped(coarse[known], dfa.alphabet.size)
    return product.split_symbols(dfa.offsets, dfa.symbols, dfa.targets, offsets, known[order])


def intersect(a: DFA, b: DFA, limits: Limits = Limits()) -> DFA:
    """Texts in both."""
    return _combine(product.AND, a, b, limits, "intersecting two constraints")


def unite(a: DFA, b: DFA, limits: Limits = Limits()) -> DFA:
    """Texts in either."""
    return _combine(product.OR, a, b, limits, "joining two constraints")


def subtract(a: DFA, b: DFA, limits: Limits = Limits()) -> DFA:
    """Texts in `a` that are not in `b`."""
    return _combine(product.MINUS, a, b, limits, "taking one constraint from another")


def complement(a: DFA, limits: Limits = Limits()) -> DFA:
    """Every text that is not in `a`."""
    return subtract(_every_text(), a, limits)


def _every_text() -> DFA:
    one = np.zeros(1, np.int32)
    return DFA(alphabet_of([ANY]), np.array([0, 1], np.int64), one, one, np.ones(1, bool))
