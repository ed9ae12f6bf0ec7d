"""Cutting a text into terminals.

A text is cut into terminals one after the other. At each point the terminals in question are exactly those that
continue some sentence of the grammar, given the ones before, and the ignored ones. Among them wins: the highest
priority that matches at all, then the longest match, then literals before patterns, then the order of
`Grammar.terminals`, which is Lark's (a pattern that could be longer first, then a longer pattern, then by name). So
there is one cut at most. What an ignored terminal wins is skipped. A text that ends inside a terminal is no sentence.

A terminal's own match is the longest text in its language, as far as it has no lazy quantifier (see `own_match`).

That is what Lark's contextual lexer does, but for this: of two patterns Lark takes the one that could be longer, and in
a pattern `re` takes the first alternative; Lark takes a literal for a keyword only where a pattern of the same priority
matches it as it is written; and an LALR state may expect terminals that cannot follow. Lark's Earley parser asks every
terminal for itself, so it accepts more: `printx` where `print x` is meant, a keyword as a name.

For every set of terminals that may be in question this is one deterministic automaton, its scanner: follow it as far as
it goes; the last state passed that has a winner says which terminal wins and where it ends. A scanner's states are sets
of states of the terminals' own automata. Where terminals match, those of lower priority are taken out of the set, so a
later match is always a better one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Sequence

import numpy as np

from dgemma_constrain.automata.alphabet import Alphabet, alphabet_of, members
from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.interning import intern, new_heap, number_rows, roomy
from dgemma_constrain.automata.kernels import grown, kernel, position, sort
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.product import split_symbols
from dgemma_constrain.constraints.grammar.rules import Grammar


@dataclass(frozen=True, eq=False)
class Scanner:
    """A deterministic automaton, state 0 the start; from every state some state with a winner can be reached.

    offsets int64[S+1], symbols int32[T] (classes of the lexer's alphabet, sorted in each row), targets int32[T]
    winner  int32[S], the terminal that wins if the token ends here, or -1
    """

    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    winner: np.ndarray

    @cached_property
    def rows(self) -> list[dict[int, int]]:
        """The state after each class, state by state."""
        return _dicts(self.offsets, self.symbols, self.targets)

    def next(self, classes: np.ndarray, at: int) -> tuple[int, int, int, int]:
        """From `at` on in a text: the winner (-1: none), where it ends, how far one can read, the state there."""
        return _scan(self.offsets, self.symbols, self.targets, self.winner, classes, at)


class Lexer:
    """The scanners of a grammar, over one alphabet, each made when first asked for.

    also: sets that the alphabet must tell apart, too.
    """

    def __init__(self, grammar: Grammar, limits: Limits = Limits(), also: Sequence[Charset] = ()):
        self.grammar, self.limits = grammar, limits
        dfas = [terminal.dfa(limits) for terminal in grammar.terminals]
        charsets = [[dfa.alphabet.charset([c]) for c in range(dfa.alphabet.size)] for dfa in dfas]
        self.alphabet: Alphabet = alphabet_of(list(dict.fromkeys([*also, *(c for row in charsets for c in row)])))
        rows = []
        for dfa, own in zip(dfas, charsets):
            pieces = members(self.alphabet, own)
            rows.append(split_symbols(dfa.offsets, dfa.symbols, dfa.targets, *pieces))
        sizes = [dfa.states for dfa in dfas]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        edges = np.concatenate([[0], np.cumsum([len(symbols) for _, symbols, _ in rows])])
        # All terminals' automata side by side: terminal k has the states from _starts[k] on.
        self._offsets = np.concatenate([*(row[0][:-1] + first for row, first in zip(rows, edges)), edges[-1:]])
        self._symbols = np.concatenate([np.zeros(0, np.int32), *(row[1] for row in rows)])
        self._targets = np.concatenate([np.zeros(0, np.int32), *(r[2] + f for r, f in zip(rows, self._starts))])
        self._accept = np.concatenate([np.zeros(0, bool), *(dfa.accept for dfa in dfas)])
        self._owner = np.repeat(np.arange(len(dfas), dtype=np.int32), sizes)
        self.priority = np.array([terminal.priority for terminal in grammar.terminals], np.int64)
        self._scanners: dict[frozenset[int], Scanner] = {}
        self._size = 0  # states of them all

    @property
    def automata(self) -> tuple[np.ndarray, ...]:
        """All terminals' own automata: offsets, symbols, targets, accept, and where each one begins."""
        return self._offsets, self._symbols, self._targets, self._accept, self._starts

    def automaton(self, terminal: int) -> tuple[list[dict[int, int]], list[bool]]:
        """A terminal's own automaton: the state after each class, state by state, and which states accept."""
        first, past = self._starts[terminal : terminal + 2]
        rows = _dicts(self._offsets[first : past + 1], self._symbols, self._targets - first)
        return rows, self._accept[first:past].tolist()

    def of(self, terminals: frozenset[int]) -> Scanner:
        """The scanner of a set of terminals, the ignored ones included where they are in question."""
        if terminals not in self._scanners:
            starts = np.sort(self._starts[np.array(sorted(terminals), np.int32)]).astype(np.int32)
            *rows, status = _product(
                self._offsets, self._symbols, self._targets, self._accept, self._owner, self.priority, starts,
                self.alphabet.size, self.limits.states, self.limits.work,
            )  # fmt: skip
            self.limits.check(status, f"telling {len(terminals)} terminals apart")
            self._size += len(rows[-1])
            self.limits.check(
                self._size > self.limits.states, f"telling terminals apart in {len(self._scanners):,} places"
            )
            self._scanners[terminals] = Scanner(*rows)
        return self._scanners[terminals]

    def classes(self, text: str) -> np.ndarray:
        """The class of each character, -1 for half a surrogate pair."""
        return self.alphabet.of(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32))


