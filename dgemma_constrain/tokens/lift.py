"""Lifting: from an automaton over bytes to one over the tokens of a vocabulary.

A walk of the trie from a state tells where every token leads; branches that die are pruned. Tokens that lead to the
same place from every state are one *class*: each walk adds a random 64-bit word for (state, target) to the token's
column hash, and equal hashes are equal columns but for odds of about n²/2⁶⁵. A second, small walk over one token of
each class writes the transitions. Nothing is kept per token but its class.

Long runs of similar states (the inside of a string, 500 characters of a bounded one) would walk the whole trie once
each. `region.py` finds them and gives them smaller tries, in which tokens that none of them can tell apart are one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.encodings import ByteDFA
from dgemma_constrain.automata.kernels import grouped, grown, kernel, mix, reachable, sources
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.errors import EmptyConstraint
from dgemma_constrain.tokens.region import PICKY, find_region, number_equal
from dgemma_constrain.tokens.trie import build_trie
from dgemma_constrain.tokens.vocabulary import Vocabulary


class TokenAutomaton(NamedTuple):
    """A trimmed, deterministic automaton over token classes; state 0 is the start.

    classes   int32[V]    the class of each id, -1 for ids that no text of the language holds (all special ids)
    members   int32[n]    the ids of class c are members[member_offsets[c]:member_offsets[c+1]], ascending
    offsets   int64[S+1]  the transitions of state s are offsets[s]:offsets[s+1] of
    symbols   int32[E]    … their classes, ascending
    targets   int32[E]    … and where they lead
    accept    bool[S]
    distance  int32[S]    fewest tokens from each state to an accepting one
    """

    classes: np.ndarray
    member_offsets: np.ndarray
    members: np.ndarray
    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    accept: np.ndarray
    distance: np.ndarray

    @property
    def states(self) -> int:
        return len(self.accept)

    @property
    def class_count(self) -> int:
        return len(self.member_offsets) - 1

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self)


@kernel
def _walk(table, byte_class, q, along, byte, depth, skip, first, last, column, begin, end, known, found, count):
    """Walk nodes begin:end of a trie from byte state q, whose states along the path so far are in `along`."""
    steps = 0
    k = begin
    while k < end:
        steps += 1
        d = depth[k]
        t = table[along[d - 1], byte_class[byte[k]]]
        if t < 0:
            k = skip[k]
            continue
        along[d] = t
        if last[k] > first[k]:
            column[k] += mix((np.int64(q) << 32) | np.int64(t))
            if not known[t]:
                known[t] = True
                found[count] = t
                count += 1
        k += 1
    return count, steps


@kernel
def _discover(table, byte_class, trie, column, inside, enters, picky, stay, stay_column, enter, enter_column, height,
              max_states, max_work):  # fmt: skip
    """Walk from every byte state that stands between two tokens. Returns those states in order of discovery, and a
    status. The columns, one entry a node of each trie, receive the hashes."""
    found = np.empty(len(table), np.int32)
    known = np.zeros(len(table), np.bool_)
    along = np.empty(height + 1, np.int32)
    child = np.full(256, -1, np.int32)  # where the subtree of each first byte begins in `enter`
    k = 0
    while k < len(enter[0]):
        child[enter[0][k]] = k
        k = enter[2][k]
    found[0] = 0
    known[0] = True
    count = 1
    s = 0
    work = np.int64(0)
    while s < count:
        q = found[s]
        along[0] = q
        if inside[q]:
            byte, depth, skip, first, last = stay
            count, steps = _walk(table, byte_class, q, along, byte, depth, skip, first, last, stay_column,
                                 0, len(byte), known, found, count)  # fmt: skip
            work += steps
        else:
            k = 0
            while k < len(trie[0]):
                b = trie[0][k]
                t = table[q, byte_class[b]]
                if t >= 0:
                    if child[b] >= 0 and enters[t, np.int64(picky[b])]:
                        byte, depth, skip, first, last = enter
                        count, steps = _walk(table, byte_class, q, along, byte, depth, skip, first, last, enter_column,
                                             child[b], skip[child[b]], known, found, count)  # fmt: skip
                    else:
                        byte, depth, skip, first, last = trie
                        count, steps = _walk(table, byte_class, q, along, byte, depth, skip, first, last, column,
                                             k, skip[k], known, found, count)  # fmt: skip
                    work += steps
                k = trie[2][k]
        s += 1
        if count > max_states:
            return found[:count], 1
        if work > max_work:
            return found[:count], 2
    return found[:count], 0


@kernel
def _add_columns(hashes, first, last, column, key):
    """Add to each token's hash (uint64[n], in sorted order) that of its key's node in a trie of keys."""
    at_key = np.empty(first[-1], np.uint64)
    for k in range(len(last)):
        for i in range(first[k], last[k]):
            at_key[i] = column[k]
    for i in range(len(key)):
        hashes[i] += at_key[key[i]]


@kernel
def _transitions(table, byte_class, boundary, number, byte, depth, skip, first, last, height, max_work):
    """Rows of the token automaton; the trie holds one token a class, and position i of it is class i."""
    offsets = np.zeros(len(boundary) + 1, np.int64)
    symbols, targets = np.empty(4096, np.int32), np.empty(4096, np.int32)
    along = np.empty(height + 1, np.int32)
    used = 0
    work = np.int64(0)
    for s in range(len(boundary)):
        along[0] = boundary[s]
        k = 0
        while k < len(byte):
            d = depth[k]
            t = table[along[d - 1], byte_class[byte[k]]]
            work += 1
            if t < 0:
                k = skip[k]
                continue
            along[d] = t
            if last[k] > first[k]:
                symbols, targets = grown(symbols, used + 1), grown(targets, used + 1)
                symbols[used] = first[k]
                targets[used] = number[t]
                used += 1
            k += 1
        offsets[s + 1] = used
        if work > max_work:
            return offsets, symbols, targets, 2
    return offsets, symbols[:used].copy(), targets[:used].copy(), 0


@kernel
def distances(offsets, targets, accept):
    """Fewest transitions from each state to an accepting one, int32[S]; breadth-first backwards. -1: none."""
    into, order = grouped(targets, len(accept))
    source = sources(offsets)
    distance = np.full(len(accept), -1, np.int32)
    queue = np.empty(len(accept), np.int32)
    head = tail = 0
    for s in range(len(accept)):
        if accept[s]:
            distance[s] = 0
            queue[tail] = s
            tail += 1
    while head < tail:
        t = queue[head]
        head += 1
        for k in range(into[t], into[t + 1]):
            s = source[order[k]]
            if distance[s] < 0:
                distance[s] = distance[t] + 1
                queue[tail] = s
                tail += 1
    return distance


@kernel
def _keep_states(offsets, symbols, targets, keep):
    """Only the states in `keep`, renumbered in order, and the transitions among them."""
    number = np.cumsum(keep).astype(np.int32) - 1
    new_offsets = np.zeros(number[-1] + 2, np.int64)
    used = 0
    for s in range(len(keep)):
        if keep[s]:
            for e in range(offsets[s], offsets[s + 1]):
                if keep[targets[e]]:
                    symbols[used] = symbols[e]
                    targets[used] = number[targets[e]]
                    used += 1
            new_offsets[number[s] + 1] = used
    return new_offsets, symbols[:used].copy(), targets[:used].copy()


def lift(dfa: ByteDFA, vocabulary: Vocabulary, limits: Limits = Limits()) -> TokenAutomaton:
    """The automaton of all token strings whose bytes `dfa` accepts.

    Raises LimitExceeded, and EmptyConstraint if no tokens of this vocabulary spell any of its texts.
    """
    if vocabulary.strips_leading_space:
        dfa = _with_leading_space(dfa)
    trie = vocabulary.trie
    region = find_region(dfa, vocabulary)
    column, stay, enter = (np.zeros(len(t.byte), np.uint64) for t in (trie, region.stay, region.enter))
    boundary, status = _discover(
        dfa.table, dfa.classes, tuple(trie), column, region.inside, region.enters, PICKY,
        tuple(region.stay), stay, tuple(region.enter), enter, trie.height, limits.states, limits.work,
    )  # fmt: skip
    limits.check(status, "lifting this constraint to tokens")
    hashes = np.zeros(len(vocabulary.order), np.uint64)
    _add_columns(hashes, trie.first, trie.last, column, np.arange(len(hashes)))
    _add_columns(hashes, region.stay.first, region.stay.last, stay, region.stay_key)
    _add_columns(hashes, region.enter.first, region.enter.last, enter, region.enter_key)
    class_of, example = number_equal(hashes)

    number = np.full(len(dfa.table), -1, np.int32)
    number[boundary] = np.arange(len(boundary))
    small = build_trie(vocabulary.data, vocabulary.offsets, vocabulary.order[example])
    *rows, status = _transitions(
        dfa.table, dfa.classes, boundary, number, small.byte, small.depth, small.skip, small.first, small.last,
        trie.height, limits.work,
    )  # fmt: skip
    limits.check(status, "lifting this constraint to tokens")
    offsets, symbols, targets = rows
    accept = dfa.accept[boundary]
    distance = distances(offsets, targets, accept)
    live = distance >= 0
    if not live[0]:
        raise EmptyConstraint("no tokens of this vocabulary spell any text that satisfies the constraint")
    if not live.all():
        offsets, symbols, targets = _keep_states(offsets, symbols, targets, live)
        accept, distance = accept[live], distance[live]
    return _with_classes(vocabulary, class_of, offsets, symbols, targets, accept, distance)


def _with_classes(vocabulary, class_of, offsets, symbols, targets, accept, distance) -> TokenAutomaton:
    """Number the classes that are in use, and list their members."""
    used = np.unique(symbols)
    rename = np.full(int(class_of.max(initial=-1)) + 2, -1, np.int32)
    rename[used] = np.arange(len(used))
    classes = np.full(len(vocabulary), -1, np.int32)
    classes[vocabulary.order] = rename[class_of]  # index -1 hits the last entry, which is -1
    ids = np.flatnonzero(classes >= 0).astype(np.int32)
    member_offsets, order = grouped(classes[ids], len(used))
    return TokenAutomaton(
        classes, member_offsets, ids[order], offsets, rename[symbols], targets, accept, distance
    )


def _with_leading_space(dfa: ByteDFA) -> ByteDFA:
    """For tokenizers that drop one space at the start of a text: what is written is `" " + text`, or `text` itself
    where that does not begin with a space. A new start does the choosing."""
    space = dfa.classes[ord(" ")]
    shared = np.count_nonzero(dfa.classes == space) > 1
    columns = np.concatenate([dfa.table, dfa.table[:, space : space + 1]], 1) if shared else dfa.table
    classes = dfa.classes.copy()
    if shared:
        classes[ord(" ")] = space = columns.shape[1] - 1
    table = np.concatenate([columns[:1], np.where(columns >= 0, columns + 1, -1)])
    table[0] = table[1]
    table[0, space] = 1
    return ByteDFA(table.astype(np.int32), classes, np.concatenate([dfa.accept[:1], dfa.accept]))
