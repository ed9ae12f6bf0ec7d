"""Configurations of a grammar: what a text may be the beginning of, and the kernels that read on from one.

A configuration is a list of guesses as in `spelling.py`, with a set of stacks where there is a state of the sentence:
each guess is a set of stacks and a state of the scanner for what may follow it, or a terminal about to begin. This is
deterministic, and cuts every text as the lexer does. A token may end inside a character; so a configuration also says
where it is in the decoding tree of UTF-8, and it is there only if some character that the bytes may become leads on.

Configurations are numbers, hash-consed; what a class of characters makes of one is computed once. Scanners are made in
Python when a kernel comes to a kind of terminals that has none: it says MISSING, and is called again (`machine.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, UNKNOWN, intern, recall, remember
from dgemma_constrain.automata.kernels import grown, kernel, position
from dgemma_constrain.automata.stacks import DEAD, FAR, KIND, LIMIT, Stacks, advance, fewest, followers

MISSING = -3
GUESSES = 32  # at most in one list
IGNORED = -2  # the winner where an ignored terminal wins
BEGIN = -1  # in the place of a scanner's state: a terminal is about to begin
WHOLE = -1  # in the place of a node of the decoding tree: no character is under way
COMPOSITE = -2  # in the place of the first set of stacks: these are items of a composite
ITEMS = 64  # at most in one configuration
NONE = -1  # in an item: no grammar is under way; or a filter that is not open
CALL = -1  # in the place of a filter: a grammar
# What is remembered of a row, besides what stacks.py does:
STEP = 1 << 18  # + c, of a configuration: the one after a class, or after bytes that lead to inner node c - classes
SCANNER = (1 << 19) + 16  # of a kind: where its scanner begins
WINNERS = SCANNER + 1  # of a scanner's state: the row of terminals that may yet win, IGNORED for all that are ignored
LEAST = WINNERS + 1  # of a configuration: what `least` says


class Composite(NamedTuple):
    """An automaton over characters and marks, and the automata of its filters after it; rows of transitions.

    A mark is a grammar to be called, a filter to be opened, or to be closed: what is read between the two is also a text
    of the filter's automaton. One filter may be open in each slot.

    offsets int64[S+1], symbols int32[E] (classes, and from `classes` on marks, ascending in each row), targets int32[E]
    accept bool[S]
    need   int32[S], no fewer characters lead on to where it accepts
    marks  int32[M, 2]: CALL and a grammar; or a slot and the filter's first state, or NONE to close it
    starts int64[G]: the first configurations of the grammars
    items  int32[ITEMS, 2 + slots]: scratch. An item: state; the grammar's configuration or NONE; of each slot, the
           filter's state or NONE
    """

    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    accept: np.ndarray
    need: np.ndarray
    marks: np.ndarray
    starts: np.ndarray
    items: np.ndarray


class Machine(NamedTuple):
    """All that is known of configurations: rows (node, set, state, set, state, …) of the heap, or, of a composite,
    (node, COMPOSITE, items …).

    scan   the scanners, a state being a place: how many transitions; the winner, or IGNORED, or -1; how near the next
           winner is; `slack`, see `scanner_row`; classes, ascending; the states they lead to
    tree   int32[nodes, 256], the decoding tree of UTF-8 (see encodings.py), its root last
    below  the classes below inner node x are below[below[x]:below[x+1]]
    classes  how many classes there are
    ends   int32[W], as bits: the terminals that are the end of a text
    guesses int32[2·GUESSES+1 or more], told int64[1]: scratch; the kind that has no scanner
    """

    stacks: Stacks
    scan: np.ndarray
    tree: np.ndarray
    below: np.ndarray
    classes: int
    ends: np.ndarray
    composite: Composite
    guesses: np.ndarray
    told: np.ndarray


@kernel
def after(machine, config, c):
    """The configuration after a character of class c; DEAD, LIMIT, FULL or MISSING."""
    stacks, scan, guesses = machine.stacks, machine.scan, machine.guesses
    heap = stacks.heap
    items = heap.items
    known = recall(heap.keys, heap.values, config, STEP + c)
    if known != UNKNOWN:
        return known
    guesses[0] = WHOLE
    n = np.int64(1)
    for i in range(config + 2, config + 1 + items[config], 2):
        stack_set, here = np.int64(items[i]), np.int64(items[i + 1])
        if here == BEGIN:
            kind = recall(heap.keys, heap.values, stack_set, np.int64(KIND))
            if kind < 0:
                kind = followers(stacks, stack_set)
            if kind < 0:
                return kind
            here = recall(heap.keys, heap.values, kind, np.int64(SCANNER))
            if here == UNKNOWN:
                machine.told[0] = kind
                return np.int64(MISSING)
        e = position(scan, here + 4, here + 4 + scan[here], c)
        if e < 0:
            continue
        if n + 4 > len(guesses):
            return np.int64(LIMIT)
        there = np.int64(scan[e + scan[here]])
        if scan[there] > 0:
            guesses[n], guesses[n + 1] = stack_set, there
            n += 2
        won = np.int64(scan[there + 1])
        if won != -1:  # those behind it are forgotten
            onto = stack_set if won == IGNORED else recall(heap.keys, heap.values, stack_set, won)
            if onto < 0:
                onto = advance(stacks, stack_set, won)
            if onto < 0:
                return onto
            guesses[n], guesses[n + 1] = onto, BEGIN
            n += 2
            break
    result = intern(heap, guesses, n) if n > 1 else np.int64(DEAD)
    return result if result == FULL else remember(heap, config, STEP + c, result)


@kernel
def may_end(machine, config):
    """1 if the text may end here, otherwise 0; LIMIT or FULL."""
    items = machine.stacks.heap.items
    last = config + items[config]
    if items[config + 1] != WHOLE or items[last] != BEGIN:
        return np.int64(0)
    kind = followers(machine.stacks, np.int64(items[last - 1]))
    if kind < 0:
        return kind
    some = 0
    for w in range(len(machine.ends)):
        some |= items[kind + 1 + w] & machine.ends[w]
    return np.int64(some != 0)


@kernel
def least(machine, config):
    """No fewer characters than this complete the text (one that is under way counts); FULL.

    Of each guess: the fewest that its stacks need, terminals being as short as can be and nothing ignored between them.
    Where a terminal is under way, what it has read already makes up for `slack` at most, and it needs its own end.
    """
    heap, scan = machine.stacks.heap, machine.scan
    items = heap.items
    known = recall(heap.keys, heap.values, config, np.int64(LEAST))
    if known != UNKNOWN:
        return known
    result = np.int64(FAR)
    for i in range(config + 2, config + 1 + items[config], 2):
        cost = fewest(machine.stacks, np.int64(items[i]))
        if cost < 0:
            return cost
        here = np.int64(items[i + 1])
        result = min(result, cost if here == BEGIN else max(cost + scan[here + 3], np.int64(scan[here + 2])))
    return remember(heap, config, np.int64(LEAST), max(result, np.int64(items[config + 1] != WHOLE)))


@kernel
def winners(machine, here):
    """The row of the terminals that may yet win after a scanner's state; FULL."""
    heap, scan = machine.stacks.heap, machine.scan
    known = recall(heap.keys, heap.values, here, np.int64(WINNERS))
    if known != UNKNOWN:
        return known
    states, found = np.empty(64, np.int32), np.empty(16, np.int32)
    states[0] = here
    n, m, i = np.int64(1), np.int64(0), np.int64(0)
    while i < n:
        s = np.int64(states[i])
        for e in range(s + 4 + scan[s], s + 4 + 2 * scan[s]):
            t = scan[e]
            j = np.int64(0)
            while j < n and states[j] != t:
                j += 1
            if j < n:
                continue
            states = grown(states, n + 1)
            states[n] = t
            n += 1
            won = scan[t + 1]
            j = np.int64(0)
            while j < m and found[j] != won:
                j += 1
            if won != -1 and j == m:
                found = grown(found, m + 1)
                found[m] = won
                m += 1
        i += 1
    row = intern(heap, found, m)
    return row if row == FULL else remember(heap, here, np.int64(WINNERS), row)


