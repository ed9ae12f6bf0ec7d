"""Smaller tries for the states that look alike.

Inside a JSON string, a name or any run of free characters, hundreds of states treat most bytes alike: letters go on,
a quote ends it. Take a partition of the bytes and let the *region* be the states that cannot tell two bytes of one part
apart. As long as a walk stays in the region, only the parts of a token's bytes matter; from the first byte that may
leave it on, the bytes themselves do. So tokens with the same *key* (parts up to there, bytes from there on) lead to the
same place from every state of the region, and one token a key is enough to walk from them. The same holds for a walk
that enters the region with its first byte (the last digit of an escape, say), if that byte is kept in the key.

From some states every walk comes into the region in a few bytes: inside an escape such as \\u00e9, say. For these *near*
states the first bytes have parts of their own, which they cannot tell apart either (the kinds of hexadecimal digits).

UTF-8 needs one refinement. After E0, ED, F0 and F4 not every continuation byte may follow, so there, and at the start
of a token, where the byte before is unknown, continuation bytes have finer parts than elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.encodings import ByteDFA
from dgemma_constrain.automata.kernels import kernel, mix
from dgemma_constrain.tokens.copies import find_copies
from dgemma_constrain.tokens.keys import HOPS, STAYING, Copied, Cut, cut, uncut
from dgemma_constrain.tokens.vocabulary import Vocabulary

MANY_BYTES = 40  # a state with so many live bytes walks much of the trie
WORTH_IT = 4  # so many of them pay for building two more tries
MAX_PARTS = 40
COMMON = 32  # one in so many of them makes a kind common
SELDOM = 0.006  # of a vocabulary's bytes: what parts for other kinds may set apart, and for those that most bytes lead from into
# the region anyway (in an undeclared name, while it could still become a declared one); more would cost more than it saves
ODD = 0.003  # of a vocabulary's bytes: a byte that is so frequent, and by which few states leave the region; these are left out
ROUNDS = 4
SAMPLE = 256  # busy states looked at to find the commonest kinds
OUTSIDE, STAY, NEAR, COPY, COPY_OUTSIDE = range(5)  # ways to walk


def _byte_sets(*sets: tuple) -> np.ndarray:
    """int64[256]: the number of the set that each byte lies in, 0 for none."""
    part = np.zeros(256, np.int64)
    for number, ranges in enumerate(sets, 1):
        for lo, hi in ranges:
            part[lo : hi + 1] = number
    return part


PICKY = _byte_sets(((0xE0, 0xE0), (0xED, 0xED), (0xF0, 0xF0), (0xF4, 0xF4))) > 0  # leads that restrict what follows
CONTINUATION = _byte_sets(((0x80, 0xBF),)) > 0
FINE = _byte_sets(
    ((0x80, 0x8F),), ((0x90, 0x9F),), ((0xA0, 0xBF),), ((0xC2, 0xDF),), ((0xE0, 0xE0),),
    ((0xE1, 0xEC), (0xEE, 0xEF)), ((0xED, 0xED),), ((0xF0, 0xF0),), ((0xF1, 0xF3),), ((0xF4, 0xF4),),
)  # fmt: skip


class Region(NamedTuple):
    """way int8[S]: how walks from each state go, one of the five below; enters bool[S, 2]: states whose predecessors
    may go on by ENTERING keys, by whether the byte between them is picky; the keys of the tokens (see keys.py), and what
    is walked from copies."""

    way: np.ndarray
    enters: np.ndarray
    cut: Cut
    copied: Copied


def find_region(
    dfa: ByteDFA,
    columns: np.ndarray,
    live: np.ndarray,
    first_class: np.ndarray,
    vocabulary: Vocabulary,
    copies: bool = True,
) -> Region:
    """The region of the commonest kinds of busy states; an empty one where it would not pay. `columns`, `live` and
    `first_class` are as `by_columns` makes them; `copies`: whether states may be walked from as copies of others."""
    busy = np.flatnonzero(live >= MANY_BYTES)
    if len(busy) < WORTH_IT:
        return Region(np.zeros(len(live), np.int8), np.zeros((len(live), 2), bool), *uncut(vocabulary))
    weight = vocabulary.byte_weights
    part = _finest(dfa.table, dfa.classes, _sample(busy), FINE, weight, int(SELDOM * weight.sum()))
    coarse = np.where(CONTINUATION, part[0x80], part)
    inside, enters, leaves = _inside(columns, dfa.classes, part, coarse, PICKY, weight, int(ODD * weight.sum()))
    order = np.argsort(PICKY, kind="stable")[::-1]  # a class is picky if all of its bytes are
    picky = np.ones(len(columns), bool)
    picky[dfa.classes[order]] = PICKY[order]
    near = _coming(dfa.table, first_class, picky, ~inside, enters)
    first = _finest(dfa.table, dfa.classes, _sample(np.flatnonzero(near)), part, weight, -1)
    near = _coming(dfa.table, first_class, picky, near & _constant(columns, dfa.classes, first), enters)
    way = np.where(inside, STAY, np.where(near, NEAR, OUTSIDE)).astype(np.int8)
    copy, leaving = find_copies(dfa, first_class, way > OUTSIDE) if copies else (inside & False, leaves & False)
    keys, copied = cut(vocabulary, part, coarse, first, PICKY, leaves, leaving & copy.any())
    if len(copied.copies.byte) < len(keys.keys[STAYING].trie.byte):
        way[copy] = np.where(way[copy] > OUTSIDE, COPY, COPY_OUTSIDE)
    return Region(way, enters, keys, copied)


def _sample(states: np.ndarray) -> np.ndarray:
    return states[:: max(1, -(-len(states) // SAMPLE))].astype(np.int32)


@kernel
def by_columns(table, classes):
    """The table by columns, int32[K, S]; how many bytes each state reads, and the first class of those (K for none), int32[S]
    both; and which classes any state reads, bool[K]."""
    states, width = table.shape
    widths = np.zeros(width, np.int32)
    for c in classes:
        widths[c] += 1
    columns, live, first = np.empty((width, states), np.int32), np.empty(states, np.int32), np.empty(states, np.int32)
    dead = np.full(width, -1, np.int32)  # keeps its sign as long as all are negative
    for begin in range(0, states, 64):  # of which the rows stay in the cache
        past = min(states, begin + 64)
        for s in range(begin, past):
            count, least = np.int32(0), np.int32(width)
            for c in range(width):
                t = table[s, c]
                dead[c] &= t
                count += widths[c] if t >= 0 else np.int32(0)
                least = min(least, np.int32(c) if t >= 0 else np.int32(width))
            live[s], first[s] = count, least
        for c in range(width):
            for s in range(begin, past):
                columns[c, s] = table[s, c]
    return columns, live, first, dead >= 0


@kernel
def _finest(table, classes, sample, part, weight, budget):
    """The parts, int64[256], cut by the commonest kinds of some states: by which bytes they treat alike. What is needless
    may set bytes of so much weight apart as the budget allows; with none, -1, only kinds that are not common are needless."""
    width = table.shape[1]
    patterns, known = np.empty((len(sample), width), np.uint8), np.empty(len(sample), np.uint64)
    count, example = np.zeros(len(sample), np.int64), np.empty(len(sample), np.int32)
    kinds = 0
    words = np.empty(width, np.uint64)
    for c in range(width):
        words[c] = mix(c)
    named, stamp = np.zeros(len(table) + 1, np.uint8), np.full(len(table) + 1, -1, np.int32)
    for i in range(len(sample)):
        h = np.uint64(0)
        for c in range(width):
            t = table[sample[i], c] + 1
            if stamp[t] != i:
                stamp[t], named[t] = i, c
            patterns[kinds, c] = named[t]  # the first class with the same target
            h += words[c] * np.uint64(named[t])
        k = 0
        while k < kinds and known[k] != h:
            k += 1
        if k == kinds:
            known[k], example[k] = h, sample[i]
            kinds += 1
        count[k] += 1
    weights = np.zeros(len(table), np.int64)
    for _ in range(kinds):
        k = 0
        for i in range(kinds):
            if count[i] > count[k]:
                k = i
        finer, parts = _finer(part, patterns[k], classes)
        needless = count[k] * COMMON < len(sample)
        count[k] = 0
        if not needless and budget >= 0:
            usual = np.int32(-1)  # where most bytes lead from such a state
            for b in range(256):
                t = table[example[k], classes[b]]
                if t >= 0:
                    weights[t] += weight[b]
                    if usual < 0 or weights[t] > weights[usual]:
                        usual = t
            for b in range(256):
                weights[max(table[example[k], classes[b]], 0)] = 0
            needless = usual >= 0 and _is_constant(table[usual], classes, part)
        cost = _apart(part, finer, weight) if needless else budget
        if parts <= MAX_PARTS and cost <= budget:
            budget -= cost if needless else 0
            part = finer
    return part


@kernel
def _finer(part, kind, classes):
    """The parts cut by a kind, int64[256], and how many they are."""
    finer = np.empty(256, np.int64)
    known = np.full((MAX_PARTS, 256), -1, np.int16)
    count = 0
    for b in range(256):
        k = kind[classes[b]]
        if known[part[b], k] < 0:
            known[part[b], k] = count
            count += 1
        finer[b] = known[part[b], k]
    return finer, count


@kernel
def _apart(part, finer, weight):
    """The weight of the bytes that finer parts take out of the parts that they were in."""
    left, largest, of = np.zeros(256, np.int64), np.zeros(256, np.int64), np.zeros(256, np.int64)
    total = np.int64(0)
    for b in range(256):
        left[finer[b]] += weight[b]
        of[finer[b]] = part[b]
        total += weight[b]
    for p in range(256):
        if left[p] > largest[of[p]]:
            total -= left[p] - largest[of[p]]
            largest[of[p]] = left[p]
    return total


@kernel
def _is_constant(row, classes, part):
    """Whether a state that leads to row[classes[b]] by byte b cannot tell two bytes of one part apart."""
    first = np.full(256, -1, np.int64)
    for b in range(256):
        if first[part[b]] < 0:
            first[part[b]] = b
        elif row[classes[b]] != row[classes[first[part[b]]]]:
            return False
    return True


@kernel
def _constant(columns, classes, part):
    """bool[S]: the states that cannot tell two bytes of one part apart."""
    width, states = columns.shape
    first, seen = np.full(256, -1, np.int64), np.zeros((width, width), np.bool_)
    result = np.ones(states, np.bool_)
    for b in range(256):
        c = np.int64(classes[b])
        if first[part[b]] < 0:
            first[part[b]] = c
        d = first[part[b]]
        if c != d and not seen[c, d]:
            seen[c, d] = True
            for s in range(states):
                result[s] &= columns[c, s] == columns[d, s]
    return result


@kernel
def _inside(columns, classes, part, coarse, picky, weight, frequent):
    """The region, bool[S], its `enters`, and bool[256]: the bytes by which a state of it goes where a walk by parts could not
    follow. States that do so by an odd byte are left out."""
    width, states = columns.shape
    inside, plain = _constant(columns, classes, part), _constant(columns, classes, coarse)
    enters, leaves = np.empty((states, 2), np.bool_), np.zeros(256, np.int64)
    some = np.empty(states, np.int32)
    has_picky = np.zeros(width, np.bool_)
    for b in range(256):
        has_picky[classes[b]] |= picky[b]
    for _ in range(ROUNDS):
        n = 0
        for s in range(states):
            enters[s, 0], enters[s, 1] = inside[s] & plain[s], inside[s]  # what may follow any byte, and a picky one
            some[n] = s
            n += np.int64(inside[s])
        for after in range(2):
            for c in range(width):
                count = 0
                for i in range(n if after == 0 or has_picky[c] else 0):
                    t = columns[c, some[i]]
                    count += np.int64(t >= 0 and not enters[t, after])
                for b in range(256):
                    if classes[b] == c and np.int64(picky[b]) == after:
                        leaves[b] = count
        odd = False
        for b in range(256):
            if leaves[b] > 0 and weight[b] > frequent and leaves[b] * COMMON < n:
                odd = True
                for i in range(n):
                    t = columns[classes[b], some[i]]
                    if t >= 0 and not enters[t, np.int64(picky[b])]:
                        inside[some[i]] = False
        if not odd:
            break
    return inside, enters, leaves > 0


@kernel
def _coming(table, first_class, picky, able, enters):
    """bool[S]: those of the `able` states from which every walk is in the region after HOPS bytes at most, and in such
    states before that. A class of bytes is picky if all of its bytes are."""
    far, at = np.full(len(table), HOPS + 1, np.int32), first_class.copy()  # at: the classes before are looked at
    todo = np.empty(len(table), np.int32)
    count = 0
    for s in range(len(table)):
        todo[count] = s
        count += np.int64(able[s])
    for hop in range(1, HOPS + 1):
        left = 0
        for i in range(count):
            s = todo[i]
            c = at[s]
            while c < len(picky):
                t = table[s, c]
                if t >= 0 and not enters[t, np.int64(picky[c])] and far[t] >= hop:
                    break
                c += 1
            at[s] = c
            if c == len(picky):
                far[s] = hop
            else:
                todo[left] = s
                left += 1
        if left == count:
            break
        count = left
    return far <= HOPS
