"""DFA → minimal DFA.

Valmari, "Fast brief practical DFA minimization" (Information Processing Letters 112, 2012): refine a partition of the
states and one of the transitions against each other, always splitting off the smaller part. O(m log m) in the number m
of transitions that exist, so partial automata cost nothing for what they cannot do. Finite languages don't need it: see
`acyclic.py`.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.acyclic import equal_states
from dgemma_constrain.automata.kernels import distances, grouped, kernel, mix, reversed_rows, sources


@kernel
def _mark(e, elements, location, block, first, marked, work, pending):
    """Move element `e` to the marked front of its block."""
    b = block[e]
    i = location[e]
    j = first[b] + marked[b]
    elements[i] = elements[j]
    location[elements[i]] = i
    elements[j] = e
    location[e] = j
    if marked[b] == 0:
        work[pending] = b
        pending += 1
    marked[b] += 1
    return pending


@kernel
def _split(elements, block, first, past, marked, work, pending, blocks):
    """Split every block with marked elements into its marked and unmarked part; the smaller gets the new number."""
    while pending:
        pending -= 1
        b = work[pending]
        j = first[b] + marked[b]
        if j == past[b]:
            marked[b] = 0
            continue
        if marked[b] <= past[b] - j:
            first[blocks] = first[b]
            past[blocks] = j
            first[b] = j
        else:
            past[blocks] = past[b]
            first[blocks] = j
            past[b] = j
        for i in range(first[blocks], past[blocks]):
            block[elements[i]] = blocks
        marked[b] = 0
        marked[blocks] = 0
        blocks += 1
    return blocks


@kernel
def equivalent_states(tails, labels, heads, accept, label_count):
    """Myhill-Nerode classes of a trimmed DFA given by its transitions: block int32[S], and how many there are."""
    n = len(accept)
    m = len(tails)
    elements, location = np.empty(n, np.int32), np.empty(n, np.int32)
    block, first = np.zeros(n, np.int32), np.zeros(n, np.int32)
    past, marked = np.zeros(n, np.int32), np.zeros(n, np.int32)
    work = np.empty(max(n, m) + 1, np.int32)
    past[0] = n
    blocks = np.int64(1)
    pending = np.int64(0)
    for s in range(n):
        elements[s] = location[s] = s
    for s in range(n):
        if accept[s]:
            pending = _mark(np.int32(s), elements, location, block, first, marked, work, pending)
    blocks = _split(elements, block, first, past, marked, work, pending, blocks)
    if m == 0:
        return block, blocks

    # Transitions start out grouped by label: one "cord" a label.
    label_offsets, cords = grouped(labels, label_count)
    where, cord = np.empty(m, np.int32), np.empty(m, np.int32)
    cord_first, cord_past = np.empty(m, np.int32), np.empty(m, np.int32)
    cord_marked = np.zeros(m, np.int32)
    cord_count = np.int64(0)
    for k in range(label_count):
        if label_offsets[k] < label_offsets[k + 1]:
            cord_first[cord_count] = label_offsets[k]
            cord_past[cord_count] = label_offsets[k + 1]
            for i in range(label_offsets[k], label_offsets[k + 1]):
                where[cords[i]] = i
                cord[cords[i]] = cord_count
            cord_count += 1

    into, incoming = grouped(heads, n)
    b = 1
    c = 0
    while c < cord_count:
        pending = np.int64(0)
        for i in range(cord_first[c], cord_past[c]):
            pending = _mark(tails[cords[i]], elements, location, block, first, marked, work, pending)
        blocks = _split(elements, block, first, past, marked, work, pending, blocks)
        c += 1
        while b < blocks:
            pending = np.int64(0)
            for i in range(first[b], past[b]):
                for j in range(into[elements[i]], into[elements[i] + 1]):
                    pending = _mark(incoming[j], cords, where, cord, cord_first, cord_marked, work, pending)
            cord_count = _split(cords, cord, cord_first, cord_past, cord_marked, work, pending, cord_count)
            b += 1
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
    width = int(once.max(initial=-1)) + 1
    block, blocks = equal_states(offsets, symbols, targets, accept)
    if blocks < 0:
        block, blocks = equivalent_states(sources(offsets), symbols, targets, accept, width)
    offsets, symbols, targets, accept = quotient(offsets, symbols, targets, accept, block, blocks)
    twice, offsets, symbols, targets = merged_symbols(offsets, symbols, targets, width)
    return twice[once], offsets, symbols, targets, accept
