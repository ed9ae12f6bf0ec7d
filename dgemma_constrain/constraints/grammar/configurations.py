"""Configurations: what a text may be the beginning of, and the kernels that read on from one.

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
from dgemma_constrain.automata.kernels import kernel, position
from dgemma_constrain.automata.stacks import DEAD, FAR, KIND, LIMIT, Stacks, advance, fewest, followers, has

MISSING = -3
GUESSES = 32  # at most in one list
IGNORED = -2  # the winner where an ignored terminal wins
BEGIN = -1  # in the place of a scanner's state: a terminal is about to begin
WHOLE = -1  # in the place of a node of the decoding tree: no character is under way
# What is remembered of a row, besides what stacks.py does:
STEP = 1 << 18  # + c, of a configuration: the one after a class, or after bytes that lead to inner node c - classes
SCANNER = (1 << 19) + 16  # of a kind: where its scanner begins


class Machine(NamedTuple):
    """All that is known of a grammar's configurations: rows (node, set, state, set, state, …) of the heap.

    scan   the scanners, a state being a place: how many transitions; the winner, or IGNORED, or -1; how near the next
           winner is; `slack`, see `scanner_row`; classes, ascending; the states they lead to
    tree   int32[nodes, 256], the decoding tree of UTF-8 (see encodings.py), its root last
    below  the classes below inner node x are below[below[x]:below[x+1]]
    classes, end  how many classes there are, and the terminal that is the end of the text
    guesses int32[2·GUESSES+1], told int64[1]: scratch; the kind that has no scanner
    """

    stacks: Stacks
    scan: np.ndarray
    tree: np.ndarray
    below: np.ndarray
    classes: int
    end: int
    guesses: np.ndarray
    told: np.ndarray


@kernel
def _on_class(machine, config, c):
    """The configuration after a character of class c; DEAD, LIMIT, FULL or MISSING. Not remembered."""
    stacks, scan, guesses = machine.stacks, machine.scan, machine.guesses
    heap = stacks.heap
    items = heap.items
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
            after = stack_set if won == IGNORED else recall(heap.keys, heap.values, stack_set, won)
            if after < 0:
                after = advance(stacks, stack_set, won)
            if after < 0:
                return after
            guesses[n], guesses[n + 1] = after, BEGIN
            n += 2
            break
    return intern(heap, guesses, n) if n > 1 else np.int64(DEAD)


@kernel
def step(machine, config, symbol):
    """The configuration after a class of characters, or after bytes that lead to inner node symbol - classes of the
    decoding tree; DEAD, LIMIT, FULL or MISSING."""
    heap, below = machine.stacks.heap, machine.below
    known = recall(heap.keys, heap.values, config, STEP + symbol)
    if known != UNKNOWN:
        return known
    result = np.int64(DEAD)
    if symbol < machine.classes:
        result = _on_class(machine, config, symbol)
    else:
        node = symbol - machine.classes
        for i in range(below[node], below[node + 1]):
            result = _on_class(machine, config, np.int64(below[i]))
            if result != DEAD:
                break
        if result >= 0:
            size = np.int64(heap.items[config])
            machine.guesses[0] = node
            for i in range(1, size):
                machine.guesses[i] = heap.items[config + 1 + i]
            result = intern(heap, machine.guesses, size)
    if result == FULL or result == MISSING:
        return result
    return remember(heap, config, STEP + symbol, result)


@kernel
def read_bytes(machine, config, text):
    """The configuration after bytes, or DEAD, LIMIT, FULL or MISSING; the last there was; how many bytes it read."""
    heap, tree = machine.stacks.heap, machine.tree
    items, keys, values = heap.items, heap.keys, heap.values
    for i in range(len(text)):
        symbol = _symbol(items, tree, machine.classes, config, text[i])
        after = recall(keys, values, config, STEP + symbol) if symbol >= 0 else symbol
        if after == UNKNOWN:
            after = step(machine, config, symbol)
        if after < 0:
            return after, config, i
        config = after
    return config, config, len(text)


@kernel
def _symbol(items, tree, classes, config, byte):
    """What a byte is to a configuration: a class, or classes + an inner node of the decoding tree, or DEAD."""
    node = np.int64(items[config + 1])
    entry = np.int64(tree[len(tree) - 1 if node == WHOLE else node, byte])
    return entry if entry >= DEAD else classes - 2 - entry


@kernel
def accepts(machine, config):
    """1 if the text may end here, otherwise 0; LIMIT or FULL."""
    items = machine.stacks.heap.items
    last = config + items[config]
    if items[config + 1] != WHOLE or items[last] != BEGIN:
        return np.int64(0)
    kind = followers(machine.stacks, np.int64(items[last - 1]))
    if kind < 0:
        return kind
    return np.int64(has(items, kind, np.int64(machine.end)))


@kernel
def shortest(machine, config):
    """No fewer characters than this complete the text (one that is under way counts); FULL.

    Of each guess: the fewest that its stacks need, terminals being as short as can be and nothing ignored between them.
    Where a terminal is under way, what it has read already makes up for `slack` at most, and it needs its own end.
    """
    items, scan = machine.stacks.heap.items, machine.scan
    least = np.int64(FAR)
    for i in range(config + 2, config + 1 + items[config], 2):
        cost = fewest(machine.stacks, np.int64(items[i]))
        if cost < 0:
            return cost
        here = np.int64(items[i + 1])
        least = min(least, cost if here == BEGIN else max(cost + scan[here + 3], np.int64(scan[here + 2])))
    return max(least, np.int64(items[config + 1] != WHOLE))


@kernel
def onward(machine, config, after, bound):
    """The configuration after each class, and its `shortest`; returns 0, FULL or MISSING."""
    for c in range(machine.classes):
        after[c] = step(machine, config, np.int64(c))
        if after[c] == FULL or after[c] == MISSING:
            return np.int64(after[c])
        if after[c] >= 0:
            bound[c] = shortest(machine, np.int64(after[c]))
            if bound[c] == FULL:
                return np.int64(FULL)
    return np.int64(0)


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
