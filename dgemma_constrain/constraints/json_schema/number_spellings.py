"""A set of numbers (see `numbers`) → the texts of its members: zeros at the end, -0, exponents as JSON has them."""

from __future__ import annotations

from functools import lru_cache
from typing import Hashable, Iterator

import numpy as np

from dgemma_constrain.automata.charset import Charset, char
from dgemma_constrain.automata.dfa import DFA, compile_nfa, intersect, subtract, unite
from dgemma_constrain.automata.kernels import sources
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, literal, star, symbol, union
from dgemma_constrain.constraints.json_schema.numbers import automaton, integers, interval, unsigned, values

LARGEST = 9  # exponent after one digit, in a set with a bound
SHIFTS = 2  # how far an exponent moves the point in a set that isn't the same a power of ten further up or down
_CHARACTERS = "0123456789-."


def spellings(numbers: DFA, limits: Limits = Limits(), shifts: int = SHIFTS) -> NFA:
    """The JSON texts of the numbers of a set: sound always, and all of them but for some exponents.

    Without exponent: every spelling (zeros at the end of a fraction, `.0`, -0). With one, its letter, sign and zeros as
    JSON allows, m·10ᵉ where

    - every m, if |e| ≤ shifts;
    - any e > shifts, if the set holds 10x with every x (all numbers, integers, x ≥ 3) and m · 10^shifts;
    - any e < -shifts, if it holds x/10 with every x (all numbers, -3 ≤ x ≤ 3) and m / 10^shifts;
    - any e at all, if m = 0;
    - any e > shifts up to LARGEST, if the set doesn't hold 10x with every x, and m has one digit before the point and
      e or fewer behind it (1.5e9);

    all but the first for the numbers below 0 and the others apart, if not for both (so -1e9 may be written for x ≤ 3).

    For all numbers, those above, below or other than 0, and for 0 itself nothing is left out; for integers, 1.5e3
    with shifts = 0 and 1.5555e4 with 3, while 155e1 and 1.0e+07 always stay. Where m and e may be any depends on both
    in general, which is not regular. States of the minimal DFA, for 0 to 3 shifts: all numbers 9 9 9 9, integers
    14 24 38 55, from 0 to 150 43 55 67 92, 0 ≤ x ≤ 1 18 32 46 60, 64-bit integers 133 190 261 349.
    """
    return _spelt(numbers, limits, shifts).nfa()


@lru_cache(maxsize=256)
def _spelt(numbers: DFA, limits: Limits, shifts: int) -> DFA:
    padded = _Padded(numbers, limits)
    upward, downward = padded.is_closed(1), padded.is_closed(-1)
    if not upward and not (negative := intersect(numbers, interval(below=0), limits)).is_empty:
        others = subtract(numbers, negative, limits)
        if not others.is_empty:
            return unite(_spelt(others, limits, shifts), _spelt(negative, limits, shifts), limits)
    parts = [padded.moved(0)]
    if upward and downward:  # the same numbers whatever the exponent
        parts.append(concat([padded.moved(0), _exponent(None, None)]))
    else:
        for e in range(-shifts, shifts + 1):
            least = None if downward and e == -shifts else e
            most = None if upward and e == shifts else e
            parts.append(concat([padded.moved(e), _exponent(least, most)]))
        if not upward:
            parts.append(padded.scientific(shifts + 1))
        if numbers.accepts("0"):
            parts.append(_spelt(values([0]), limits, shifts).nfa())
    return intersect(compile_nfa(union(parts), limits), _texts(), limits)


@lru_cache(maxsize=1)
def _texts() -> DFA:
    """All numbers as JSON writes them."""
    sign = union([EPSILON, literal("-")])
    return compile_nfa(concat([sign, unsigned().nfa(), union([EPSILON, _exponent(None, None)])]))


@lru_cache(maxsize=1)
def _plain() -> DFA:
    """Those without exponent."""
    return compile_nfa(concat([union([EPSILON, literal("-")]), unsigned().nfa()]))


@lru_cache(maxsize=256)
def _exponent(least: int | None, most: int | None) -> NFA:
    """The exponents from `least` to `most`, in every spelling."""
    parts = []
    opposite = [None if bound is None else -bound for bound in (most, least)]
    for sign, (low, high) in ((union([EPSILON, literal("+")]), (least, most)), (literal("-"), opposite)):
        sizes = intersect(integers(), interval(max(low or 0, 0), high))
        parts.append(concat([sign, star(literal("0")), sizes.nfa()]))
    return concat([symbol(Charset.of("eE")), union(parts)])


