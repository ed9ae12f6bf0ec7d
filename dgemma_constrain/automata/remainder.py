"""Which stacks of an LR automaton can read what is left of a text of which only pieces are known.

The text is a directed graph of places with terminals on its arcs, in which all arcs lead forward but those within a gap. A
stack can read on from a place if one of its items [A → α·β] can: if β derives what lies between the place and another one,
and the stack with A in the place of α can read on from there. So two things are computed, both as least fixed points:

- for each rest of a rule, from which place to which it derives something: the product of a context-free grammar with a
  finite automaton (Bar-Hillel, Perles and Shamir 1961), row by row, the last place first;
- for each stack, the places from which it can read on: what `stacks.fewest` does with numbers, done with sets of places.
  That is backward reachability in a pushdown system (Bouajjani, Esparza and Maler 1997) as far as stacks ask for it.

Look-aheads are left out: where the grammar is LALR(1), they forbid nothing that could go on. All this is exact for the graph.
Where a place is in a gap there is also the least number of characters that must be written in that gap (weighted pushdown
systems, Reps et al. 2005); settled in the order of these numbers, as in Knuth's generalisation of Dijkstra's algorithm (1977).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, intern
from dgemma_constrain.automata.kernels import grown, kernel, slot_of
from dgemma_constrain.automata.lr_tables import LRTables
from dgemma_constrain.automata.stacks import after_symbol, ancestor

NO = 255  # characters to write: there is no way
MOST = 254  # or more
GROW = -5  # there is no room for more stacks
WHOLE = 1  # stacks of which all is known


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
    """What is left of a text, by place.

    rest  uint64[B, N, W]: from which place to which what follows a place in a body derives something, as bits
    typed uint8[G, B, N]: characters written in a gap if that is where it begins, NO if it leads nowhere
    gaps  int32[G]: the places that are gaps; the place after is where the gap ends
    any_more bool: whether any text may follow at the last place
    keys, rows  which stack has which row, a hash table; state int32, of each row; size int64[2]: how many there are
    bits  uint64[R, W], cost uint8[R, G]: the places from which a stack can read on; what it needs in a gap
    """

    rest: np.ndarray
    typed: np.ndarray
    gaps: np.ndarray
    any_more: bool
    keys: np.ndarray
    rows: np.ndarray
    state: np.ndarray
    size: np.ndarray
    bits: np.ndarray
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
def _has(words, i):
    return (words[i >> 6] >> np.uint64(i & 63)) & np.uint64(1) != 0


@kernel
def _put(words, i):
    words[i >> 6] |= np.uint64(1) << np.uint64(i & 63)


@kernel
def _push(queue, size, heads, level, what):
    """Something to settle at a level."""
    queue = grown(queue, size + 2)
    level = min(level, np.int64(MOST))
    queue[size], queue[size + 1] = what, heads[level]
    heads[level] = size
    return queue, size + 2


@kernel
def derive(rules, spans, ignored, terminals, gap_of, any_more):
    """`Remainder.rest` and `Remainder.typed`.

    spans int32[n, 4] by source, see `find_spans`, places being numbered; the last place, N - 1, is behind the end of the text,
    which is a terminal: number `terminals`. ignored bool[T]. gap_of int32[N]: which gap a place is, or -1.
    """
    first, last, head, offsets, at, body = rules
    places, words, symbols = len(gap_of), (len(gap_of) + 63) >> 6, len(offsets) - 1
    gaps = np.int64(0)
    for a in range(places):
        gaps += gap_of[a] >= 0
    rest = np.zeros((len(body), places, words), np.uint64)
    typed = np.full((gaps, len(body), places), np.uint8(NO))
    read = np.zeros((terminals + 1, places, words), np.uint64)  # rows of terminals, with what is ignored before them
    derived, inside = np.empty((symbols, words), np.uint64), np.empty(symbols, np.int64)
    heads = np.full(MOST + 1, -1, np.int64)
    queue = np.empty(1024, np.int64)
    rests = symbols * places  # in the queue, from here on: places in bodies
    if any_more:
        for k in range(len(body)):
            _put(rest[k, places - 1], np.int64(places - 1))
        for t in range(terminals + 1):
            _put(read[t, places - 1], np.int64(places - 1))
    e = np.int64(len(spans))
    for a in range(places - 2, -1, -1):
        gap = np.int64(gap_of[a])
        for x in range(symbols):
            inside[x] = -1
            for w in range(words):
                derived[x, w] = 0
        size = np.int64(0)
        while e > 0 and spans[e - 1, 0] == a:
            e -= 1
            t, b, level = np.int64(spans[e, 1]), np.int64(spans[e, 2]), np.int64(spans[e, 3] if gap >= 0 else 0)
            if t < terminals and ignored[t]:
                for x in range((terminals + 1) if b != a else 0):
                    for c in range(b, places):
                        if _has(read[x, b], c):
                            queue, size = _push(queue, size, heads, level, np.int64(x * places + c))
            else:
                queue, size = _push(queue, size, heads, level, t * places + b)
        for level in range(MOST + 1):
            while heads[level] >= 0:
                what = queue[heads[level]]
                heads[level] = queue[heads[level] + 1]
                if what < rests:  # a symbol derives something from a to b
                    x, b = what // places, what % places
                    if _has(derived[x], b):
                        continue
                    _put(derived[x], b)
                    if b == a:
                        inside[x] = level
                    for i in range(offsets[x], offsets[x + 1]):
                        k = np.int64(at[i])
                        if last[k]:
                            if not _has(rest[k, a], b):
                                queue, size = _push(queue, size, heads, np.int64(level), rests + k * places + b)
                            continue
                        for c in range(b, places):
                            if _has(rest[k + 1, b], np.int64(c)) and not _has(rest[k, a], np.int64(c)):
                                more = np.int64(typed[gap, k + 1, c]) if b == a else np.int64(0)
                                queue, size = _push(queue, size, heads, level + more, rests + k * places + c)
                else:
                    k, c = (what - rests) // places, (what - rests) % places
                    if _has(rest[k, a], c):
                        continue
                    _put(rest[k, a], c)
                    if gap >= 0:
                        typed[gap, k, c] = level
                    if first[k]:
                        if not _has(derived[head[k]], c):
                            queue, size = _push(queue, size, heads, np.int64(level), np.int64(head[k]) * places + c)
                    elif inside[body[k - 1]] >= 0 and not _has(rest[k - 1, a], c):
                        more = inside[body[k - 1]]
                        queue, size = _push(queue, size, heads, level + more, rests + (k - 1) * places + c)
        for t in range(terminals + 1):
            for w in range(words):
                read[t, a, w] = derived[t, w]
    return rest, typed


@kernel
def fill(keys, rows, nodes, values):
    """Put what is known of nodes into a larger hash table."""
    for i in range(len(nodes)):
        slot = slot_of(keys, np.int64(nodes[i]))
        keys[slot], rows[slot] = nodes[i], values[i]


@kernel
def _row(remainder, node):
    """The row of a stack, new perhaps; or GROW."""
    slot = slot_of(remainder.keys, np.int64(node))
    if remainder.keys[slot] < 0:
        row = remainder.size[0]
        if row == len(remainder.state):
            return np.int64(GROW)
        remainder.keys[slot], remainder.rows[slot] = node, row
        remainder.state[row] = 0
        remainder.size[0] += 1
    return np.int64(remainder.rows[slot])


@kernel
def _improve(remainder, i, j, k):
    """What row i can do since it can put itself in the place of row j (-1: the whole text is read) after what follows place k
    (-1: nothing); whether that is more than before."""
    rest, typed, gaps, bits, cost = remainder.rest, remainder.typed, remainder.gaps, remainder.bits, remainder.cost
    places = rest.shape[1]
    end = places - 1
    changed = False
    if k < 0:
        for w in range(bits.shape[1]):
            changed |= bits[j, w] & ~bits[i, w] != 0
            bits[i, w] |= bits[j, w]
        for g in range(len(gaps)):
            if cost[j, g] < cost[i, g]:
                cost[i, g] = cost[j, g]
                changed = True
        return changed
    for a in range(places):
        if not _has(bits[i], a):
            some = False
            for w in range(bits.shape[1]):
                some |= rest[k, a, w] & (bits[j, w] if j >= 0 else np.uint64(0)) != 0
            if some or (j < 0 and _has(rest[k, a], end)):
                _put(bits[i], a)
                changed = True
    for g in range(len(gaps)):
        best = np.int64(cost[i, g])
        a = np.int64(gaps[g])
        for b in range(a, places):
            least = np.int64(typed[g, k, b])
            if least >= best:
                continue
            if j < 0:
                if b == end:
                    best = least
            elif b == a:
                best = min(best, min(least + cost[j, g], MOST) if cost[j, g] != NO else NO)
            elif _has(bits[j], b):
                best = least
        if best < cost[i, g]:
            cost[i, g] = best
            changed = True
    return changed


@kernel
def readable(remainder, stacks, node):
    """The row of a stack, with what it can read; FULL or GROW."""
    heap, lr, pairs, scratch = stacks
    row = _row(remainder, node)
    if row < 0 or remainder.state[row] == WHOLE:
        return row
    words = (pairs.shape[1] - 2) >> 1
    places, gaps = remainder.rest.shape[1], remainder.cost.shape[1]
    remainder.size[1] += 1
    epoch = WHOLE + remainder.size[1]
    nodes, rows = np.empty(32, np.int32), np.empty(32, np.int32)
    links = np.empty((64, 3), np.int32)
    nodes[0], rows[0] = node, row
    n, m, i = np.int64(1), np.int64(0), np.int64(0)
    remainder.state[row] = epoch
    while i < n:
        this, row = np.int64(nodes[i]), rows[i]
        for w in range(remainder.bits.shape[1]):
            remainder.bits[row, w] = 0
        for g in range(gaps):
            remainder.cost[row, g] = NO
        if remainder.any_more:
            _put(remainder.bits[row], np.int64(places - 1))
        state = np.int64(heap.items[this + 1])
        at = state + 3 + words + 2 * lr[state] + (2 + words) * lr[state + 1]
        for _ in range(lr[state + 2]):
            head, dot, k = np.int64(lr[at]), np.int64(lr[at + 1]), np.int64(lr[at + 3])
            at += 4
            j = np.int64(-1)
            if head >= 0:
                base = ancestor(heap.items, this, dot)
                scratch[0], scratch[1] = after_symbol(lr, words, np.int64(heap.items[base + 1]), head), base
                onward = intern(heap, scratch, np.int64(2))
                j = onward if onward == FULL else _row(remainder, onward)
                if j < 0:
                    return j
                if remainder.state[j] != WHOLE and remainder.state[j] != epoch:
                    remainder.state[j] = epoch
                    nodes, rows = grown(nodes, n + 1), grown(rows, n + 1)
                    nodes[n], rows[n] = onward, j
                    n += 1
            if m == len(links):
                links = grown(links.ravel(), 3 * m + 1)[: 6 * m].copy().reshape(-1, 3)
            links[m, 0], links[m, 1], links[m, 2] = row, j, k
            m += 1
        i += 1
    changed = True
    while changed:
        changed = False
        for e in range(m - 1, -1, -1):
            changed |= _improve(remainder, np.int64(links[e, 0]), np.int64(links[e, 1]), np.int64(links[e, 2]))
    for i in range(n):
        remainder.state[rows[i]] = WHOLE
    return np.int64(rows[0])
