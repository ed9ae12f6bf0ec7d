"""A regular language that holds all texts of a grammar: its *cover*, whatever the nesting.

The cover forgets the stack of the LR automaton but for the state on its top. A reduction takes the handle off, and goes
on from every state that can lie below it; look-aheads are those of the tables (Pereira and Wright, "Finite-state
approximation of phrase-structure grammars", 1991). That is a finite automaton over terminals; made deterministic, it
has a few hundred states for a programming language.

In characters, every terminal is followed by itself, not by way of the lexer's scanners: those depend on which terminals
may come next, and here more may come than in the grammar. A scanner that waits for too many could cut a text too late
and so refuse it. But a terminal that may come next *whatever* the stack (`certain`) is in question there; so
nothing ends where such a one, or the terminal itself, matches better, or goes on to match with the next character.
That is enough to keep identifiers whole, and the automaton small.
"""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from operator import and_
from typing import Iterable

import numpy as np

from dgemma_constrain.automata.dfa import DFA, compile_nfa, minimal
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.lr_tables import LRTables
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.grammar.lexer import Lexer
from dgemma_constrain.errors import LimitExceeded

STEPS = 1_000_000  # from state to state over reductions, in all; a programming language has a hundred thousand

Classes = frozenset[int]  # of characters
Terminals = frozenset[int]


def cover(tables: LRTables, end: int, lexer: Lexer, limits: Limits) -> DFA:
    """The cover of a grammar over characters.

    end: the number of its terminals. Of a grammar without a lexer they are the classes of the alphabet.
    """
    rows, certain = sentences(tables, limits)
    if not lexer.grammar.scannerless:
        return compile_nfa(_spelt(rows, certain, end, lexer), limits)
    plain = [sorted((t, q) for t, q in row.items() if t != end) for row in rows]
    offsets = np.cumsum([0, *map(len, plain)]).astype(np.int64)
    symbols, targets = (np.array([pair[i] for row in plain for pair in row], np.int32) for i in (0, 1))
    return minimal(lexer.alphabet, offsets, symbols, targets, np.array([end in row for row in rows]))


def sentences(tables: LRTables, limits: Limits) -> tuple[list[dict[int, int]], list[Terminals]]:
    """The cover over terminals, the end of the text among them: for every state the state after each terminal; and the
    terminals that may come whatever the stack.

    A state is a set of LR states, one of which is on top. Sets of terminals are the bits of a number in here.
    """
    shifts, lookahead = _numbers(tables.shifts), _numbers(tables.lookahead)
    steps = [dict(zip(s.tolist(), t.tolist())) for s, t in _rows(tables.offsets, tables.symbols, tables.targets)]
    below = [set() for _ in steps]
    for state, row in enumerate(steps):
        for target in row.values():
            below[target].add(state)
    reductions = [
        [
            (lookahead[e], _after(steps, below, state, int(tables.length[rule]), int(tables.head[rule])))
            for e, rule in enumerate(rules.tolist(), int(tables.reduce_offsets[state]))
        ]
        for state, (rules,) in enumerate(_rows(tables.reduce_offsets, tables.reduce_rule))
    ]
    certain = _certain(shifts, reductions)
    onward, work = [], 0
    for state in range(tables.states):
        to, met = _onward(state, shifts, reductions, steps)
        onward.append(to)
        work += met
        if work > STEPS:
            raise LimitExceeded(
                f"forgetting the stack of a grammar takes more than {STEPS:,} steps: too many rules may end in the same "
                f"places (its LR automaton has {tables.states:,} states); leave out rules"
            )

    number = {frozenset([0]): 0}
    rows: list[dict[int, int]] = []
    sure = []
    for subset in (agenda := [frozenset([0])]):  # grows
        to: dict[int, set[int]] = defaultdict(set)
        for state in subset:
            for terminal, states in onward[state].items():
                to[terminal] |= states
        rows.append({})
        for terminal, states in to.items():
            target = frozenset(states)
            if target not in number:
                number[target] = len(agenda)
                agenda.append(target)
                limits.check(len(agenda) > limits.states, "forgetting the stack of a grammar")
            rows[-1][terminal] = number[target]
        sure.append(frozenset(_members(reduce(and_, (certain[state] for state in subset)))))
    return rows, sure


def _numbers(words: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in words]