def _exponents(state: Hashable, listed: tuple[int, ...], end: Hashable) -> Iterator[tuple[Hashable, str, Hashable]]:
    """Edges for these exponents above 0, from a state; equal ones share states."""
    if listed:
        letter, sign, zeros = ((what, listed) for what in "e+0")
        yield from [(state, "eE", letter), (letter, "+", sign)]
        for before in (letter, sign, zeros):
            yield before, "0", zeros
            for exponent in map(str, listed):
                after = end if len(exponent) == 1 else (exponent[0], listed)
                yield before, exponent[0], after
                if after != end:
                    yield after, exponent[1], end


class _Padded:
    """A set of numbers over their padded spellings, `-?[0-9]*.[0-9]*` with any zeros at either end, as a dense table.

    In these the point can be moved, which is what an exponent does: a text with its point `places` further left or
    right is in the set, if the table leads to acceptance once it reads a point there. States are (layer, state).
    """

    def __init__(self, numbers: DFA, limits: Limits):
        self.limits, self.finite = limits, numbers.is_finite()
        self.only_zero = self.finite and numbers.shortest() in ("0", None) and numbers.count() < 2
        dfa = compile_nfa(_pad(numbers), limits)
        self.table, self.accept = _dense(dfa), np.append(dfa.accept, False)
        self.zero, self.point = self.table[:, 0], self.table[:, -1]

    def is_closed(self, exponent: int) -> bool:
        """Whether the set holds x · 10**exponent with every x."""
        if self.finite:
            return self.only_zero
        here, there = (compile_nfa(self.moved(e), self.limits) for e in (0, exponent))
        return subtract(intersect(here, _plain(), self.limits), there, self.limits).is_empty

    def moved(self, exponent: int) -> NFA:
        """Of the plain JSON spellings of whatever numbers, those that are in the set with this exponent behind them.
        (And some texts that are no spellings.)"""
        return self.to_the_right(exponent) if exponent >= 0 else self.to_the_left(-exponent)

    def to_the_right(self, places: int) -> NFA:
        """Layers: before the text's point; at it and 1 … places digits behind it; past the point of the table."""
        past = places + 2
        edges = [self.edges(0, 0, "-0123456789"), self.silent(0, 1, ".")]
        edges += [self.edges(i, i + 1) for i in range(1, places + 1)]
        edges += [self.edges(past - 1, past, via=self.point), self.edges(past, past)]
        final = [self.accept]  # from the last layer back: what is missing is zeros, then the point
        state = self.point
        for _ in range(past - 1):
            final.append(self.accept[state])
            state = state[self.zero]
        return self.nfa(edges, [], [final[-1], *final[::-1]])

    def to_the_left(self, places: int) -> NFA:
        """Layers: no digit read; before the point of the table; past it, with 0 … places digits to go; past the text's.

        With less than `places` digits before the text's point, zeros are read between the two.
        """
        past = places + 3
        edges = [self.edges(0, 0, "-"), self.edges(0, 1), self.edges(1, 1)]
        edges += [self.edges(2 + i, 1 + i) for i in range(1, places + 1)]
        edges += [self.silent(2, past, "."), self.edges(past, past)]
        state, jumps = self.point, [self.jumps(1, 2 + places, self.point)]
        for left in range(places, 0, -1):
            jumps.append(self.jumps(0, 2 + left, state))
            state = self.zero[state]
        nothing = np.zeros_like(self.accept)
        return self.nfa(edges, jumps, [nothing, nothing, self.accept, *[nothing] * places, self.accept])

    def scientific(self, least: int) -> NFA:
        """One digit that is not 0, e digits or fewer behind a point, and exponents e from `least` to LARGEST."""
        edges, final, seen = [], "end", {}
        for sign, first in (("", 0), ("-", self.table[0, _CHARACTERS.index("-")])):
            if sign:
                edges.append(("start", sign, ("first", first)))
            for digit in "123456789":
                if first >= 0 and self.table[first, int(digit)] >= 0:
                    seen[0, self.table[first, int(digit)]] = None
                    edges.append((("first", first) if sign else "start", digit, (0, self.table[first, int(digit)])))
        agenda = list(seen)
        for i, state in agenda:
            ends, reached = [], state
            for e in range(i, LARGEST + 1):
                if e >= least and self.accept[self.point[reached]]:
                    ends.append(e)
                reached = self.zero[reached]
            edges += _exponents((i, state), tuple(ends), final)
            here = (i, state)
            if i == 0:
                here = ("point", state)
                edges.append(((i, state), ".", here))
            for digit in "0123456789" if i < LARGEST else "":
                onward = (i + 1, self.table[state, int(digit)])
                if onward[1] >= 0:
                    edges.append((here, digit, onward))
                    if onward not in seen:
                        seen[onward] = None
                        agenda.append(onward)
        return automaton("start", edges, [final])

    # Pieces: rows (source, character, target) between two layers.

    def edges(self, source: int, target: int, characters: str = "0123456789", via: np.ndarray | None = None):
        """Steps of the table, first along `via`."""
        n = len(self.accept)
        columns = [_CHARACTERS.index(c) for c in characters]
        reached = (self.table if via is None else self.table[via])[:, columns]
        state, column = np.nonzero(reached >= 0)
        return np.stack([state + source * n, np.array(columns)[column], reached[state, column] + target * n], 1)

    def silent(self, source: int, target: int, character: str):
        """A character that the table doesn't read."""
        state = np.arange(len(self.accept))
        return np.stack(
            [
                state + source * len(state),
                np.full_like(state, _CHARACTERS.index(character)),
                state + target * len(state),
            ],
            1,
        )

    def jumps(self, source: int, target: int, reached: np.ndarray):
        n, state = len(self.accept), np.flatnonzero(reached >= 0)
        return np.stack([state + source * n, reached[state] + target * n], 1)

    def nfa(self, edges: list, jumps: list, final: list) -> NFA:
        """`final`: the accepting states of each layer."""
        accepting = np.flatnonzero(np.concatenate(final))
        end = len(final) * len(self.accept)
        jumps = np.concatenate([*jumps, np.stack([accepting, np.full_like(accepting, end)], 1)])
        return NFA(
            end + 1, np.concatenate(edges).astype(np.int32), jumps.astype(np.int32), tuple(map(char, _CHARACTERS))
        )


