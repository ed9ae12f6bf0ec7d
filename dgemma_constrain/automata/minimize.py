"""DFA → minimal DFA.

Jacobs & Wißmann, "Fast coalgebraic bisimilarity minimization" (POPL 2023): partition refinement by signatures, with
Hopcroft's rule. A state's signature says to which blocks its transitions lead. In every round the states whose signature
may have changed are told apart by it; the largest part of a block keeps the block's name, so that a state gets a new name,
and its predecessors are looked at again, log n times at most. Partial automata cost nothing for what they cannot do. Finite languages don't need it: see
`acyclic.py`.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.acyclic import equal_states
from dgemma_constrain.automata.kernels import distances, grouped, kernel, mix, reversed_rows


@kernel
def equivalent_states(offsets, symbols, targets, accept):
    """Myhill-Nerode classes of a trimmed DFA in rows: block int32[S], and how many there are.

    A hash stands for a signature (64 bits, so two that differ are taken for one with odds of about S²/2⁶⁴).
    """
    n = len(accept)
    into, incoming = grouped(targets, n)
    source = np.empty(len(targets), np.int32)
    for s in range(n):
        for e in range(offsets[s], offsets[s + 1]):
            source[e] = s
    block, elements, location = np.zeros(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    first, past, marked = np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros(n, np.int32)
    signature = np.empty(n, np.uint64)
    changed, touched, renamed = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    stamp = np.full(n, -1, np.int32)
    size = 16
    while size < 2 * n:
        size *= 2
    table, table_part, table_turn = np.empty(size, np.uint64), np.empty(size, np.int32), np.zeros(size, np.int64)
    part, part_past, spare = np.empty(n, np.int32), np.empty(n + 1, np.int32), np.empty(n, np.int32)
    past[0] = n
    blocks = 1
    for s in range(n):
        elements[s] = location[s] = changed[s] = s
    count = n
    turn = np.int64(0)
    round_ = 0
    while count:
        hits = 0
        for i in range(count):
            s = changed[i]
            h = np.uint64(accept[s])
            for e in range(offsets[s], offsets[s + 1]):
                h += mix((np.int64(symbols[e]) << 32) | np.int64(block[targets[e]]))
            signature[s] = h
            b = block[s]
            if marked[b] == 0:
                touched[hits] = b
                hits += 1
            j = first[b] + marked[b]  # to the front of its block
            marked[b] += 1
            other, at = elements[j], location[s]
            elements[j], elements[at] = s, other
            location[s], location[other] = j, at
        news = 0
        for t in range(hits):
            b = touched[t]
            begin, middle, end = first[b], first[b] + marked[b], past[b]
            marked[b] = 0
            if end - begin == 1:
                continue
            # Those that changed, part by part; the others are alike still, and differ from all of these.
            turn += 1
            mask = 16
            while mask < 2 * (middle - begin):
                mask *= 2
            mask -= 1
            parts = 0
            for i in range(begin, middle):
                h = signature[elements[i]]
                slot = np.int64((h ^ (h >> np.uint64(32))) & np.uint64(mask))
                while table_turn[slot] == turn and table[slot] != h:
                    slot = (slot + 1) & mask
                if table_turn[slot] != turn:
                    table_turn[slot], table[slot], table_part[slot] = turn, h, parts
                    part_past[parts] = 0
                    parts += 1
                part[i] = table_part[slot]
                part_past[part[i]] += 1
            if parts == 1 and middle == end:
                continue
            largest, most = -1, end - middle  # -1: those that did not change
            at = begin
            for k in range(parts):
                if part_past[k] > most:
                    largest, most = k, part_past[k]
                at += part_past[k]
                part_past[k] = at - part_past[k]
            for i in range(begin, middle):
                spare[part_past[part[i]]] = elements[i]
                part_past[part[i]] += 1
            for i in range(begin, middle):
                elements[i] = spare[i]
                location[spare[i]] = i
            at = begin
            for k in range(parts + 1):
                stop = part_past[k] if k < parts else end
                if k == largest or (k == parts and largest < 0):
                    first[b], past[b] = at, stop
                elif at < stop:
                    first[blocks], past[blocks] = at, stop
                    for i in range(at, stop):
                        block[elements[i]] = blocks
                        renamed[news] = elements[i]
                        news += 1
                    blocks += 1
                at = stop
        round_ += 1
        count = 0
        for i in range(news):
            for e in range(into[renamed[i]], into[renamed[i] + 1]):
                s = source[incoming[e]]
                if stamp[s] != round_:
                    stamp[s] = round_
                    changed[count] = s
                    count += 1
    return block, blocks


@kernel
def quotient(offsets, symbols, targets, accept, block, blocks):
    """One state a block, numbered breadth-first from the start in symbol order: equal languages, equal arrays."""
    number = np.full(blocks, -1, np.int32)
    representative = np.empty(blocks, np.int32)
    number[block[0]] = 0
    representative[0] = 0
    seen = 1
    size = 0
    s = 0
    while s < seen:
        r = representative[s]
        size += offsets[r + 1] - offsets[r]
        for e in range(offsets[r], offsets[r + 1]):
            b = block[targets[e]]
            if number[b] < 0:
                number[b] = seen
                representative[seen] = targets[e]
                seen += 1
        s += 1
    new_offsets = np.zeros(seen + 1, np.int64)
    new_symbols, new_targets = np.empty(size, np.int32), np.empty(size, np.int32)
    new_accept = np.empty(seen, np.bool_)
    used = 0
    for s in range(seen):
        r = representative[s]
        new_accept[s] = accept[r]
        for e in range(offsets[r], offsets[r + 1]):
            new_symbols[used] = symbols[e]
            new_targets[used] = number[block[targets[e]]]
            used += 1
        new_offsets[s + 1] = used
    return new_offsets, new_symbols, new_targets, new_accept


def trim(offsets, symbols, targets, accept):
    """Drop the states from which nothing is accepted or which cannot be reached; an empty language keeps one state."""
    start = np.zeros(len(accept), bool)
    start[0] = True
    live = (distances(offsets, targets, start) >= 0) & (distances(*reversed_rows(offsets, targets), accept) >= 0)
    if live.all():
        return offsets, symbols, targets, accept
    if not live[0]:
        return np.zeros(2, np.int64), symbols[:0], targets[:0], np.zeros(1, bool)
    return (*keep_states(offsets, symbols, targets, live), accept[live])


def keep_states(offsets, symbols, targets, kept):
    """Only the states in `kept`, renumbered in order, and the transitions among them."""
    among = np.repeat(kept, np.diff(offsets)) & kept[targets]
    number = np.cumsum(kept, dtype=np.int32) - 1
    new_offsets = _counted(offsets, among)
    return np.append(new_offsets[:-1][kept], new_offsets[-1]), symbols[among], number[targets[among]]


def keep_symbols(offsets, symbols, targets, kept):
    """Only the transitions on the symbols with kept[c] ≥ 0, renamed to that (a non-decreasing renaming)."""
    stay = kept[symbols] >= 0
    return _counted(offsets, stay), kept[symbols[stay]], targets[stay]


def _counted(offsets, kept):
    """Where rows begin when only the `kept` transitions are left."""
    return np.append(0, np.cumsum(kept))[offsets]


@kernel
def columns(offsets, symbols, targets, size):
    """A 64-bit hash of every symbol's column (its source → target pairs); equal columns are one class."""
    hashes = np.zeros(size, np.uint64)
    for s in range(len(offsets) - 1):
        for e in range(offsets[s], offsets[s + 1]):
            hashes[symbols[e]] += mix((np.int64(s) << 32) | targets[e])
    return hashes