def _members(bits: int) -> Iterable[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _rows(offsets: np.ndarray, *arrays: np.ndarray) -> Iterable[tuple[np.ndarray, ...]]:
    for first, past in zip(offsets[:-1], offsets[1:]):
        yield tuple(a[first:past] for a in arrays)


def _after(steps, below, state: int, length: int, head: int) -> set[int]:
    """The states that may be on top after a reduction."""
    states = {state}
    for _ in range(length):
        states = {s for state in states for s in below[state]}
    return {steps[s][head] for s in states if head in steps[s]}


def _certain(shifts: list[int], reductions) -> list[int]:
    """The terminals that can follow whatever lies below each state: those it shifts, and those it reduces on, if all
    states that may then be on top are certain of them. The least solution: no terminal is certain by a circle."""
    certain = list(shifts)
    changed = True
    while changed:
        changed = False
        for state, row in enumerate(reductions):
            for bits, after in row:
                for s in after:
                    bits &= certain[s]
                if after and bits & ~certain[state]:
                    certain[state] |= bits
                    changed = True
    return certain


def _onward(state: int, shifts: list[int], reductions, steps) -> tuple[dict[int, set[int]], int]:
    """The states after each terminal, with all reductions before it; and how many steps that took."""
    met = {state: -1}  # with which look-aheads
    agenda = [state]
    work = 0
    while agenda:
        s = agenda.pop()
        for bits, after in reductions[s]:
            work += 1 + len(after)
            if bits := bits & met[s]:
                for t in after:
                    if bits & ~met.get(t, 0):
                        met[t] = met.get(t, 0) | bits
                        agenda.append(t)
    to: dict[int, set[int]] = defaultdict(set)
    for s, bits in met.items():
        for terminal in _members(bits & shifts[s]):
            to[terminal].add(steps[s][terminal])
            work += 1
    return to, work


def _spelt(rows: list[dict[int, int]], certain: list[Terminals], end: int, lexer: Lexer) -> NFA:
    """The cover in characters: each terminal's automaton, in step with the scanner of those that are certain.

    A place is a state of the cover and the classes that must not come next, since what ended there would have gone on.
    """
    ignored = sorted(lexer.grammar.ignore)
    automata = [lexer.automaton(k) for k in range(end)]
    begins = [rows[0].keys() for rows, _ in automata]
    pieces: dict[tuple[Terminals, int], _Piece] = {}
    copies: dict[tuple[Terminals, int, int], int] = {}
    places: dict[tuple[int, Classes], int] = {}
    agenda: list[tuple[int, Classes]] = []
    labels: dict[Classes, int] = {}
    edges: list[tuple[int, int, int]] = []
    jumps: list[tuple[int, int]] = []
    size = 0

    def place(state: int, barred: Classes) -> int:
        nonlocal size
        if (state, barred) not in places:
            places[state, barred] = size
            agenda.append((state, barred))
            size += 1
        return places[state, barred]

    place(0, frozenset())
    for state, barred in agenda:  # grows
        here = places[state, barred]
        sure = (certain[state] - {end}).union(ignored)
        for terminal, target in [*rows[state].items(), *((k, state) for k in ignored)]:
            if terminal == end:
                continue
            rivals = frozenset(k for k in sure if k != terminal and begins[k] & begins[terminal])
            if (rivals, terminal) not in pieces:
                pieces[rivals, terminal] = _Piece(terminal, rivals, lexer, *automata[terminal])
            piece = pieces[rivals, terminal]
            if (rivals, terminal, target) not in copies:
                first = copies[rivals, terminal, target] = size
                size += piece.states
                edges += [(first + a, labels.setdefault(c, len(labels)), first + b) for a, c, b in piece.edges]
                jumps += [(first + a, place(target, forbidden)) for a, forbidden in piece.ends]
            first = copies[rivals, terminal, target]
            edges += [
                (here, labels.setdefault(c - barred, len(labels)), first + b)
                for a, c, b in piece.edges
                if not a and c - barred
            ]
    jumps += [(number, size) for (state, _), number in places.items() if end in rows[state]]
    charsets = tuple(lexer.alphabet.charset(sorted(c)) for c in labels)
    return NFA(size + 1, np.array(edges, np.int32).reshape(-1, 3), np.array(jumps, np.int32).reshape(-1, 2), charsets)


class _Piece:
    """A terminal's automaton in step with the scanner of its rivals, from state 0 on.

    edges: (state, classes, state). ends: (state, the classes that must not come next), where the terminal may end.
    """

    def __init__(self, terminal: int, rivals: Terminals, lexer: Lexer, rows: list[dict[int, int]], accept: list[bool]):
        priority = lexer.priority.tolist()
        scanner = lexer.of(rivals)
        winners = scanner.winner.tolist()
        number = {(0, 0): 0}  # of (the terminal's state, the scanner's, -1 where it is dead)
        self.edges: list[tuple[int, Classes, int]] = []
        self.ends: list[tuple[int, Classes]] = []
        for own, scan in (agenda := list(number)):  # grows
            here = number[own, scan]
            other, winner = ({}, -1) if scan < 0 else (scanner.rows[scan], winners[scan])
            if accept[own] and (winner < 0 or (-priority[winner], winner) > (-priority[terminal], terminal)):
                on = {c for c, t in rows[own].items() if accept[t]}
                on |= {c for c, t in other.items() if winners[t] >= 0 and priority[winners[t]] >= priority[terminal]}
                self.ends.append((here, frozenset(on)))
            classes: dict[int, list[int]] = defaultdict(list)
            for c, t in rows[own].items():
                pair = t, other.get(c, -1)
                if pair not in number:
                    number[pair] = len(agenda)
                    agenda.append(pair)
                classes[number[pair]].append(c)
            self.edges += [(here, frozenset(some), there) for there, some in classes.items()]
        self.states = len(number)