@kernel
def scanner_row(offsets, symbols, targets, winner, ignored, length, start):
    """A scanner as it stands in `scan`, from `start` on.

    near: the fewest characters to a winner, one at least. slack: the least that such a winner is away, less its whole
    length if it isn't ignored: the sentence from there on lacks so much of what it lacked before the terminal.
    """
    states = len(winner)
    near, slack = np.full(states, FAR, np.int64), np.full(states, FAR, np.int64)
    changed = True
    while changed:
        changed = False
        for s in range(states - 1, -1, -1):
            for e in range(offsets[s], offsets[s + 1]):
                t = targets[e]
                a, b = near[t] + 1, slack[t] + 1
                if winner[t] >= 0:
                    a, b = np.int64(1), min(b, 1 - np.int64(0 if ignored[winner[t]] else length[winner[t]]))
                if a < near[s] or b < slack[s]:
                    near[s], slack[s] = min(near[s], a), min(slack[s], b)
                    changed = True
    row = np.empty(4 * states + 2 * len(symbols), np.int32)
    for s in range(states):
        at = 4 * s + 2 * offsets[s]
        n = offsets[s + 1] - offsets[s]
        won = np.int64(winner[s])
        if won >= 0 and ignored[won]:
            won = np.int64(IGNORED)
        row[at], row[at + 1], row[at + 2], row[at + 3] = n, won, near[s], slack[s]
        for j in range(n):
            t = np.int64(targets[offsets[s] + j])
            row[at + 4 + j] = symbols[offsets[s] + j]
            row[at + 4 + n + j] = start + 4 * t + 2 * offsets[t]
    return row