def merged_symbols(offsets, symbols, targets, size: int):
    """Join symbols with equal columns: the new class of each (int32[size]) and the rows over the new classes.

    A hash stands for a column here (64 bits, so a false join has odds of about size²/2⁶⁵).
    """
    _, first, inverse = np.unique(columns(offsets, symbols, targets, size), return_index=True, return_inverse=True)
    if len(first) == size:
        return np.arange(size, dtype=np.int32), offsets, symbols, targets
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    new_class = rank[inverse].astype(np.int32)
    kept = np.full(size, -1, np.int32)
    kept[first] = rank
    return (new_class, *keep_symbols(offsets, symbols, targets, kept))


def minimize(offsets, symbols, targets, accept, size: int):
    """The minimal DFA and its coarsest alphabet: (new class of each symbol, offsets, symbols, targets, accept)."""
    offsets, symbols, targets, accept = trim(offsets, symbols, targets, accept)
    once, offsets, symbols, targets = merged_symbols(offsets, symbols, targets, size)
    block, blocks = equal_states(offsets, symbols, targets, accept)
    if blocks < 0:
        block, blocks = equivalent_states(offsets, symbols, targets, accept)
    offsets, symbols, targets, accept = quotient(offsets, symbols, targets, accept, block, blocks)
    twice, offsets, symbols, targets = merged_symbols(offsets, symbols, targets, int(once.max(initial=-1)) + 1)
    return twice[once], offsets, symbols, targets, accept
