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

import numpy as np

from dgemma_constrain.automata.alphabet import Alphabet, alphabet_of, members
from dgemma_constrain.automata.kernels import grown, kernel, mix, sort
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

    def next(self, classes: np.ndarray, at: int) -> tuple[int, int, int, int]:
        """From `at` on in a text: the winner (-1: none), where it ends, how far one can read, the state there."""
        return _scan(self.offsets, self.symbols, self.targets, self.winner, classes, at)


class Lexer:
    """The scanners of a grammar, over one alphabet, each made when first asked for."""

    def __init__(self, grammar: Grammar, limits: Limits = Limits()):
        self.grammar, self.limits = grammar, limits
        dfas = [terminal.dfa(limits) for terminal in grammar.terminals]
        charsets = [[dfa.alphabet.charset([c]) for c in range(dfa.alphabet.size)] for dfa in dfas]
        self.alphabet: Alphabet = alphabet_of(list(dict.fromkeys(c for row in charsets for c in row)))
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
        self._priority = np.array([terminal.priority for terminal in grammar.terminals], np.int64)
        self._scanners: dict[frozenset[int], Scanner] = {}

    def of(self, terminals: frozenset[int]) -> Scanner:
        """The scanner of a set of terminals, the ignored ones included where they are in question."""
        if terminals not in self._scanners:
            starts = np.sort(self._starts[np.array(sorted(terminals), np.int32)]).astype(np.int32)
            *rows, status = _product(
                self._offsets, self._symbols, self._targets, self._accept, self._owner, self._priority, starts,
                self.alphabet.size, self.limits.states, self.limits.work,
            )  # fmt: skip
            self.limits.check(status, f"telling {len(terminals)} terminals apart")
            self._scanners[terminals] = Scanner(*rows)
        return self._scanners[terminals]

    def classes(self, text: str) -> np.ndarray:
        """The class of each character, -1 for half a surrogate pair."""
        return self.alphabet.of(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32))


@kernel
def _scan(offsets, symbols, targets, winner, classes, at):
    state = np.int64(0)
    best, end = np.int64(-1), np.int64(at)
    i = np.int64(at)
    while i < len(classes):
        lo, hi = offsets[state], offsets[state + 1]
        last = hi
        while lo < hi:
            middle = (lo + hi) // 2
            if symbols[middle] < classes[i]:
                lo = middle + 1
            else:
                hi = middle
        if lo == last or symbols[lo] != classes[i]:
            break
        state = np.int64(targets[lo])
        i += 1
        if winner[state] >= 0:
            best, end = np.int64(winner[state]), i
    return best, end, i, state


@kernel
def place_of(subset, n, pool, pool_offsets, table):
    """Where a set of states is, or belongs, in an open-addressing table of sets; -1 marks an empty place."""
    key = np.uint64(n)
    for i in range(n):
        key = mix(np.int64(key ^ np.uint64(subset[i])))
    mask = len(table) - 1
    slot = np.int64(key & np.uint64(mask))
    while table[slot] >= 0:
        start = pool_offsets[table[slot]]
        if pool_offsets[table[slot] + 1] - start == n:
            same = True
            for i in range(n):
                if pool[start + i] != subset[i]:
                    same = False
                    break
            if same:
                break
        slot = (slot + 1) & mask
    return slot


@kernel
def _product(offsets, symbols, targets, accept, owner, priority, starts, classes, max_states, max_work):
    """A scanner, given the first states of its terminals' automata: (offsets, symbols, targets, winner, status)."""
    new_offsets = np.zeros(1025, np.int64)
    new_symbols, new_targets = np.empty(1024, np.int32), np.empty(1024, np.int32)
    winner = np.empty(1024, np.int32)
    winner[0] = -1  # no terminal matches the empty text
    pool, pool_offsets = starts.copy(), np.zeros(1025, np.int64)
    pool_offsets[1] = len(starts)
    table = np.full(4096, -1, np.int64)
    table[place_of(starts, len(starts), pool, pool_offsets, table)] = 0
    # The targets of a state, by class: counted, then laid down row by row in `bucket`.
    count, place = np.zeros(classes + 1, np.int64), np.zeros(classes + 1, np.int64)
    bucket = np.empty(1024, np.int32)
    made, used, work = np.int64(1), np.int64(0), np.int64(0)
    s = np.int64(0)
    while s < made:
        total = np.int64(0)
        for i in range(pool_offsets[s], pool_offsets[s + 1]):
            for e in range(offsets[pool[i]], offsets[pool[i] + 1]):
                count[symbols[e]] += 1
                total += 1
        work += total + classes
        bucket = grown(bucket, total + 1)
        new_symbols, new_targets = grown(new_symbols, used + classes), grown(new_targets, used + classes)
        position = 0
        for c in range(classes):
            place[c] = position
            position += count[c]
        for i in range(pool_offsets[s], pool_offsets[s + 1]):
            for e in range(offsets[pool[i]], offsets[pool[i] + 1]):
                bucket[place[symbols[e]]] = targets[e]
                place[symbols[e]] += 1
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
            slot = place_of(subset, n, pool, pool_offsets, table)
            target = table[slot]
            if target < 0:
                if made == max_states:
                    return new_offsets, new_symbols, new_targets, winner, 1
                target = made
                start = pool_offsets[made]
                pool = grown(pool, start + n)
                for i in range(n):
                    pool[start + i] = subset[i]
                made += 1
                pool_offsets, new_offsets = grown(pool_offsets, made + 1), grown(new_offsets, made + 1)
                pool_offsets[made] = start + n
                winner = grown(winner, made)
                winner[target] = best
                table[slot] = target
                if 2 * made > len(table):
                    table = np.full(4 * len(table), -1, np.int64)
                    for i in range(made):
                        row = pool[pool_offsets[i] : pool_offsets[i + 1]]
                        table[place_of(row, len(row), pool, pool_offsets, table)] = i
            new_symbols[used] = c
            new_targets[used] = target
            used += 1
        s += 1
        new_offsets[s] = used
        if work > max_work:
            return new_offsets, new_symbols, new_targets, winner, 2
    return new_offsets[: made + 1], new_symbols[:used], new_targets[:used], winner[:made], 0
