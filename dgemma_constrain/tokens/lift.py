"""Lifting: from an automaton over bytes to one over the tokens of a vocabulary.

A walk of the trie tells where every token leads; it is walked once for thousands of states at a time, with one vector of
states per depth, from which those that die are dropped. One byte then moves all of them along one column of the table.

Tokens that lead to the same place from every state are one *class*. A token's column of targets is hashed as the sum of
left[state] · right[target] over random 64-bit words; equal hashes are equal columns but for odds of about n²/2⁶⁰. A
second walk, over one token of each class, writes the transitions. Nothing is kept per token but its class.

Long runs of similar states (the inside of a string, 500 characters of a bounded one) would walk the whole trie once
each. `region.py` finds them and gives them smaller tries, in which tokens that none of them can tell apart are one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.encodings import ByteDFA
from dgemma_constrain.automata.kernels import distances, kernel
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.minimize import keep_states
from dgemma_constrain.errors import EmptyConstraint
from dgemma_constrain.tokens.region import PICKY, find_region, number_equal
from dgemma_constrain.tokens.trie import KIND, build_trie
from dgemma_constrain.tokens.vocabulary import Vocabulary
from dgemma_constrain.tokens.walk import discover, write_rows

APART = np.uint64(0xD1B54A32D192ED03)  # sets tokens with leaving bytes apart from all others (see copies.py)


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
def _add(column, stay_key, stay, enter_key, enter, near_key, near):
    for i in range(len(stay_key)):
        column[i] += stay[stay_key[i]] + enter[enter_key[i]] + near[near_key[i]]


@kernel
def _inward(offsets, targets):
    """The states that lead to each state, as rows (offsets, sources), each but once."""
    into = np.zeros(len(offsets), np.int64)
    stamp = np.full(len(offsets) - 1, -1, np.int32)
    sources = np.empty(0, np.int32)
    for fill in (False, True):
        for s in range(len(offsets) - 1):
            for e in range(offsets[s], offsets[s + 1]):
                t = targets[e]
                if stamp[t] != s:
                    stamp[t] = s
                    if fill:
                        into[t] -= 1
                        sources[into[t]] = s
                    else:
                        into[t] += 1
        if not fill:
            for t in range(len(stamp)):
                into[t + 1] += into[t]
                stamp[t] = -1
            sources = np.empty(into[-2] if len(into) > 1 else 0, np.int32)
            into[-1] = len(sources)
    return into, sources


def lift(dfa: ByteDFA, vocabulary: Vocabulary, limits: Limits = Limits()) -> TokenAutomaton:
    """The automaton of all token strings whose bytes `dfa` accepts.

    Raises LimitExceeded, and EmptyConstraint if no tokens of this vocabulary spell any of its texts.
    """
    if vocabulary.strips_leading_space:
        dfa = _with_leading_space(dfa)
    trie = vocabulary.trie
    all_bytes = _has_all_bytes(dfa, vocabulary)
    region = find_region(dfa, vocabulary, all_bytes)
    columns = np.ascontiguousarray(dfa.table.T)
    left, right = np.random.default_rng(0x5EED).integers(0, 2**64, (2, len(dfa.table)), np.uint64)
    tries = tuple(tuple(t) for t in (trie, region.stay, region.near, region.copies, region.leaving, region.enter))
    hashes = tuple(np.zeros(first[-1], np.uint64) for *_, first, _, _ in tries)
    boundary, status = discover(
        dfa.table, columns, dfa.classes, tries, hashes, region.way, region.enters, PICKY, KIND, trie.height, left, right, all_bytes,
        limits.states, limits.work,
    )  # fmt: skip
    limits.check(status, "lifting this constraint to tokens")
    column, stay, near, copies, leaving, enter = hashes
    near[region.copied] += copies
    column[region.left] += leaving + APART
    _add(column, region.stay_key, stay, region.enter_key, enter, region.near_key, near)
    class_of, example = number_equal(column)

    number = np.full(len(dfa.table), -1, np.int32)
    number[boundary] = np.arange(len(boundary))
    small = build_trie(vocabulary.data, vocabulary.offsets, vocabulary.order[example])
    offsets, symbols, targets, sums, status = write_rows(
        columns, dfa.classes, boundary, number, tuple(small)[:5], trie.height, left, right, limits.work
    )
    limits.check(status, "lifting this constraint to tokens")
    accept = dfa.accept[boundary]
    distance = distances(*_inward(offsets, targets), accept)
    live = distance >= 0
    if not live[0]:
        raise EmptyConstraint("no tokens of this vocabulary spell any text that satisfies the constraint")
    trimmed = not live.all()
    if trimmed:
        offsets, symbols, targets = keep_states(offsets, symbols, targets, live)
        accept, distance = accept[live], distance[live]
    return _with_classes(vocabulary, class_of, sums, trimmed, offsets, symbols, targets, accept, distance)


def _has_all_bytes(dfa: ByteDFA, vocabulary: Vocabulary) -> bool:
    """Whether every byte that occurs in a text is a token of its own, as in most vocabularies."""
    needed = (dfa.table >= 0).any(0)[dfa.classes]
    return not (needed & ~vocabulary.single_bytes).any()


def _with_classes(vocabulary, class_of, sums, trimmed, offsets, symbols, targets, accept, distance) -> TokenAutomaton:
    """Join classes with equal columns (those with leaving bytes were kept apart from all others), number those that are in
    use, and list their members."""
    _, first, inverse = np.unique(sums, return_index=True, return_inverse=True)
    used = np.zeros(len(sums), bool)
    used[first] = sums[first] != 0
    if trimmed:
        used &= np.bincount(symbols, minlength=len(sums)) > 0
    number = np.where(used, np.cumsum(used) - 1, -1).astype(np.int32)
    size = len(symbols) if used.all() else _rename(offsets, symbols, targets, number)
    symbols, targets = symbols[:size].copy(), targets[:size].copy()
    number = number[first[inverse]]
    classes, member_offsets, members = _members(vocabulary.order, class_of, number, int(used.sum()), len(vocabulary))
    return TokenAutomaton(classes, member_offsets, members, offsets, symbols, targets, accept, distance)


@kernel
def _rename(offsets, symbols, targets, number):
    """Rename the symbols of rows, in place, and drop transitions on those that have no number; how many are left."""
    used = 0
    begin = offsets[0]
    for s in range(len(offsets) - 1):
        for e in range(begin, offsets[s + 1]):
            if number[symbols[e]] >= 0:
                symbols[used], targets[used] = number[symbols[e]], targets[e]
                used += 1
        begin = offsets[s + 1]
        offsets[s + 1] = used
    return used


@kernel
def _members(order, class_of, number, count, size):
    """The class of each id under its final number, and the ids of each class."""
    classes = np.full(size, -1, np.int32)
    offsets = np.zeros(count + 1, np.int64)
    last, run = np.int32(-1), 0  # neighbours in this order are alike more often than not
    for i in range(len(order)):
        c = number[class_of[i]] if class_of[i] >= 0 else np.int32(-1)
        classes[order[i]] = c
        if c != last:
            if last >= 0:
                offsets[last + 1] += run
            last, run = c, 0
        run += 1
    if last >= 0:
        offsets[last + 1] += run
    for c in range(count):
        offsets[c + 1] += offsets[c]
    place = offsets.copy()
    members = np.empty(offsets[count], np.int32)
    for t in range(size):
        if classes[t] >= 0:
            members[place[classes[t]]] = t
            place[classes[t]] += 1
    return classes, offsets, members


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