def _dicts(offsets, symbols, targets) -> list[dict[int, int]]:
    return [dict(zip(symbols[a:b].tolist(), targets[a:b].tolist())) for a, b in zip(offsets[:-1], offsets[1:])]


@kernel
def _scan(offsets, symbols, targets, winner, classes, at):
    state = np.int64(0)
    best, end = np.int64(-1), np.int64(at)
    i = np.int64(at)
    while i < len(classes):
        e = position(symbols, offsets[state], offsets[state + 1], np.int64(classes[i]))
        if e < 0:
            break
        state = np.int64(targets[e])
        i += 1
        if winner[state] >= 0:
            best, end = np.int64(winner[state]), i
    return best, end, i, state


@kernel
def _product(offsets, symbols, targets, accept, owner, priority, starts, classes, max_states, max_work):
    """A scanner, given the first states of its terminals' automata: (offsets, symbols, targets, winner, status)."""
    new_offsets = np.zeros(1025, np.int64)
    new_symbols, new_targets = np.empty(1024, np.int32), np.empty(1024, np.int32)
    winner = np.empty(1024, np.int32)
    winner[0] = -1  # no terminal matches the empty text
    heap = roomy(new_heap(), len(starts) + 1, np.int64(1), np.int64(0))
    intern(heap, starts, len(starts))
    # The targets of a state, by class: counted, then laid down row by row in `bucket`.
    count, place = np.zeros(classes + 1, np.int64), np.zeros(classes + 1, np.int64)
    bucket = np.empty(1024, np.int32)
    made, used, work = np.int64(1), np.int64(0), np.int64(0)
    s = at = np.int64(0)
    while at < heap.size[0]:
        size = heap.items[at]
        total = np.int64(0)
        for i in range(at + 1, at + 1 + size):
            for e in range(offsets[heap.items[i]], offsets[heap.items[i] + 1]):
                count[symbols[e]] += 1
                total += 1
        work += total + classes
        bucket = grown(bucket, total + 1)
        new_symbols, new_targets = grown(new_symbols, used + classes), grown(new_targets, used + classes)
        filled = 0
        for c in range(classes):
            place[c] = filled
            filled += count[c]
        for i in range(at + 1, at + 1 + size):
            for e in range(offsets[heap.items[i]], offsets[heap.items[i] + 1]):
                bucket[place[symbols[e]]] = targets[e]
                place[symbols[e]] += 1
        heap = roomy(heap, total + classes, classes, np.int64(0))
        for c in range(classes):
            n = count[c]
            count[c] = 0
            if n == 0:
                continue
            subset = bucket[place[c] - n : place[c]]
            best = np.int64(-1)
            for i in range(n):
                k = owner[subset[i]]
                if accept[subset[i]] and (best < 0 or (-priority[k], k) < (-priority[best], best)):
                    best = np.int64(k)
            if best >= 0:
                kept = 0
                for i in range(n):
                    if priority[owner[subset[i]]] >= priority[best]:
                        subset[kept] = subset[i]
                        kept += 1
                n = kept
            sort(subset[:n])
            new_symbols[used], new_targets[used] = c, intern(heap, subset, n)
            used += 1
            if made < heap.size[1]:
                winner = grown(winner, made + 1)
                winner[made] = best
                made += 1
        s += 1
        at += 1 + size
        new_offsets = grown(new_offsets, s + 1)
        new_offsets[s] = used
        if made > max_states:
            return new_offsets, new_symbols, new_targets, winner, 1
        if work > max_work:
            return new_offsets, new_symbols, new_targets, winner, 2
    number_rows(heap, new_targets[:used])
    return new_offsets[: s + 1], new_symbols[:used], new_targets[:used], winner[:s], 0
