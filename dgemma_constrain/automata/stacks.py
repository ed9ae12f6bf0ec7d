"""Sets of stacks of an LR automaton, and what a terminal makes of them: generalized LR parsing without the trees.

A stack is a *node* (state, parent), hash-consed, so that stacks share what is below and equal ones are one number; a
set of stacks is a sorted row of nodes, and a number, too. Most sets have one member.

On a terminal every stack is reduced in all ways that its look-aheads allow (Tomita 1985), then the terminal is shifted.
A reduction takes the handle off, one state or more, and puts one state on a node that is there already. So what is met
on the way are pairs of a state and a node, and only the shift makes nodes. They are finitely many: none is deeper than
the stack it comes from. A list of those met ends cycles. A set may still grow with the text, in grammars that are
ambiguous in a way that shows in the stack; beyond MOST pairs the answer is LIMIT.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, UNKNOWN, Heap, intern, new_heap, recall, remember, roomier
from dgemma_constrain.automata.kernels import grown, kernel, position, sort
from dgemma_constrain.automata.lr_tables import LRTables
from dgemma_constrain.errors import LimitExceeded

DEAD = -1
LIMIT = -4
MOST = 1024  # pairs of a state and a node in one step
FAR = 1 << 28  # no text is so long
# What is remembered of a row, besides the set of stacks after each terminal:
KIND = 1 << 19  # of a set: the kind of what may follow
LEAST = KIND + 1  # of a node: what its cheapest completion costs
INDEX = KIND + 2  # of a node: its index while that is made


class Stacks(NamedTuple):
    """All that is known of a machine's stacks.

    heap   nodes (state, parent), -1 for no parent; sets (ascending nodes); kinds: terminals, the end of the text
           included, as words of bits. Of all that, kernels make more.
    lr     the tables, a state being a place: see `_laid`
    pairs  int32[MOST+2, 2+2W], row int32[MOST+2]: scratch
    """

    heap: Heap
    lr: np.ndarray
    pairs: np.ndarray
    row: np.ndarray


def new_stacks(tables: LRTables, cost: np.ndarray) -> tuple[Stacks, int]:
    """The stacks, and the set of the start. cost: int32[T], of each terminal."""
    words = tables.shifts.shape[1]
    lr = _laid(*tables, *_rests(*tables, np.append(cost, 0).astype(np.int32)))
    return Stacks(new_heap(), lr, np.empty((MOST + 2, 2 + 2 * words), np.int32), np.empty(MOST + 2, np.int32))


def first_set(heap: Heap) -> int:
    """The set of the start: one stack, of the first state alone."""
    node = intern(heap, np.array([0, -1], np.int32), np.int64(2))
    return intern(heap, np.array([node], np.int32), np.int64(1))


@kernel
def _rests(offsets, symbols, targets, shifts, reduce_offsets, reduce_rule, lookahead, head, length, item_offsets,
           item_rule, item_dot, body_offsets, body, cost):  # fmt: skip
    """The least that the rest of each item's rule costs, and what a text costs: rounds over the rules until nothing
    changes (they are in the order of their heads, so mostly few)."""
    terminals = len(cost)
    least = np.full(max(terminals, head[-1] + 1 if len(head) else 0), FAR, np.int64)
    for t in range(terminals):
        least[t] = cost[t]
    changed = True
    while changed:
        changed = False
        for r in range(len(head) - 1, -1, -1):
            total = np.int64(0)
            for i in range(body_offsets[r], body_offsets[r + 1]):
                total += least[body[i]]
            if total < least[head[r]]:
                least[head[r]] = total
                changed = True
    rest = np.empty(len(item_rule), np.int32)
    for k in range(len(item_rule)):
        total = np.int64(0)
        for i in range(body_offsets[item_rule[k]] + item_dot[k], body_offsets[item_rule[k] + 1]):
            total += least[body[i]]
        rest[k] = min(total, FAR)
    return rest, least[head[-1]] if len(head) else np.int64(FAR)


@kernel
def _laid(offsets, symbols, targets, shifts, reduce_offsets, reduce_rule, lookahead, head, length, item_offsets,
          item_rule, item_dot, body_offsets, body, rest, whole):  # fmt: skip
    """The tables as one array, in which a state is the place of its row: how many transitions, reductions and items;
    shifts (W words); symbols; targets; for each reduction head, length, look-aheads (W words); for each item head, dot,
    cost of the rest, and its place in `body`, -1 if there is no rest. In the place of the head of a whole text there is -1;
    state 0, which has no items, gets all such.
    """
    words = shifts.shape[1]
    states = len(offsets) - 1
    place = np.zeros(states + 1, np.int64)
    texts = np.int64(0)
    for r in range(len(head)):
        texts += head[r] == head[-1]
    for s in range(states):
        items = item_offsets[s + 1] - item_offsets[s] + (texts if s == 0 else 0)
        n, m = offsets[s + 1] - offsets[s], reduce_offsets[s + 1] - reduce_offsets[s]
        place[s + 1] = place[s] + 3 + words + 2 * n + (2 + words) * m + 4 * items
    lr = np.empty(place[states], np.int32)
    for s in range(states):
        at = place[s]
        lr[at], lr[at + 1] = offsets[s + 1] - offsets[s], reduce_offsets[s + 1] - reduce_offsets[s]
        lr[at + 2] = item_offsets[s + 1] - item_offsets[s] + (texts if s == 0 else 0)
        at += 3
        for w in range(words):
            lr[at] = shifts[s, w]
            at += 1
        for e in range(offsets[s], offsets[s + 1]):
            lr[at] = symbols[e]
            at += 1
        for e in range(offsets[s], offsets[s + 1]):
            lr[at] = place[targets[e]]
            at += 1
        for r in range(reduce_offsets[s], reduce_offsets[s + 1]):
            lr[at], lr[at + 1] = head[reduce_rule[r]], length[reduce_rule[r]]
            for w in range(words):
                lr[at + 2 + w] = lookahead[r, w]
            at += 2 + words
        for k in range(item_offsets[s], item_offsets[s + 1]):
            r, dot = item_rule[k], item_dot[k]
            onward = body_offsets[r] + dot
            lr[at], lr[at + 1], lr[at + 2] = -1 if head[r] == head[-1] else head[r], dot, rest[k]
            lr[at + 3] = onward if onward < body_offsets[r + 1] else -1
            at += 4
        for r in range(len(head) if s == 0 else 0):
            if head[r] == head[-1]:
                lr[at], lr[at + 1], lr[at + 2], lr[at + 3] = -1, 0, whole, body_offsets[r]
                at += 4
    return lr


@kernel
def after_symbol(lr, words, state, symbol):
    """Where a symbol leads from a state, or -1."""
    n = np.int64(lr[state])
    e = position(lr, state + 3 + words, state + 3 + words + n, symbol)
    return np.int64(lr[e + n]) if e >= 0 else np.int64(-1)


@kernel
def _node(heap, row, state, parent):
    row[MOST], row[MOST + 1] = state, parent
    return intern(heap, row[MOST:], np.int64(2))


@kernel
def _begin(items, pairs, stack_set):
    """The stacks of a set as pairs; how many."""
    n = np.int64(items[stack_set])
    for i in range(n):
        node = items[stack_set + 1 + i]
        pairs[i, 0], pairs[i, 1] = items[node + 1], items[node + 2]
    return n


@kernel
def ancestor(items, node, levels):
    """The node so many levels below one on its stack, or -1."""
    while levels > 0 and node >= 0:
        node = np.int64(items[node + 2])
        levels -= 1
    return node


@kernel
def _reduced(stacks, i, n, head, length):
    """Which of n pairs a reduction of pair i leads to; n if it is new (and now there); DEAD, FULL or LIMIT."""
    heap, lr, pairs, row = stacks
    if length == 0:  # none in our tables; those of others may have one for the empty text
        base = _node(heap, row, np.int64(pairs[i, 0]), np.int64(pairs[i, 1]))
    else:
        base = ancestor(heap.items, np.int64(pairs[i, 1]), length - 1)
    if base < 0:
        return base
    state = after_symbol(lr, (pairs.shape[1] - 2) >> 1, np.int64(heap.items[base + 1]), head)
    if state < 0:
        return np.int64(DEAD)
    for j in range(n):
        if pairs[j, 0] == state and pairs[j, 1] == base:
            return np.int64(j)
    if n == MOST:
        return np.int64(LIMIT)
    pairs[n, 0], pairs[n, 1] = state, base
    return np.int64(n)


@kernel
def advance(stacks, stack_set, terminal):
    """The set of all stacks after a terminal; DEAD if there are none; FULL or LIMIT."""
    heap, lr, pairs, row = stacks
    known = recall(heap.keys, heap.values, stack_set, terminal)
    if known != UNKNOWN:
        return known
    words = (pairs.shape[1] - 2) >> 1
    word, bit = terminal >> 5, terminal & 31
    n = _begin(heap.items, pairs, stack_set)
    shifted = np.int64(0)
    i = np.int64(0)
    while i < n:
        state = np.int64(pairs[i, 0])
        if lr[state + 3 + word] >> bit & 1:
            below = _node(heap, row, state, np.int64(pairs[i, 1]))
            node = _node(heap, row, after_symbol(lr, words, state, terminal), below) if below >= 0 else below
            if node < 0:
                return node
            row[shifted] = node  # not one of those before: it stands on pair i
            shifted += 1
        at = state + 3 + words + 2 * lr[state]
        for _ in range(lr[state + 1]):
            if lr[at + 2 + word] >> bit & 1:
                j = _reduced(stacks, i, n, np.int64(lr[at]), np.int64(lr[at + 1]))
                if j < DEAD:
                    return j if j == FULL else remember(heap, stack_set, terminal, np.int64(LIMIT))
                n = max(n, j + 1)
            at += 2 + words
        i += 1
    result = np.int64(DEAD)
    if shifted > 0:
        sort(row[:shifted])
        result = intern(heap, row, shifted)
    return result if result == FULL else remember(heap, stack_set, terminal, result)


@kernel
def followers(stacks, stack_set):
    """The kind of the terminals that `advance` leads on with, exactly; FULL or LIMIT.

    All are tried at once: each pair with those terminals for which it is met, as bits.
    """
    heap, lr, pairs, row = stacks
    known = recall(heap.keys, heap.values, stack_set, np.int64(KIND))
    if known != UNKNOWN:
        return known
    words = (pairs.shape[1] - 2) >> 1
    fresh = 2 + words  # a pair's columns: state, parent, terminals it was done for, terminals to do it for
    n = _begin(heap.items, pairs, stack_set)
    for i in range(n):
        for w in range(words):
            pairs[i, 2 + w], pairs[i, fresh + w] = 0, -1
    for w in range(words):
        row[w] = 0  # what can be shifted; row[words:] is what is done now
    i = np.int64(0)
    while i < n:
        some = 0
        for w in range(words):
            some |= pairs[i, fresh + w]
        if some == 0:
            i += 1
            continue
        state = np.int64(pairs[i, 0])
        for w in range(words):
            now = pairs[i, fresh + w]
            row[words + w] = now
            row[w] |= now & lr[state + 3 + w]
            pairs[i, 2 + w] |= now
            pairs[i, fresh + w] = 0
        onward = i + 1
        at = state + 3 + words + 2 * lr[state]
        for _ in range(lr[state + 1]):
            some = 0
            for w in range(words):
                some |= row[words + w] & lr[at + 2 + w]
            if some != 0:
                j = _reduced(stacks, i, n, np.int64(lr[at]), np.int64(lr[at + 1]))
                if j < DEAD:
                    return j if j == FULL else remember(heap, stack_set, np.int64(KIND), np.int64(LIMIT))
                if j == n:
                    n += 1
                    for w in range(2 * words):
                        pairs[j, 2 + w] = 0
                if j >= 0:
                    for w in range(words):
                        pairs[j, fresh + w] |= row[words + w] & lr[at + 2 + w] & ~pairs[j, 2 + w]
                    onward = min(onward, j)
            at += 2 + words
        i = onward
    kind = intern(heap, row, np.int64(words))
    return kind if kind == FULL else remember(heap, stack_set, np.int64(KIND), kind)


@kernel
def fewest(stacks, stack_set):
    """The least that any completion of a set of stacks costs, in sums over its terminals; or FULL."""
    best = np.int64(FAR)
    for i in range(stacks.heap.items[stack_set]):
        cost = _fewest(stacks, np.int64(stacks.heap.items[stack_set + 1 + i]))
        if cost < 0:
            return cost
        best = min(best, cost)
    return best


@kernel
def _fewest(stacks, node):
    """The least that any completion of a stack costs; or FULL.

    An item [A → α·β] on the top ends with β and then A in the place of α: shortest paths over nodes. Look-aheads rule
    out no completion, since what comes after A is what comes after it there. Most nodes below are known from before.
    """
    heap, lr, pairs, row = stacks
    items = heap.items
    known = recall(heap.keys, heap.values, node, np.int64(LEAST))
    if known != UNKNOWN:
        return known
    words = (pairs.shape[1] - 2) >> 1
    found, least = np.empty(32, np.int32), np.empty(32, np.int32)  # nodes, and what is known to be enough
    source, target, cost = np.empty(64, np.int32), np.empty(64, np.int32), np.empty(64, np.int32)
    found[0] = node
    n, m, i = np.int64(1), np.int64(0), np.int64(0)
    if remember(heap, node, np.int64(INDEX), np.int64(0)) == FULL:
        return np.int64(FULL)
    while i < n:
        this = np.int64(found[i])
        state = np.int64(items[this + 1])
        least = grown(least, i + 1)
        least[i] = FAR
        at = state + 3 + words + 2 * lr[state] + (2 + words) * lr[state + 1]
        for k in range(lr[state + 2]):
            head, dot, rest = np.int64(lr[at + 4 * k]), np.int64(lr[at + 4 * k + 1]), lr[at + 4 * k + 2]
            if head < 0:  # the rule of a whole text
                least[i] = min(least[i], rest)
                continue
            base = ancestor(items, this, dot)
            onward = _node(heap, row, after_symbol(lr, words, np.int64(items[base + 1]), head), base)
            if onward == FULL:
                return onward
            known = recall(heap.keys, heap.values, onward, np.int64(LEAST))
            if known != UNKNOWN:
                least[i] = min(least[i], np.int32(min(rest + known, FAR)))
                continue
            j = recall(heap.keys, heap.values, onward, np.int64(INDEX))
            if j < 0 or j >= n or found[j] != onward:  # none, or one from another time
                if remember(heap, onward, np.int64(INDEX), n) == FULL:
                    return np.int64(FULL)
                j = n
                found = grown(found, n + 1)
                found[n] = onward
                n += 1
            source, target, cost = grown(source, m + 1), grown(target, m + 1), grown(cost, m + 1)
            source[m], target[m], cost[m] = i, j, rest
            m += 1
        i += 1
    changed = True
    while changed:
        changed = False
        for e in range(m - 1, -1, -1):
            total = least[target[e]] + cost[e]
            if total < least[source[e]]:
                least[source[e]] = total
                changed = True
    for i in range(n):
        if remember(heap, np.int64(found[i]), np.int64(LEAST), np.int64(least[i])) == FULL:
            return np.int64(FULL)
    return np.int64(least[0])


def terminals_of(heap: Heap, kind: int) -> frozenset[int]:
    """The terminals of a kind, the end of the text included."""
    words = heap.items[kind + 1 : kind + 1 + heap.items[kind]]
    return frozenset(np.nonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))[0].tolist())


class StackMachine:
    """The sets of stacks of some tables, from Python. cost: int32[T], of each terminal."""

    def __init__(self, tables: LRTables, cost: np.ndarray):
        self.stacks = new_stacks(tables, cost)
        self.start = first_set(self.stacks.heap)

    def advance(self, stack_set: int, terminal: int) -> int:
        """The set after a terminal, or DEAD. Raises LimitExceeded."""
        return self._ask(advance, stack_set, terminal)

    def followers(self, stack_set: int) -> frozenset[int]:
        """The terminals that may follow. Raises LimitExceeded."""
        return terminals_of(self.stacks.heap, self._ask(followers, stack_set))

    def fewest(self, stack_set: int) -> int:
        """The least that a completion costs, FAR if there is none."""
        return self._ask(fewest, stack_set)

    def _ask(self, what, *numbers: int) -> int:
        while (answer := what(self.stacks, *map(np.int64, numbers))) == FULL:
            self.stacks = self.stacks._replace(heap=roomier(self.stacks.heap))
        if answer == LIMIT:
            raise LimitExceeded(f"this grammar is so ambiguous that a text has more than {MOST} readings at one place")
        return answer
