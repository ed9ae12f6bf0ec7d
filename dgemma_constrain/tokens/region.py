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
from dgemma_constrain.automata.kernels import kernel
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


def _apart(part: np.ndarray, finer: np.ndarray, weight: np.ndarray) -> int:
    """The weight of the bytes that finer parts, int64[256], take out of the parts that they were in."""
    left = np.bincount(finer, weight)
    largest = np.zeros(part.max() + 1)
    np.maximum.at(largest, part, left[finer])
    return int(weight.sum() - largest.sum())


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


def find_region(dfa: ByteDFA, vocabulary: Vocabulary, copies: bool = True) -> Region:
    """The region of the commonest kinds of busy states; an empty one where it would not pay. `copies`: whether states
    may be walked from as copies of others."""
    widths = np.bincount(dfa.classes, minlength=dfa.table.shape[1])
    busy = np.flatnonzero(_live_bytes(dfa.table, widths) >= MANY_BYTES)
    if len(busy) < WORTH_IT:
        return Region(np.zeros(len(dfa.table), np.int8), np.zeros((len(dfa.table), 2), bool), *uncut(vocabulary))
    sample = busy[:: -(-len(busy) // SAMPLE)]
    part = FINE
    weight = np.bincount(vocabulary.data[::SAMPLE], minlength=256)
    budget = SELDOM * weight.sum()
    for kind, count, state in _kinds(dfa, sample):
        finer = _finer(part, kind)
        usual = np.bincount(dfa.table[state][dfa.classes] + 1, weight)[1:].argmax()  # where most bytes lead
        needless = count * COMMON < len(sample) or _is_constant(dfa.table[usual][dfa.classes], part)
        cost = _apart(part, finer, weight) if needless else 0
        if finer.max() < MAX_PARTS and cost <= budget:
            part, budget = finer, budget - cost
    coarse = np.where(CONTINUATION, part[0x80], part)
    inside = _constant(dfa.table, *_pairs(dfa.classes, part))
    plain = _constant(dfa.table, *_pairs(dfa.classes, coarse))
    for _ in range(ROUNDS):
        enters = np.stack([inside & plain, inside], 1)  # what may follow any byte, and a picky one
        leaves = _leaving(dfa.table, dfa.classes, inside, enters, PICKY)
        odd = (leaves > 0) & (weight > ODD * weight.sum()) & (leaves * COMMON < inside.sum())
        if not odd.any():
            break
        inside = inside & ~_leave_by(dfa.table, dfa.classes, inside, enters, PICKY, odd)
    leaves = leaves > 0
    near, first = _near(dfa, part, inside, enters)
    way = np.where(inside, STAY, np.where(near, NEAR, OUTSIDE)).astype(np.int8)
    copy, leaving = find_copies(dfa, way > OUTSIDE) if copies else (inside & False, leaves & False)
    keys, copied = cut(vocabulary, part, coarse, first, PICKY, leaves, leaving & copy.any())
    if len(copied.copies.byte) < len(keys.keys[STAYING].trie.byte):
        way[copy] = np.where(way[copy] > OUTSIDE, COPY, COPY_OUTSIDE)
    return Region(way, enters, keys, copied)


def _near(dfa: ByteDFA, part: np.ndarray, inside: np.ndarray, enters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The near states, bool[S], and finer parts for the first bytes of their walks."""
    order = np.argsort(PICKY, kind="stable")[::-1]  # a class is picky if all of its bytes are
    picky = np.ones(dfa.table.shape[1], bool)
    picky[dfa.classes[order]] = PICKY[order]
    near = _coming(dfa.table, picky, ~inside, enters)
    sample = np.flatnonzero(near)
    sample = sample[:: max(1, -(-len(sample) // SAMPLE))]
    for kind, count, _ in _kinds(dfa, sample):
        finer = _finer(part, kind)
        if count * COMMON >= len(sample) and finer.max() < MAX_PARTS:
            part = finer
    return _coming(dfa.table, picky, near & _constant(dfa.table, *_pairs(dfa.classes, part)), enters), part


def _kinds(dfa: ByteDFA, sample: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """The kinds of some states, the commonest first: which bytes they treat alike (int[256]), how many there are, and one."""
    patterns = _patterns(dfa.table[sample])
    found: dict[bytes, list[int]] = {}
    for state, pattern in zip(sample.tolist(), patterns):
        found.setdefault(pattern.tobytes(), []).append(state)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(np.frombuffer(kind, np.uint8)[dfa.classes], len(states), states[0]) for kind, states in ordered]


@kernel
def _finer(part, kind):
    """The parts cut by a kind, int64[256]."""
    finer = np.empty(256, np.int64)
    known = np.full((MAX_PARTS, 256), -1, np.int16)
    count = 0
    for b in range(256):
        if known[part[b], kind[b]] < 0:
            known[part[b], kind[b]] = count
            count += 1
        finer[b] = known[part[b], kind[b]]
    return finer


def _is_constant(row: np.ndarray, part: np.ndarray) -> bool:
    """Whether a state that leads to row[b] by byte b cannot tell two bytes of one part apart."""
    first = np.zeros(256, np.int64)
    first[part] = row
    return bool((first[part] == row).all())


def _pairs(classes: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The byte classes that share a part with another, and the first class of that part."""
    _, first, inverse = np.unique(part, return_index=True, return_inverse=True)
    pairs = np.unique(np.stack([classes, classes[first[inverse]]]), axis=1)
    return np.ascontiguousarray(pairs[:, pairs[0] != pairs[1]])


@kernel
def _live_bytes(table, widths):
    live = np.zeros(len(table), np.int32)
    for s in range(len(table)):
        for c in range(len(widths)):
            if table[s, c] >= 0:
                live[s] += widths[c]
    return live


@kernel
def _constant(table, left, right):
    """bool[S]: the states in which every class in `left` leads where its partner in `right` does."""
    result = np.empty(len(table), np.bool_)
    for s in range(len(table)):
        result[s] = True
        for i in range(len(left)):
            if table[s, left[i]] != table[s, right[i]]:
                result[s] = False
                break
    return result


@kernel
def _coming(table, picky, able, enters):
    """bool[S]: those of the `able` states from which every walk is in the region after HOPS bytes at most, and in such
    states before that. A class of bytes is picky if all of its bytes are."""
    far = np.full(len(table), HOPS + 1, np.int32)
    for hop in range(1, HOPS + 1):
        more = False
        for s in range(len(table)):
            if able[s] and far[s] > hop:
                comes = True
                for c in range(len(picky)):
                    t = table[s, c]
                    if t >= 0 and not enters[t, np.int64(picky[c])] and far[t] >= hop:
                        comes = False
                        break
                if comes:
                    far[s] = hop
                    more = True
        if not more:
            break
    return far <= HOPS


@kernel
def _leaving(table, classes, inside, enters, picky):
    """int64[256]: from how many states of the region each byte goes where a walk by parts could not follow."""
    leaves = np.zeros(256, np.int64)
    for s in range(len(table)):
        if inside[s]:
            for b in range(256):
                t = table[s, classes[b]]
                if t >= 0 and not enters[t, np.int64(picky[b])]:
                    leaves[b] += 1
    return leaves


@kernel
def _leave_by(table, classes, inside, enters, picky, odd):
    """bool[S]: the states of the region from which an odd byte goes where a walk by parts could not follow."""
    found = np.zeros(len(table), np.bool_)
    for b in range(256):
        if odd[b]:
            for s in range(len(table)):
                t = table[s, classes[b]]
                if inside[s] and t >= 0 and not enters[t, np.int64(picky[b])]:
                    found[s] = True
    return found


@kernel
def _patterns(rows):
    """Which classes of bytes each row treats alike: each is named by the first one with the same target. uint8[n, K]."""
    n, width = rows.shape
    patterns = np.empty((n, width), np.uint8)
    for i in range(n):
        for c in range(width):
            d = 0
            while rows[i, d] != rows[i, c]:
                d += 1
            patterns[i, c] = d
    return patterns
