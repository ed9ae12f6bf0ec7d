"""LALR(1) tables of any context-free grammar, with all conflicts kept: what a generalized LR machine runs on.

Rules with an empty body are taken out first: wherever a symbol may be empty, the rule is written with and without it.
So every reduction takes something off the stack, no stack grows but by a terminal, and from one terminal to the next
there are finitely many stacks, whatever is nullable, hidden left-recursive or cyclic. Rules that derive no text go,
too; so a terminal that can be shifted continues some sentence (the viable prefix property).

Look-ahead sets as in DeRemer and Pennello, "Efficient computation of LALR(1) look-ahead sets" (1982); without empty
rules nothing is left of their relation `reads`.
"""

from __future__ import annotations

from typing import Iterable, NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import intern, new_heap, number_rows, roomy
from dgemma_constrain.automata.kernels import grouped, grown, kernel, position, sort, sources
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.errors import LimitExceeded

Body = tuple[int, ...]
NULLABLES = 3  # a rule with more symbols that may be empty is cut in two
ITEMS = 20_000_000  # that are looked at for all states together; a programming language has a million
LOOKAHEAD = 100_000_000  # words of 32 terminals, for all transitions together


class LRTables(NamedTuple):
    """State 0 is the start. Terminals are 0 … T-1, T is the end of the text, and T+1+n is nonterminal n.

    Whatever can be shifted, the end included, leads to a state: a text is a sentence if its end can be shifted.

    offsets        int64[S+1]  the transitions of state s are offsets[s]:offsets[s+1] of
    symbols        int32[E]    … their symbols, ascending: shifts, then gotos
    targets        int32[E]    … and where they lead
    shifts         int32[S, W]  the terminals among them, as bits
    reduce_offsets int64[S+1]  the reductions of state s are reduce_offsets[s]:reduce_offsets[s+1] of
    reduce_rule    int32[R]    … their rules
    lookahead      int32[R, W]  … and the terminals that may follow, as bits
    head, length   int32[N]    of each rule: its head as a symbol, and the number of symbols in its body
    item_offsets   int64[S+1]  the kernel items of state s are item_offsets[s]:item_offsets[s+1] of
    item_rule, item_dot int32[I]  … rules, and how many symbols of their bodies were read
    body_offsets   int64[N+1]  the body of rule r is body_offsets[r]:body_offsets[r+1] of
    body           int32[B]    … symbols
    """

    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    shifts: np.ndarray
    reduce_offsets: np.ndarray
    reduce_rule: np.ndarray
    lookahead: np.ndarray
    head: np.ndarray
    length: np.ndarray
    item_offsets: np.ndarray
    item_rule: np.ndarray
    item_dot: np.ndarray
    body_offsets: np.ndarray
    body: np.ndarray

    @property
    def states(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self)

    def conflicts(self) -> int:
        """How many (state, terminal) pairs have more than one action."""
        counts = _bits(self.shifts).astype(np.int32)
        np.add.at(counts, sources(self.reduce_offsets), _bits(self.lookahead))
        return int((counts > 1).sum())


