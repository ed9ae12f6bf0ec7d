"""DFA → minimal DFA.

Jacobs & Wißmann, "Fast coalgebraic bisimilarity minimization" (POPL 2023): partition refinement by signatures, with
Hopcroft's rule. A state's signature says to which blocks its transitions lead. In every round the states whose signature
may have changed are told apart by it; the largest part of a block keeps the block's name, so that a state gets a new name,
and its predecessors are looked at again, log n times at most. Partial automata cost nothing for what they cannot do. Finite
languages don't need it: see `acyclic.py`.

Transitions carry sets of symbols (see `determinize.py`), and a signature is a map from symbols to blocks, however its
transitions are cut. Its hash is the sum, over all symbols, of weight[symbol] · word[block] (mod 2⁶⁴, of random words): so a
transition adds the weight of its set, which is the sum of its symbols' weights, times one word. Let two signatures differ,
in word by d ≠ 0 at some symbol, with 2ᵏ the largest power of two that divides d. Whatever the other weights are, at most 2ᵏ
of the 2⁶⁴ weights of this one make the hashes equal, and k is small (k ≥ i has odds of 2⁻ⁱ).
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.acyclic import equal_states
from dgemma_constrain.automata.kernels import distances, grouped, kernel, mix, random_words, reversed_rows, sort


def equivalent_states(offsets, labels, targets, accept, weights=None):
    """Myhill-Nerode classes of a trimmed DFA in rows: block int32[S], and how many there are.

    The labels are symbols, or, where `weights` are given, sets of symbols of these weights. A hash stands for a signature (64
    bits, so two that differ are taken for one with odds of some S²/2⁶⁰).
    """
    if weights is None:
        weights = random_words(int(labels.max(initial=-1)) + 1)
    return _equivalent_states(offsets, labels, weights, targets, accept, np.zeros(len(accept), np.uint64))


@kernel
def _on_the_way(offsets, labels, weights, targets, distance):
    """A hash of what each state can read on the shortest ways to acceptance, uint64[S].

    The distance to acceptance is that of the shortest word of a state's language, so equal languages have equal hashes.
    Most states of a large automaton are told apart by them, in one pass instead of one for each step of such a way.
    """
    hashes = np.empty(len(distance), np.uint64)
    _, order = grouped(distance, len(distance))  # no distance is as long
    for s in order:
        h = np.uint64(0)
        for e in range(offsets[s], offsets[s + 1]):
            if distance[targets[e]] < distance[s]:
                h += weights[labels[e]] * hashes[targets[e]]
        hashes[s] = mix(np.int64(h + np.uint64(distance[s])))
    return hashes


@kernel
def _equivalent_states(offsets, labels, weights, targets, accept, hashes):
    """The same with sets of symbols as labels, of these weights; states with other `hashes` are not equivalent."""
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
    word = np.empty(n, np.uint64)  # of the block of each state
    blocks = 0
    for s in range(n):
        changed[s] = s
        slot = np.int64(mix(np.int64(hashes[s])) & np.uint64(size - 1))
        while table_turn[slot] > 0 and table[slot] != hashes[s]:
            slot = (slot + 1) & (size - 1)
        if table_turn[slot] == 0:
            table_turn[slot], table[slot], table_part[slot] = 1, hashes[s], blocks
            blocks += 1
        block[s] = table_part[slot]
        word[s] = mix(block[s])
    begins, order = grouped(block, blocks)
    for b in range(blocks):
        first[b], past[b] = begins[b], begins[b + 1]
    for i in range(n):
        elements[i], location[order[i]] = order[i], i
    count = n
    turn = np.int64(1)
    round_ = 0
    while count:
        hits = 0
        for i in range(count):
            s = changed[i]
            h = np.uint64(accept[s])
            for e in range(offsets[s], offsets[s + 1]):
                h += weights[labels[e]] * word[targets[e]]
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
                        block[elements[i]], word[elements[i]] = blocks, mix(blocks)
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
    """Drop the states from which nothing is accepted; an empty language keeps one state. The rows, and the fewest transitions
    from each state to acceptance."""
    distance = distances(*reversed_rows(offsets, targets), accept)
    live = distance >= 0
    if live.all():
        return offsets, symbols, targets, accept, distance
    if not live[0]:
        return np.zeros(2, np.int64), symbols[:0], targets[:0], np.zeros(1, bool), np.zeros(1, np.int32)
    return (*keep_states(offsets, symbols, targets, live), accept[live], distance[live])


def _reachable(offsets, symbols, targets, accept):
    """Drop the states that cannot be reached."""
    start = np.zeros(len(accept), bool)
    start[0] = True
    reached = distances(offsets, targets, start) >= 0
    if reached.all():
        return offsets, symbols, targets, accept
    return (*keep_states(offsets, symbols, targets, reached), accept[reached])


def keep_states(offsets, symbols, targets, kept):
    """Only the states in `kept`, renumbered in order, and the transitions among them."""
    among = np.repeat(kept, np.diff(offsets)) & kept[targets]
    number = np.cumsum(kept, dtype=np.int32) - 1
    new_offsets = np.append(0, np.cumsum(among))[offsets]
    return np.append(new_offsets[:-1][kept], new_offsets[-1]), symbols[among], number[targets[among]]


@kernel
def _columns(offsets, labels, targets, set_offsets, set_symbols, size):
    """A 64-bit hash of every symbol's column (its source → target pairs); equal columns are one class."""
    sums = np.zeros(len(set_offsets) - 1, np.uint64)
    for s in range(len(offsets) - 1):
        for e in range(offsets[s], offsets[s + 1]):
            sums[labels[e]] += mix((np.int64(s) << 32) | targets[e])
    hashes = np.zeros(size, np.uint64)
    for label in range(len(sums)):
        for k in range(set_offsets[label], set_offsets[label + 1]):
            hashes[set_symbols[k]] += sums[label]
    return hashes


