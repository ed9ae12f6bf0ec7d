"""Lifting: from an automaton over bytes to one over the tokens of a vocabulary.

A walk of the trie (`walk.py`) tells where every token leads; it is walked once for thousands of states at a time, with one
vector of states per depth, from which those that die are dropped. One byte then moves all of them along one column of
the table.

Tokens that lead to the same place from every state are one *class*. A token's column of targets is hashed as the sum of
left[state] · right[target] over random 64-bit words; equal hashes are equal columns but for odds of about n²/2⁶⁰. A
second walk, over one token of each class, writes the transitions (`rows.py`). Nothing is kept per token but its class.

Long runs of similar states (the inside of a string, 500 characters of a bounded one) would walk the whole trie once
each. `region.py` finds them, and `keys.py` gives them smaller tries, in which tokens that none of them can tell apart are
one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.encodings import ByteDFA
from dgemma_constrain.automata.kernels import distances, kernel, mix
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.minimize import keep_states
from dgemma_constrain.errors import EmptyConstraint
from dgemma_constrain.tokens.classes import classes_of, shortest, token_hashes
from dgemma_constrain.tokens.keys import NEARING, STAYING, Cut, number_equal
from dgemma_constrain.tokens.region import COPY, COPY_OUTSIDE, NEAR, OUTSIDE, PICKY, STAY, by_columns, find_region
from dgemma_constrain.tokens.rows import Walk, walk_rows, write_rows
from dgemma_constrain.tokens.trie import KIND, build_trie
from dgemma_constrain.tokens.vocabulary import Vocabulary
from dgemma_constrain.tokens.walk import discover


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
def _words(states):
    """Two random words for each state."""
    left, right = np.empty(states, np.uint64), np.empty(states, np.uint64)
    for s in range(states):
        left[s], right[s] = mix(2 * s), mix(2 * s + 1)
    return left, right


@kernel
def _inward(offsets, targets):
    """The states that lead to each state, as rows (offsets, sources), each but once."""
    states = len(offsets) - 1
    into = np.zeros(states + 1, np.int64)
    stamp = np.full(states, -1, np.int32)
    source, target = np.empty(len(targets), np.int32), np.empty(len(targets), np.int32)
    count = 0
    for s in range(states):
        for e in range(offsets[s], offsets[s + 1]):
            t = targets[e]
            if stamp[t] != s:  # seldom
                stamp[t] = s
                source[count], target[count] = s, t
                into[t + 1] += 1
                count += 1
    for s in range(states):
        into[s + 1] += into[s]
    sources = np.empty(count, np.int32)
    for i in range(count - 1, -1, -1):
        into[target[i] + 1] -= 1
        sources[into[target[i] + 1]] = source[i]
    for s in range(states):
        into[s] = into[s + 1]
    into[states] = count
    return into, sources


def lift(dfa: ByteDFA, vocabulary: Vocabulary, limits: Limits = Limits()) -> TokenAutomaton:
    """The automaton of all token strings whose bytes `dfa` accepts.

    Raises LimitExceeded, and EmptyConstraint if no tokens of this vocabulary spell any of its texts.
    """
    if vocabulary.strips_leading_space:
        dfa = _with_leading_space(dfa)
    trie = vocabulary.trie
    columns, live, first_class, read = by_columns(dfa.table, dfa.classes)
    all_bytes = not (read[dfa.classes] & ~vocabulary.single_bytes).any()  # as in most vocabularies
    region = find_region(dfa, columns, live, first_class, vocabulary, all_bytes)
    cut, copied = region.cut, region.copied
    left, right = _words(len(dfa.table))
    stay, enter, near = (keys.trie for keys in cut.keys)
    tries = tuple(tuple(t) for t in (trie, stay, near, copied.copies, copied.leaving, enter))
    sums = tuple(np.empty(first[-1] + 1, np.uint64) for *_, first, _, _ in tries)
    marks = tuple(np.zeros((first[-1] & -8) + 8, np.uint8) for *_, first, _, _ in tries)
    boundary, status = discover(
        dfa.table, columns, dfa.classes, tries, sums, marks, region.way, region.enters, PICKY, KIND, vocabulary.height, left,
        right, all_bytes, limits.states, limits.work,
    )  # fmt: skip
    limits.check(status, "lifting this constraint to tokens")
    hashes, touched, rest = token_hashes(
        sums,
        marks,
        cut.of_form,
        cut.form,
        cut.count,
        copied.copied,
        copied.left,
        vocabulary.order,
        len(vocabulary) // 2,
    )
    class_of, first = number_equal(hashes)
    example = shortest(
        class_of, len(first), touched, marks[0], cut.length, cut.first, cut.next, vocabulary.order, vocabulary.offsets
    )
    ascending = np.argsort(example)
    example = example[ascending]

    number = np.full(len(dfa.table), -1, np.int32)
    number[boundary] = np.arange(len(boundary))
    way = region.way[boundary]
    form = cut.form[example]
    walks = [
        Walk(boundary[(way == OUTSIDE) | (way == COPY_OUTSIDE)],
             build_trie(vocabulary.data, vocabulary.offsets, vocabulary.order[example]), np.arange(len(example))),
        _by_keys(boundary[way == STAY], cut, STAYING, form),
        _by_keys(boundary[(way == NEAR) | (way == COPY)], cut, NEARING, form),
    ]  # fmt: skip
    steps, sums, status = walk_rows(columns, dfa.classes, walks, number, vocabulary.height, left, right, limits.work)
    limits.check(status, "lifting this constraint to tokens")
    # Classes with equal columns are one after all (those with leaving bytes were kept apart from all others).
    joined, used = number_equal(sums)
    offsets, symbols, targets = write_rows(steps, used, len(boundary))
    number = np.empty(len(example), np.int32)
    number[ascending] = joined
    accept = dfa.accept[boundary]
    distance = distances(*_inward(offsets, targets), accept)
    live = distance >= 0
    count = len(used)
    if not live[0]:
        raise EmptyConstraint("no tokens of this vocabulary spell any text that satisfies the constraint")
    if not live.all():
        offsets, symbols, targets = keep_states(offsets, symbols, targets, live)
        accept, distance = accept[live], distance[live]
        left_over = np.bincount(symbols, minlength=count) > 0
        renamed = np.where(left_over, np.cumsum(left_over) - 1, -1).astype(np.int32)
        symbols, number, count = renamed[symbols], np.append(renamed, np.int32(-1))[number], int(left_over.sum())
    members = classes_of(class_of, number, count, touched, rest, cut.by_id, vocabulary.order)
    return TokenAutomaton(*members, offsets, symbols, targets, accept, distance)


def _by_keys(states: np.ndarray, cut: Cut, sort: int, form: np.ndarray) -> Walk:
    """States that read classes of these forms by their keys."""
    if not len(states):
        return Walk(states, cut.keys[sort].only(form[:0]), form)
    some, key = _ranked(cut.of_form[sort], form, len(cut.keys[sort].order))
    return Walk(states, cut.keys[sort].only(some), key)


@kernel
def _ranked(of_form, form, size):
    """The keys of some forms, ascending, and which of these each form has."""
    number = np.full(size, -1, np.int32)
    for f in form:
        number[of_form[f]] = 0
    some = np.empty(size, np.int32)
    count = 0
    for k in range(size):
        if number[k] == 0:
            number[k], some[count] = count, k
            count += 1
    key = np.empty(len(form), np.int64)
    for i in range(len(form)):
        key[i] = number[of_form[form[i]]]
    return some[:count], key


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