def _bits(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")


def lr_tables(
    rules: Iterable[tuple[int, Body]], terminals: int, nonterminals: int, start: int, limits: Limits = Limits()
) -> LRTables:
    """rules: pairs (head, body); in a body, k ≥ 0 is terminal k and ~n is nonterminal n. Raises LimitExceeded."""
    plain, empty, text = without_empty(rules, nonterminals)
    plain += [(text, (~start, terminals))] + [(text, (terminals,))] * (start in empty)
    useful = derivable(plain, lambda symbol: True)
    plain = [(n, body) for n, body in plain if all(s >= 0 or ~s in useful for s in body)] if text in useful else []
    return _tables(plain, terminals, text, limits)


def derivable(rules: Iterable[tuple[int, Body]], allowed) -> set[int]:
    """The nonterminals that derive some text of allowed terminals: a worklist, linear in the size of the rules."""
    waiting: dict[int, list[list[int]]] = {}  # by nonterminal: the rules with it, as [symbols that are missing, head]
    found: set[int] = set()
    ready = []
    for head, body in rules:
        if all(s < 0 or allowed(s) for s in body):
            needed = {~s for s in body if s < 0}
            rule = [len(needed), head]
            for n in needed:
                waiting.setdefault(n, []).append(rule)
            if not needed:
                ready.append(head)
    while ready:
        n = ready.pop()
        if n not in found:
            found.add(n)
            for rule in waiting.get(n, ()):
                rule[0] -= 1
                if not rule[0]:
                    ready.append(rule[1])
    return found


def without_empty(rules: Iterable[tuple[int, Body]], nonterminals: int) -> tuple[list[tuple[int, Body]], set[int], int]:
    """Rules without empty bodies that derive the same but for the empty text; the nonterminals that derived it; and how
    many nonterminals there are now.

    A long rule is cut, head → α H and H → β, so that there are at most 2^NULLABLES ways to write one.
    """
    agenda = list(rules)
    empty = derivable(agenda, lambda symbol: False)
    plain: dict[tuple[int, Body], None] = {}
    for head, body in agenda:  # grows
        nullable = [i for i, s in enumerate(body) if s < 0 and ~s in empty]
        if len(nullable) > NULLABLES:
            cut = nullable[NULLABLES - 2] + 1
            if len(nullable) - (NULLABLES - 1) == len(body) - cut:
                empty.add(nonterminals)
            agenda.append((nonterminals, body[cut:]))
            body = (*body[:cut], ~nonterminals)
            nonterminals += 1
        bodies: dict[Body, None] = {(): None}
        for i, s in enumerate(body):
            kept = [b + (s,) for b in bodies]
            bodies = dict.fromkeys([*kept, *bodies] if s < 0 and ~s in empty else kept)
        plain.update(((head, b), None) for b in bodies if b and b != (~head,))
    return list(plain), empty, nonterminals


def _tables(rules: list[tuple[int, Body]], terminals: int, start: int, limits: Limits) -> LRTables:
    """The tables of rules without empty bodies; `start` is the highest nonterminal."""
    rules = sorted(rules, key=lambda rule: rule[0])
    head = np.array([n for n, _ in rules], np.int32)
    length = np.array([len(body) for _, body in rules], np.int32)
    body = np.array([s if s >= 0 else terminals + 1 + ~s for _, b in rules for s in b], np.int32)
    body_offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    by_head = np.searchsorted(head, np.arange(start + 2)).astype(np.int64)
    rule_of = np.repeat(np.arange(len(rules), dtype=np.int32), length + 1)
    *rows, item_offsets, items, status = _automaton(
        body, body_offsets, rule_of, by_head, terminals + 1, limits.states, min(limits.work, ITEMS)
    )
    words = (terminals + 32) // 32
    offsets, symbols, targets = rows
    if status == 2 or len(symbols) * words > LOOKAHEAD:
        raise LimitExceeded(
            f"the LR automaton of this grammar is too large: {len(rules):,} rules and {terminals:,} terminals may follow "
            "in too many places; leave out rules, or make one terminal of many alternatives"
        )
    limits.check(status, "the LR automaton of this grammar")
    item_rule = rule_of[items]
    item_dot = (items - item_rule - body_offsets[item_rule]).astype(np.int32)
    done = item_dot == length[item_rule]
    reduce_offsets = np.append(0, np.cumsum(done))[item_offsets]
    reduce_rule = item_rule[done]

    shifts = np.zeros((len(offsets) - 1, words), np.int32)
    place, state = symbols <= terminals, sources(offsets)
    np.bitwise_or.at(shifts, (state[place], symbols[place] >> 5), np.int32(1) << (symbols[place] & 31))
    lookahead = np.zeros((len(reduce_rule), words), np.int32)
    inside, parent, reduction, handle = _relations(
        offsets, symbols, targets, state, body, body_offsets, by_head, terminals + 1, reduce_offsets, reduce_rule
    )
    follow = shifts[targets]  # of each goto; of shifts too, where it means nothing
    _propagate(*grouped(parent, len(symbols)), inside, follow)
    _collect(reduction, handle, follow, lookahead)
    return LRTables(
        offsets, symbols, targets, shifts, reduce_offsets, reduce_rule, lookahead, head + np.int32(terminals + 1),
        length, item_offsets, item_rule, item_dot, body_offsets, body,
    )  # fmt: skip


@kernel
def _automaton(body, body_offsets, rule_of, by_head, first, max_states, max_work):
    """The LR(0) automaton: rows (offsets, symbols, targets), the states' kernels (offsets, items), and a status.

    Symbols from `first` on are nonterminals; their rules are by_head[n]:by_head[n+1]; those of the last begin a text.
    An item is a place in the bodies, each with one more place for its end: body_offsets[rule] + rule + dot.
    """
    heads = len(by_head) - 1
    offsets = np.zeros(1025, np.int64)
    symbols, targets = np.empty(1024, np.int32), np.empty(1024, np.int32)
    heap = new_heap()
    item_offsets = np.zeros(1025, np.int64)
    items = np.empty(1024, np.int32)
    met = np.full(heads, -1, np.int64)  # the last state whose closure a nonterminal was in
    agenda = np.empty(heads, np.int32)
    read, item = np.empty(1024, np.int32), np.empty(1024, np.int32)  # a symbol after a dot, and the item after it
    count, place = np.zeros(first + heads, np.int64), np.zeros(first + heads, np.int64)
    seen, row = np.empty(first + heads, np.int32), np.empty(1024, np.int32)
    intern(heap, row, np.int64(0))  # the kernel of the start has no items
    at = np.int64(0)  # of the state's kernel, in the heap
    s, used, work = np.int64(0), np.int64(0), np.int64(0)
    while at < heap.size[0]:
        n = np.int64(0)
        waiting = np.int64(0)
        if s == 0:
            agenda[0] = heads - 1
            met[heads - 1] = 0
            waiting = np.int64(1)
        size = np.int64(heap.items[at])
        items, item_offsets = grown(items, item_offsets[s] + size), grown(item_offsets, s + 2)
        item_offsets[s + 1] = item_offsets[s] + size
        for i in range(size):
            this = heap.items[at + 1 + i]
            items[item_offsets[s] + i] = this
            rule = rule_of[this]
            dot = this - rule
            if dot < body_offsets[rule + 1]:
                read, item = grown(read, n + 1), grown(item, n + 1)
                read[n], item[n] = body[dot], this + 1
                n += 1
                h = body[dot] - first
                if h >= 0 and met[h] != s:
                    met[h] = s
                    agenda[waiting] = h
                    waiting += 1
        while waiting > 0:
            waiting -= 1
            begun = agenda[waiting]
            most = n + by_head[begun + 1] - by_head[begun]
            read, item = grown(read, most), grown(item, most)
            for rule in range(by_head[begun], by_head[begun + 1]):
                x = body[body_offsets[rule]]
                read[n], item[n] = x, body_offsets[rule] + rule + 1
                n += 1
                h = x - first
                if h >= 0 and met[h] != s:
                    met[h] = s
                    agenda[waiting] = h
                    waiting += 1
        kinds = np.int64(0)
        for i in range(n):
            if count[read[i]] == 0:
                seen[kinds] = read[i]
                kinds += 1
            count[read[i]] += 1
        sort(seen[:kinds])
        total = np.int64(0)
        for i in range(kinds):
            place[seen[i]] = total
            total += count[seen[i]]
        row = grown(row, n)
        for i in range(n):
            row[place[read[i]]] = item[i]
            place[read[i]] += 1
        symbols, targets = grown(symbols, used + kinds), grown(targets, used + kinds)
        heap = roomy(heap, n + kinds, kinds, np.int64(0))
        for i in range(kinds):
            x = seen[i]
            kernel_items = row[place[x] - count[x] : place[x]]
            sort(kernel_items)
            symbols[used], targets[used] = x, intern(heap, kernel_items, count[x])
            used += 1
            count[x] = 0
        s += 1
        at += 1 + size
        offsets = grown(offsets, s + 1)
        offsets[s] = used
        work += n
        if heap.size[1] > max_states:
            return offsets, symbols, targets, item_offsets, items, 1
        if work > max_work:
            return offsets, symbols, targets, item_offsets, items, 2
    number_rows(heap, targets[:used])
    rows = offsets[: s + 1].copy(), symbols[:used].copy(), targets[:used].copy()
    return *rows, item_offsets[: s + 1].copy(), items[: item_offsets[s]].copy(), 0


@kernel
def _relations(offsets, symbols, targets, state, body, body_offsets, by_head, first, reduce_offsets, reduce_rule):
    """Pairs (inside, parent) of gotos: what follows the parent follows the one inside, since a rule of the parent ends
    with it. And pairs (reduction, handle): the reduction may lead to that goto; what follows that is its look-ahead.
    """
    inside, parent = np.empty(4096, np.int32), np.empty(4096, np.int32)
    reduction, handle = np.empty(4096, np.int32), np.empty(4096, np.int32)
    m = n = np.int64(0)
    for e in range(len(symbols)):
        h = symbols[e] - first
        if h < 0:
            continue
        for rule in range(by_head[h], by_head[h + 1]):
            s = np.int64(state[e])
            f = np.int64(-1)
            for i in range(body_offsets[rule], body_offsets[rule + 1]):
                f = position(symbols, offsets[s], offsets[s + 1], np.int64(body[i]))
                s = np.int64(targets[f])
            if symbols[f] >= first:
                inside, parent = grown(inside, m + 1), grown(parent, m + 1)
                inside[m], parent[m] = f, e
                m += 1
            r = reduce_offsets[s]
            while reduce_rule[r] != rule:
                r += 1
            reduction, handle = grown(reduction, n + 1), grown(handle, n + 1)
            reduction[n], handle[n] = r, e
            n += 1
    return inside[:m].copy(), parent[:m].copy(), reduction[:n].copy(), handle[:n].copy()


@kernel
def _propagate(offsets, order, inside, follow):
    """Let what follows a parent follow those inside it, until nothing changes."""
    gotos, words = follow.shape
    queue, queued = np.empty(gotos, np.int32), np.ones(gotos, np.bool_)
    for e in range(gotos):
        queue[e] = e
    head, waiting = 0, gotos
    while waiting:
        e = queue[head]
        head = (head + 1) % gotos
        waiting -= 1
        queued[e] = False
        for i in range(offsets[e], offsets[e + 1]):
            f = inside[order[i]]
            changed = False
            for w in range(words):
                joint = follow[f, w] | follow[e, w]
                changed |= joint != follow[f, w]
                follow[f, w] = joint
            if changed and not queued[f]:
                queued[f] = True
                queue[(head + waiting) % gotos] = f
                waiting += 1


@kernel
def _collect(reduction, handle, follow, lookahead):
    for i in range(len(reduction)):
        for w in range(lookahead.shape[1]):
            lookahead[reduction[i], w] |= follow[handle[i], w]
