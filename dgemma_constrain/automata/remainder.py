"""Which stacks of an LR automaton can read what is left of a text of which only pieces are known, and at what cost.

The text is a graph of places with terminals on its arcs, all of which lead forward, or back to where they come from;
each has a cost. A stack can read on from a place if one of its items [A → α·β] can: if β derives what lies between the
place and another one, and the stack with A in the place of α can read on from there. So two things are computed, both
as least fixed points:

- for each rest of a rule, what it costs to derive something with it from one place to another: the product of a
  context-free grammar with a finite automaton (Bar-Hillel, Perles and Shamir 1961), row by row, the last place first,
  in the order of costs (Knuth's generalisation of Dijkstra's algorithm, 1977);
- for each stack, what it costs to read on from each place: as `stacks.fewest`, for all places at once. That is backward
  reachability in a weighted pushdown system (Bouajjani, Esparza and Maler 1997; Reps et al. 2005), as far as stacks ask
  for it.

Look-aheads are left out: where the grammar is LALR(1), they forbid nothing that could go on. All else is exact for the
graph.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, intern
from dgemma_constrain.automata.kernels import grown, grown_rows, kernel, slot_of
from dgemma_constrain.automata.lr_tables import LRTables
from dgemma_constrain.automata.stacks import after_symbol, ancestor

NO = 192  # the cost of what cannot be
MOST = 63  # or more. Two of these are less than NO, and one and NO are a byte
GROW = -5  # there is no room for more stacks
WHOLE = 1  # the state of a stack of which all is known
STACK = -2  # in the place of a scanner's state


class Rules(NamedTuple):
    """The rules of LR tables, as places in their bodies.

    first, last bool[B]: whether a place is the first, or the last, of its rule; head int32[B], of its rule
    offsets int64[X+1], at int32[B]: the places of each symbol
    body   int32[B]
    """

    first: np.ndarray
    last: np.ndarray
    head: np.ndarray
    offsets: np.ndarray
    at: np.ndarray
    body: np.ndarray


class Remainder(NamedTuple):
    """What is left of a text.

    rest  uint8[B, N, N]: what it costs to derive something to one place from another with what follows a place in
          a body
    read  uint8[T+1, N, N]: … by a terminal, and what is ignored before it
    any_more bool: whether any text may follow at the last place
    whole int64: the head of a rule after which a row goes on that is given, its *context*; or -1
    keys, rows, state, size  a hash table of stacks, and of others that read on: their rows, int32; of each row its
          state, int32, WHOLE once its costs are known; how many rows there are, int64[1]
    cost  uint8[R, N]: what it costs them to read on from each place; the contexts first
    """

    rest: np.ndarray
    read: np.ndarray
    any_more: bool
    whole: int
    keys: np.ndarray
    rows: np.ndarray
    state: np.ndarray
    size: np.ndarray
    cost: np.ndarray


def rules_of(tables: LRTables) -> Rules:
    sizes = np.diff(tables.body_offsets)
    places = len(tables.body)
    first, last = np.zeros(places, bool), np.zeros(places, bool)
    first[tables.body_offsets[:-1]] = last[tables.body_offsets[1:] - 1] = True  # no rule is empty
    symbols = int(max(tables.body.max(initial=0), tables.head.max(initial=0))) + 1
    counts = np.bincount(tables.body, minlength=symbols)
    return Rules(
        first, last, np.repeat(tables.head, sizes).astype(np.int32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.argsort(tables.body, kind="stable").astype(np.int32), tables.body,
    )  # fmt: skip


@kernel
def _push(queue, size, heads, level, what):
    """Something to settle at a level."""
    queue = grown(queue, size + 2)
    level = min(level, np.int64(MOST))
    queue[size], queue[size + 1] = what, heads[level]
    heads[level] = size
    return queue, size + 2


def derive(rules, arcs, ignored, terminals, places, any_more) -> tuple[np.ndarray, np.ndarray]:
    """`Remainder.rest` and `Remainder.read`.

    arcs int32[n, 4]: source, ascending, terminal, target, cost. The last place is behind the end of the text, which is
    a terminal, too: number `terminals`. ignored bool[T].
    """
    rest, read = _derive(rules, arcs, ignored, terminals, places, any_more)
    return rest.swapaxes(1, 2).copy(), read.swapaxes(1, 2).copy()


@kernel
def _derive(rules, arcs, ignored, terminals, places, any_more):
    """As `derive`, but from one place (the first axis) to another."""
    first, last, head, offsets, at, body = rules
    symbols, bodies = len(offsets) - 1, len(body)
    rest = np.full((bodies, places, places), np.uint8(NO))
    read = np.full((terminals + 1, places, places), np.uint8(NO))
    derived, around = np.empty((symbols, places), np.uint8), np.empty(symbols, np.int64)
    heads, queue = np.full(MOST + 1, -1, np.int64), np.empty(1024, np.int64)
    rests = symbols * places  # in the queue, from here on: rests of rules
    end = places - 1
    if any_more:
        for k in range(bodies):
            rest[k, end, end] = 0
        for t in range(terminals + 1):
            read[t, end, end] = 0
    e = np.int64(len(arcs))
    for a in range(places - 2, -1, -1):
        for x in range(symbols):
            around[x] = -1  # what it costs to derive something from a to a
            for b in range(a, places):
                derived[x, b] = NO
        size = np.int64(0)
        while e > 0 and arcs[e - 1, 0] == a:
            e -= 1
            t, b, level = np.int64(arcs[e, 1]), np.int64(arcs[e, 2]), np.int64(arcs[e, 3])
            if t == terminals or not ignored[t]:
                queue, size = _push(queue, size, heads, level, t * places + b)
            elif b != a:
                for x in range(terminals + 1):
                    for c in range(b, places):
                        if read[x, b, c] != NO:
                            queue, size = _push(queue, size, heads, level + read[x, b, c], np.int64(x * places + c))
        for level in range(MOST + 1):
            while heads[level] >= 0:
                what = queue[heads[level]]
                heads[level] = queue[heads[level] + 1]
                if what < rests:
                    x, b = what // places, what % places
                    if derived[x, b] != NO:
                        continue
                    derived[x, b] = level
                    if b == a:
                        around[x] = level
                    for i in range(offsets[x], offsets[x + 1]):
                        k = np.int64(at[i])
                        if last[k]:
                            if rest[k, a, b] == NO:
                                queue, size = _push(queue, size, heads, np.int64(level), rests + k * places + b)
                            continue
                        for c in range(b, places):
                            if rest[k + 1, b, c] != NO and rest[k, a, c] == NO:
                                cost = level + np.int64(rest[k + 1, b, c])
                                queue, size = _push(queue, size, heads, cost, rests + k * places + c)
                else:
                    k, c = (what - rests) // places, (what - rests) % places
                    if rest[k, a, c] != NO:
                        continue
                    rest[k, a, c] = level
                    if first[k]:
                        if derived[head[k], c] == NO:
                            queue, size = _push(queue, size, heads, np.int64(level), np.int64(head[k]) * places + c)
                    elif around[body[k - 1]] >= 0 and rest[k - 1, a, c] == NO:
                        cost = level + around[body[k - 1]]
                        queue, size = _push(queue, size, heads, cost, rests + (k - 1) * places + c)
        for t in range(terminals + 1):
            for b in range(a, places):
                read[t, a, b] = derived[t, b]
    return rest, read


@kernel
def fill(keys, rows, nodes, values):
    """Put what is known of nodes into a larger hash table."""
    for i in range(len(nodes)):
        slot = slot_of(keys, np.int64(nodes[i]))
        keys[slot], rows[slot] = nodes[i], values[i]


@kernel
def row_of(remainder, stacks, what, here, context):
    """The row of a stack (`here` is STACK) or a set of stacks amid a terminal, new perhaps; FULL or GROW."""
    heap, scratch = stacks.heap, stacks.row
    key = what
    if here != STACK or remainder.whole >= 0:
        scratch[0], scratch[1], scratch[2] = what, here, context
        key = intern(heap, scratch, np.int64(3))
        if key == FULL:
            return key
    slot = slot_of(remainder.keys, key)
    if remainder.keys[slot] < 0:
        row = remainder.size[0]
        if row == len(remainder.state):
            return np.int64(GROW)
        remainder.keys[slot], remainder.rows[slot] = key, row
        remainder.state[row] = 0
        remainder.size[0] += 1
    return np.int64(remainder.rows[slot])


@kernel
def improve(cost, i, j, between):
    """Lower the costs of row i to what they are if it reads on like row j after a piece that costs between[to, from];
    whether there was one to lower.

    The last place first, so that once is enough where i is j. Bytes, so that the compiler does many at once.
    """
    changed = False
    for b in range(cost.shape[1] - 1, -1, -1):
        more = cost[j, b]
        if more == NO:
            continue
        for a in range(b + 1):
            least = np.uint8(between[b, a] + more)
            least = np.uint8(MOST) if MOST < least and least < NO else least
            changed |= least < cost[i, a]
            cost[i, a] = min(least, cost[i, a])
    return changed


@kernel
def lower(cost, i, costs):
    """Lower the costs of row i to given ones; whether there was one to lower."""
    changed = False
    for a in range(cost.shape[1]):
        changed |= costs[a] < cost[i, a]
        cost[i, a] = min(costs[a], cost[i, a])
    return changed


@kernel
def lead_on(cost, links, between):
    """Lower the costs of rows until nothing changes: row links[e, 0] may read on like links[e, 1] after a piece that costs
    between[links[e, 2], to, from]."""
    changed = True
    while changed:
        changed = False
        for e in range(len(links) - 1, -1, -1):
            changed |= improve(cost, np.int64(links[e, 0]), np.int64(links[e, 1]), between[links[e, 2]])


@kernel
def readable(remainder, stacks, node, context):
    """The row of a stack in a context, whose costs are known then; FULL or GROW.

    A stack may be met while it is in question itself. So those in question are numbered, and it goes on until nothing
    changes; a link is looked at again only once the stack that it leads to has changed.
    """
    heap, lr, pairs, scratch = stacks
    row = row_of(remainder, stacks, node, np.int64(STACK), context)
    if row < 0 or remainder.state[row] == WHOLE:
        return row
    rest, cost = remainder.rest, remainder.cost
    words = (pairs.shape[1] - 2) >> 1
    last = rest.shape[1] - 1
    nodes, rows = np.empty(32, np.int32), np.empty(32, np.int32)
    links = np.empty((64, 4), np.int32)  # row, number, -1 for none, and row it leads to, place in a body
    nodes[0], rows[0] = node, row
    n, m, i = np.int64(1), np.int64(0), np.int64(0)
    while i < n:
        this, row = np.int64(nodes[i]), np.int64(rows[i])
        for a in range(last + 1):
            cost[row, a] = NO
        if remainder.any_more:
            cost[row, last] = 0
        state = np.int64(heap.items[this + 1])
        at = state + 3 + words + 2 * lr[state] + (2 + words) * lr[state + 1]
        for _ in range(lr[state + 2]):
            head, dot, k = np.int64(lr[at]), np.int64(lr[at + 1]), np.int64(lr[at + 3])
            at += 4
            if head < 0:  # the rule of a whole text
                lower(cost, row, rest[k, last])
                continue
            if head == remainder.whole:
                improve(cost, row, context, rest[k])
                continue
            base = ancestor(heap.items, this, dot)
            scratch[0], scratch[1] = after_symbol(lr, words, np.int64(heap.items[base + 1]), head), base
            onward = intern(heap, scratch, np.int64(2))
            other = onward
            if onward != FULL:
                other = row_of(remainder, stacks, onward, np.int64(STACK), context)
            if other < 0:
                return other
            j = np.int64(-1)
            if remainder.state[other] != WHOLE:
                j = np.int64(remainder.state[other]) - WHOLE - 1
                if j < 0 or j >= n or nodes[j] != onward:  # no number, or one from another time
                    j = n
                    remainder.state[other] = WHOLE + 1 + j
                    nodes, rows = grown(nodes, n + 1), grown(rows, n + 1)
                    nodes[n], rows[n] = onward, other
                    n += 1
            links = grown_rows(links, m + 1)
            links[m, 0], links[m, 1], links[m, 2], links[m, 3] = i, j, other, k
            m += 1
        i += 1
    changed, looked, time = np.zeros(n, np.int64), np.full(m, -1, np.int64), np.int64(0)
    again = True
    while again:
        again = False
        for e in range(m - 1, -1, -1):
            i, j, other, k = np.int64(links[e, 0]), np.int64(links[e, 1]), np.int64(links[e, 2]), np.int64(links[e, 3])
            if (changed[j] if j >= 0 else 0) <= looked[e]:
                continue
            time += 1
            looked[e] = time
            row = np.int64(rows[i])
            if lower(cost, row, cost[other]) if k < 0 else improve(cost, row, other, rest[k]):
                changed[i] = time
                again = True
    for i in range(n):
        remainder.state[rows[i]] = WHOLE
    return np.int64(rows[0])
