"""Configurations of grammars and of composites, and the kernels that read characters and bytes on from one.

A *composite* is an automaton in which a step may be a whole text of a grammar: see `guesses.Composite`. Its configuration is
the set of all places where a text may be, each an item: a state of the composite and, while a grammar is under way, the
configuration of that, whose state is then the one to go on from. Where a grammar's text may end, both are kept: that it
goes on, and that it ended there. So the text of a part alone is what its grammar and its lexer see, wherever it is cut.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.interning import FULL, UNKNOWN, intern, recall, remember
from dgemma_constrain.automata.kernels import kernel, position
from dgemma_constrain.automata.stacks import DEAD, FAR, LIMIT
from dgemma_constrain.constraints.grammar.guesses import (
    CALL,
    COMPOSITE,
    ITEMS,
    MISSING,
    NONE,
    STEP,
    WHOLE,
    after,
    least,
    may_end,
)


@kernel
def _after_of_composite(machine, config, c):
    """As `after`, of a composite, and not remembered."""
    items, composite = machine.stacks.heap.items, machine.composite
    found = composite.items
    width, n = found.shape[1], np.int64(0)
    for i in range(config + 3, config + 1 + items[config], width):
        alive = True
        for k in range(2, width):
            if items[i + k] != NONE:
                alive &= _moved(composite, found, n, k, np.int64(items[i + k]), c)
            else:
                found[n, k] = NONE
        if not alive:
            continue
        if items[i + 1] == NONE:
            found[n, 1] = NONE
            alive = _moved(composite, found, n, 0, np.int64(items[i]), c)
        else:
            onto = after(machine, np.int64(items[i + 1]), c)
            if onto < DEAD:
                return onto
            found[n, 0], found[n, 1] = items[i], onto
            alive = onto != DEAD
        if alive and not _is_among(found, n):
            n += 1
    return all_items(machine, n)


@kernel
def _moved(composite, found, n, k, state, c):
    """Write the state after class c to found[n, k]; whether there is one."""
    e = position(composite.symbols, composite.offsets[state], composite.offsets[state + 1], c)
    if e >= 0:
        found[n, k] = composite.targets[e]
    return e >= 0


@kernel
def _is_among(found, n):
    """Whether item n is one of those before it."""
    for i in range(n):
        k = 0
        while k < found.shape[1] and found[i, k] == found[n, k]:
            k += 1
        if k == found.shape[1]:
            return True
    return False


@kernel
def all_items(machine, n):
    """The configuration of the first n items of `composite.items` and all that their marks lead to; DEAD if n is 0."""
    composite, guesses = machine.composite, machine.guesses
    found = composite.items
    width, i = found.shape[1], np.int64(0)
    while i < n:
        if n == ITEMS:
            return np.int64(LIMIT)
        if found[i, 1] != NONE:
            ends = may_end(machine, np.int64(found[i, 1]))
            if ends < 0:
                return ends
            if ends:
                for k in range(width):
                    found[n, k] = found[i, k]
                found[n, 1] = NONE
                n += not _is_among(found, n)
        else:
            state = np.int64(found[i, 0])
            for e in range(composite.offsets[state + 1] - 1, composite.offsets[state] - 1, -1):
                mark = np.int64(composite.symbols[e]) - machine.classes
                if mark < 0:
                    break
                if n == ITEMS:
                    return np.int64(LIMIT)
                slot, what = np.int64(composite.marks[mark, 0]), composite.marks[mark, 1]
                for k in range(width):
                    found[n, k] = found[i, k]
                found[n, 0] = composite.targets[e]
                if slot == CALL:
                    found[n, 1] = composite.starts[what]
                elif what == NONE and not composite.accept[found[i, 2 + slot]]:
                    continue
                else:
                    found[n, 2 + slot] = what
                n += not _is_among(found, n)
        i += 1
    guesses[0], guesses[1] = WHOLE, COMPOSITE
    size = np.int64(2)
    for i in range(n):  # in order, so that equal sets are one row
        place = size
        while place > 2 and _is_before(found, i, guesses, place - width):
            for k in range(place - width, place):
                guesses[k + width] = guesses[k]
            place -= width
        for k in range(width):
            guesses[place + k] = found[i, k]
        size += width
    return intern(machine.stacks.heap, guesses, size) if n else np.int64(DEAD)


@kernel
def _is_before(found, i, row, at):
    for k in range(found.shape[1]):
        if found[i, k] != row[at + k]:
            return found[i, k] < row[at + k]
    return False


@kernel
def step(machine, config, symbol):
    """The configuration after a class of characters, or after bytes that lead to inner node symbol - classes of the
    decoding tree; DEAD, LIMIT, FULL or MISSING."""
    heap, below = machine.stacks.heap, machine.below
    known = recall(heap.keys, heap.values, config, STEP + symbol)
    if known != UNKNOWN:
        return known
    node = symbol - machine.classes
    first, past = (below[node], below[node + 1]) if node >= 0 else (0, 1)
    result, i = np.int64(DEAD), first
    while i < past and result == DEAD:
        c = np.int64(below[i]) if node >= 0 else symbol
        if heap.items[config + 2] == COMPOSITE:
            result = _after_of_composite(machine, config, c)
        else:
            result = after(machine, config, c)
        i += 1
    if node >= 0 and result >= 0:  # some character that the bytes may become leads on
        size = np.int64(heap.items[config])
        machine.guesses[0] = node
        for k in range(1, size):
            machine.guesses[k] = heap.items[config + 1 + k]
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
    items, composite = machine.stacks.heap.items, machine.composite
    if items[config + 2] != COMPOSITE:
        return may_end(machine, config)
    for i in range(config + 3, config + 1 + items[config], composite.items.shape[1]):
        if items[config + 1] == WHOLE and items[i + 1] == NONE and composite.accept[items[i]]:
            return np.int64(1)
    return np.int64(0)


@kernel
def shortest(machine, config):
    """No fewer characters than this complete the text (one that is under way counts), whatever is pinned; FULL."""
    items, composite = machine.stacks.heap.items, machine.composite
    if items[config + 2] != COMPOSITE:
        return least(machine, config)
    width = composite.items.shape[1]
    result = np.int64(FAR)
    for i in range(config + 3, config + 1 + items[config], width):
        cost = np.int64(composite.need[items[i]])
        if items[i + 1] != NONE:
            own = least(machine, np.int64(items[i + 1]))
            if own < 0:
                return own
            cost += own
        for k in range(2, width):
            if items[i + k] != NONE:
                cost = max(cost, np.int64(composite.need[items[i + k]]))
        result = min(result, cost)
    return max(result, np.int64(items[config + 1] != WHOLE))


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
def needs(offsets, symbols, targets, accept, classes, cost):
    """`Composite.need`. cost int32[M]: the fewest characters of each mark. Rounds over the states until nothing changes."""
    need = np.where(accept, 0, FAR).astype(np.int32)
    changed = True
    while changed:
        changed = False
        for s in range(len(need) - 1, -1, -1):
            for e in range(offsets[s], offsets[s + 1]):
                least = need[targets[e]] + (1 if symbols[e] < classes else cost[symbols[e] - classes])
                if least < need[s]:
                    need[s] = least
                    changed = True
    return need