def _dense(dfa: DFA) -> np.ndarray:
    """Targets by state and character of _CHARACTERS, int32[S + 1, 12]; -1 is dead, and its row is the last."""
    table = np.full((dfa.states + 1, dfa.alphabet.size), -1, np.int32)
    table[sources(dfa.offsets), dfa.symbols] = dfa.targets
    return table[:, dfa.alphabet.of(np.frombuffer(_CHARACTERS.encode("utf-32-le"), np.int32))]


def _pad(numbers: DFA) -> NFA:
    """The padded spellings of a set: its automaton twice, before and after the point, and zeros at both ends."""
    table = _dense(numbers)
    after = {c: table[:, i] for i, c in enumerate(_CHARACTERS)}
    start, unsigned, signed, zeros, whole = range(5)
    fraction, end = whole + numbers.states, whole + 2 * numbers.states
    jumps = [(start, unsigned), (zeros, end)]
    edges = [(start, "-", signed), (unsigned, "0", unsigned), (signed, "0", signed), (zeros, "0", zeros)]
    for padding, first in ((unsigned, 0), (signed, after["-"][0])):
        jumps += [(padding, whole + s) for s in (first, after["0"][first]) if s >= 0]
    if numbers.accepts("0"):
        edges.append((signed, ".", zeros))  # -0 is 0
    for s in range(numbers.states):
        edges += [
            (part + s, d, part + after[d][s]) for d in "0123456789" for part in (whole, fraction) if after[d][s] >= 0
        ]
        if after["."][s] >= 0:
            edges.append((whole + s, ".", fraction + after["."][s]))
        if numbers.accept[s]:
            edges.append((whole + s, ".", zeros))
            jumps.append((fraction + s, zeros))
    rows = np.array([(source, _CHARACTERS.index(c), target) for source, c, target in edges], np.int32)
    return NFA(end + 1, rows, np.array(jumps, np.int32), tuple(map(char, _CHARACTERS)))