def _merged(hashes):
    """Join symbols with equal hashes: the class of each, int32[n], by first symbol; and those first ones.

    A hash stands for a column here (64 bits, so a false join has odds of about n²/2⁶⁵).
    """
    first: dict[int, int] = {}
    found = [first.setdefault(h, i) for i, h in enumerate(hashes.tolist())]
    number = dict(zip(first.values(), range(len(first))))
    return np.array([number[i] for i in found], np.int32), np.array([*first.values()], np.int64)


def _kept(sets, first, size: int):
    """Sets with the symbols `first` only, which are numbered in order."""
    number = np.full(size, -1, np.int32)
    number[first] = np.arange(len(first))
    symbols = number[sets[1]]
    return np.append(0, np.cumsum(symbols >= 0))[sets[0]], symbols[symbols >= 0]


@kernel
def _spread(offsets, labels, targets, set_offsets, set_symbols):
    """Rows with a transition for each symbol of each set: (offsets, symbols, targets), sorted by symbol."""
    used = np.int64(0)
    for e in range(len(labels)):
        used += set_offsets[labels[e] + 1] - set_offsets[labels[e]]
    new_offsets = np.zeros(len(offsets), np.int64)
    rows = np.empty(used, np.int64)
    used = np.int64(0)
    for s in range(len(offsets) - 1):
        for e in range(offsets[s], offsets[s + 1]):
            for k in range(set_offsets[labels[e]], set_offsets[labels[e] + 1]):
                rows[used] = (np.int64(set_symbols[k]) << 32) | np.int64(targets[e])
                used += 1
        if offsets[s + 1] - offsets[s] > 1:
            sort(rows[new_offsets[s] : used])
        new_offsets[s + 1] = used
    new_symbols, new_targets = np.empty(used, np.int32), np.empty(used, np.int32)
    for i in range(used):
        new_symbols[i], new_targets[i] = rows[i] >> 32, rows[i] & 0x7FFFFFFF
    return new_offsets, new_symbols, new_targets


def minimal_rows(offsets, labels, targets, accept, sets, size: int):
    """The minimal DFA as rows (offsets, labels, targets, accept), numbered breadth-first, of one without states that cannot be
    reached.

    sets: the symbols of each label, as rows (offsets, symbols). Those of one state are disjoint, and stand by first symbol.
    """
    offsets, labels, targets, accept, distance = trim(offsets, labels, targets, accept)
    sums = np.append(np.uint64(0), np.cumsum(random_words(size)[sets[1]]))[sets[0]]
    weights = sums[1:] - sums[:-1]
    block, blocks = equal_states(offsets, labels, weights, targets, accept)
    if blocks < 0:
        hashes = _on_the_way(offsets, labels, weights, targets, distance)
        block, blocks = _equivalent_states(offsets, labels, weights, targets, accept, hashes)
    return quotient(offsets, labels, targets, accept, block, blocks)


def minimize(offsets, labels, targets, accept, sets, size: int):
    """The same over its coarsest alphabet, with one symbol a transition: (new class of each symbol, offsets, symbols, targets,
    accept)."""
    offsets, labels, targets, accept = minimal_rows(offsets, labels, targets, accept, sets, size)
    new_class, first = _merged(_columns(offsets, labels, targets, *sets, size))
    return (new_class, *_spread(offsets, labels, targets, *_kept(sets, first, size)), accept)


def minimize_rows(offsets, symbols, targets, accept, size: int):
    """The same of a DFA that has one symbol a transition already."""
    offsets, symbols, targets, accept = _reachable(offsets, symbols, targets, accept)
    each = np.arange(size + 1), np.arange(size, dtype=np.int32)
    new_class, first = _merged(_columns(offsets, symbols, targets, *each, size))
    if len(first) == size:
        return minimize(offsets, symbols, targets, accept, each, size)
    number = np.full(size, -1, np.int32)
    number[first] = np.arange(len(first))
    stay = number[symbols] >= 0
    offsets = np.append(0, np.cumsum(stay))[offsets]
    joined = grouped(new_class, len(first))
    return minimize(offsets, number[symbols[stay]], targets[stay], accept, joined, size)
