"""Smaller tries for the states that look alike.

Inside a JSON string, a name or any run of free characters, hundreds of states treat most bytes alike: letters go on,
a quote ends it. Take a partition of the bytes and let the *region* be the states that cannot tell two bytes of one part
apart. As long as a walk stays in the region, only the parts of a token's bytes matter; from the first byte that may
leave it on, the bytes themselves do. So tokens with the same *key* (parts up to there, bytes from there on) lead to the
same place from every state of the region, and one token a key is enough to walk from them. The same holds for a walk
that enters the region with its first byte (the last digit of an escape, say), if that byte is kept in the key.

UTF-8 needs one refinement. After E0, ED, F0 and F4 not every continuation byte may follow, so there, and at the start
of a token, where the byte before is unknown, continuation bytes have finer parts than elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.encodings import ByteDFA
from dgemma_constrain.automata.kernels import grown, kernel, mix
from dgemma_constrain.tokens.trie import Trie, build_trie
from dgemma_constrain.tokens.vocabulary import Vocabulary

MANY_BYTES = 40  # a state with so many live bytes walks much of the trie
WORTH_IT = 4  # so many of them pay for building two more tries
MAX_PARTS = 40
SAMPLE = 256  # busy states looked at to find the commonest kinds


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
    """inside bool[S]: states that walk `stay`; enters bool[S, 2]: states whose predecessors may go on in `enter`, by
    whether the byte between them is picky. `stay_key`, `enter_key` int32[n]: the position of each sorted token's key in
    the trie of that name."""

    inside: np.ndarray
    enters: np.ndarray
    stay: Trie
    stay_key: np.ndarray
    enter: Trie
    enter_key: np.ndarray


def find_region(dfa: ByteDFA, vocabulary: Vocabulary) -> Region:
    """The region of the commonest kinds of busy states; an empty one where it would not pay."""
    widths = np.bincount(dfa.classes, minlength=dfa.table.shape[1])
    busy = np.flatnonzero(_live_bytes(dfa.table, widths) >= MANY_BYTES)
    if len(busy) < WORTH_IT:
        nobody = np.zeros(len(dfa.table), bool)
        nothing = build_trie(vocabulary.data, vocabulary.offsets, vocabulary.order[:0])
        no_key = np.zeros(0, np.int32)
        return Region(nobody, np.stack([nobody, nobody], 1), nothing, no_key, nothing, no_key)
    sample = busy[:: -(-len(busy) // SAMPLE)]
    kinds, counts = np.unique(_patterns(dfa.table[sample], dfa.classes), axis=0, return_counts=True)
    part = FINE
    for kind in kinds[np.argsort(-counts, kind="stable")]:
        finer = np.unique(part * 256 + kind, return_inverse=True)[1]
        if finer.max() < MAX_PARTS:
            part = finer
    coarse = np.where(CONTINUATION, part[0x80], part)
    inside = _constant(dfa.table, *_pairs(dfa.classes, part))
    plain = inside & _constant(dfa.table, *_pairs(dfa.classes, coarse))  # may follow any byte; others, a picky one
    enters = np.stack([plain, inside], 1)
    leaves = _leaving(dfa.table, dfa.classes, inside, enters, PICKY)
    tries = []
    for raw in (0, 1):
        hashes = _keys(vocabulary.data, vocabulary.offsets, vocabulary.order, part, coarse, PICKY, leaves, raw)
        key, first = number_equal(hashes)
        tries += [build_trie(vocabulary.data, vocabulary.offsets, vocabulary.order[first]), key]
    return Region(inside, enters, *tries)


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
    result = np.ones(len(table), np.bool_)
    for s in range(len(table)):
        for i in range(len(left)):
            if table[s, left[i]] != table[s, right[i]]:
                result[s] = False
                break
    return result


@kernel
def _leaving(table, classes, inside, enters, picky):
    """bool[256]: bytes on which some state of the region goes where a walk by parts could not follow."""
    leaves = np.zeros(256, np.bool_)
    for s in range(len(table)):
        if inside[s]:
            for b in range(256):
                t = table[s, classes[b]]
                if t >= 0 and not enters[t, np.int64(picky[b])]:
                    leaves[b] = True
    return leaves


@kernel
def _patterns(rows, classes):
    """Which bytes each row treats alike: every byte is named by the first one with the same target. uint8[n, 256]."""
    n, width = rows.shape
    patterns = np.empty((n, 256), np.uint8)
    name = np.empty(width, np.int32)
    for i in range(n):
        name[:] = -1
        for b in range(256):
            c = classes[b]
            if name[c] < 0:
                name[c] = b
                for d in range(width):
                    if name[d] >= 0 and rows[i, d] == rows[i, c]:
                        name[c] = min(name[c], name[d])
            patterns[i, b] = name[c]
    return patterns


@kernel
def _keys(data, offsets, order, part, coarse, picky, leaves, raw):
    """A 64-bit hash of each token's key, its first `raw` bytes kept as they are."""
    hashes = np.empty(len(order), np.uint64)
    for i in range(len(order)):
        h = np.uint64(1)
        left = False
        start = offsets[order[i]]
        for j in range(start, offsets[order[i] + 1]):
            b = data[j]
            if j - start < raw:
                h = mix(h ^ np.uint64(256 + b))
                continue
            left = left or leaves[b]
            known = j > start and not picky[data[j - 1]]
            h = mix(h ^ np.uint64(256 + b if left else coarse[b] if known else part[b]))
        hashes[i] = h
    return hashes


@kernel
def number_equal(hashes):
    """Number equal non-zero hashes alike: (ids int32[n], -1 for zero; the first index of each)."""
    size = 1 << 12
    table = np.full(size, -1, np.int32)
    ids = np.empty(len(hashes), np.int32)
    first = np.empty(1024, np.int32)
    count = 0
    for i in range(len(hashes)):
        h = hashes[i]
        if h == 0:
            ids[i] = -1
            continue
        slot = np.int64(h & np.uint64(size - 1))
        while table[slot] >= 0 and hashes[first[table[slot]]] != h:
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            first = grown(first, count + 1)
            first[count] = i
            table[slot] = count
            count += 1
            if 2 * count > size:
                size *= 4
                table = np.full(size, -1, np.int32)
                for j in range(count):
                    slot = np.int64(hashes[first[j]] & np.uint64(size - 1))
                    while table[slot] >= 0:
                        slot = (slot + 1) & (size - 1)
                    table[slot] = j
            ids[i] = count - 1
        else:
            ids[i] = table[slot]
    return ids, first[:count].copy()
