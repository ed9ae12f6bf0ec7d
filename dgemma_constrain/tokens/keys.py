"""Keys: one string for all tokens that no state of a region tells apart (see region.py), and tries of such strings.

A key is the parts of a token's bytes up to the first that may leave the region, and the bytes themselves from there on. It
is spelt with one byte for each part, the least that stays; so keys are strings of bytes, which states of the region read
as they read the tokens, and which begin alike where tokens only look different ("abc" and "xyz").
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numba import njit

from dgemma_constrain.automata.kernels import grown, kernel
from dgemma_constrain.tokens.trie import Trie, build_trie, sort_tokens
from dgemma_constrain.tokens.vocabulary import Vocabulary

HOPS = 4  # bytes within which a near state's walks come into the region
STAYING, ENTERING, NEARING = range(3)  # by parts; with the first byte as it is; with parts of their own for HOPS bytes
NONE = np.uint64(0)
SEED, MULTIPLIER = np.uint64(0x2545F4914F6CDD1D), np.uint64(0x9E3779B97F4A7C15)


class Keys(NamedTuple):
    """Distinct strings: the i-th in sorted order is data[offsets[order[i]]:offsets[order[i]+1]]. Their trie."""

    data: np.ndarray
    offsets: np.ndarray
    order: np.ndarray
    trie: Trie

    def only(self, some: np.ndarray) -> Trie:
        """The trie of some of them, ascending."""
        return build_trie(self.data, self.offsets, self.order[some])


class Cut(NamedTuple):
    """The keys of a vocabulary's tokens, cut by what a region cannot tell apart. Tokens with the same three keys are of one
    *form*.

    keys     the distinct keys of the three sorts: STAYING, ENTERING and NEARING
    of_form  int32[3, F]  the keys of each form
    form     int32[n]     the form of each sorted token
    by_id    int32[V]     … and of each id; F for a special one
    count    int32[2, F]  how many tokens there are of each form, in the first and in the second half of the ids
    length   int32[F]     how many bytes they have, and all the same (where there are keys)
    first    int32[F]     the first of these, and
    next     int32[n]     the next of the same form after each
    """

    keys: tuple[Keys, Keys, Keys]
    of_form: np.ndarray
    form: np.ndarray
    by_id: np.ndarray
    count: np.ndarray
    length: np.ndarray
    first: np.ndarray
    next: np.ndarray


class Copied(NamedTuple):
    """What is walked from states that are copies of others (see copies.py): the NEARING keys with leaving bytes, of which
    copied, int32[m], says which they are; and all tokens with such bytes, of which left, int32[l], does."""

    copies: Trie
    copied: np.ndarray
    leaving: Trie
    left: np.ndarray


# Constraints of one kind (JSON strings, say) cut the bytes alike, so the last few cuts of a vocabulary are kept.
_KEPT = 16
_KNOWN: WeakKeyDictionary[Vocabulary, dict[bytes, tuple]] = WeakKeyDictionary()


def uncut(vocabulary: Vocabulary) -> tuple[Cut, Copied]:
    """No keys: all tokens have one form."""
    known = _KNOWN.setdefault(vocabulary, {})
    if b"" not in known:
        keys = Keys(vocabulary.data, vocabulary.offsets, vocabulary.order[:0], _trie(vocabulary, vocabulary.order[:0]))
        none = np.zeros(0, np.int32)
        forms = _forms(np.zeros(len(vocabulary.order), np.int32), 1, vocabulary)
        known[b""] = Cut((keys,) * 3, np.zeros((3, 1), np.int32), *forms), Copied(keys.trie, none, keys.trie, none)
    return known[b""]


def cut(
    vocabulary: Vocabulary,
    part: np.ndarray,
    coarse: np.ndarray,
    first: np.ndarray,
    picky: np.ndarray,
    leaves: np.ndarray,
    leaving: np.ndarray,
) -> tuple[Cut, Copied]:
    """The cut by `part`, int64[256], `coarse`, which depends on it, after a byte that is not `picky`, and `first` for the
    first bytes of NEARING keys, where the bytes in `leaves`, bool[256], end the parts; and what copies with these `leaving`
    bytes, bool[256], need."""
    known = _KNOWN.setdefault(vocabulary, {})
    name = part.tobytes() + first.tobytes() + leaves.tobytes()
    if name not in known:
        known[name] = _cut(vocabulary, part, coarse, first, picky, leaves)
    keys, examples = known[name]
    name += leaving.tobytes()
    if name not in known:
        some = np.flatnonzero(_with_byte(vocabulary.data, vocabulary.offsets, examples, leaving)).astype(np.int32)
        left = _through(tuple(vocabulary.trie)[:5], vocabulary.height, leaving)
        known[name] = Copied(keys.keys[NEARING].only(some), some, _trie(vocabulary, vocabulary.order[left]), left)
    copied = known[name]
    while len(known) > _KEPT:
        del known[next(iter(known))]
    return keys, copied


def _trie(vocabulary: Vocabulary, ids: np.ndarray) -> Trie:
    return build_trie(vocabulary.data, vocabulary.offsets, ids)


def _cut(vocabulary, part, coarse, first, picky, leaves) -> tuple[Cut, np.ndarray]:
    """The cut, and the id of a token with each NEARING key."""
    hashes = _hashes(tuple(vocabulary.trie)[:5], vocabulary.height, part, coarse, first, picky, leaves)
    spelt = _spellings(part, leaves), _spellings(coarse, leaves), _spellings(first, leaves)
    keys, numbers = [], []
    for sort in (STAYING, ENTERING, NEARING):
        number, example = number_equal(hashes[sort])
        examples = vocabulary.order[example]
        data, offsets = _spell(vocabulary.data, vocabulary.offsets, examples, sort, *spelt, picky, leaves)
        order = sort_tokens(data, offsets, np.arange(len(example)))
        keys.append(Keys(data, offsets, order, build_trie(data, offsets, order)))
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order))
        numbers.append((rank, number))
    form, example = number_equal(hashes[0] + hashes[1] * MULTIPLIER + hashes[2] * SEED)
    forms = _forms(form, len(example), vocabulary)
    of_form = np.stack([rank[number[example]] for rank, number in numbers])
    return Cut(tuple(keys), of_form, *forms), examples[order]


def _forms(form: np.ndarray, count: int, vocabulary: Vocabulary) -> tuple:
    """What follows `of_form` in `Cut`."""
    by_id = np.full(len(vocabulary), count, np.int32)
    by_id[vocabulary.order] = form
    size, first, following = _chains(form, count, vocabulary.order, len(vocabulary) // 2)
    return form, by_id, size, np.diff(vocabulary.offsets)[vocabulary.order[first]].astype(np.int32), first, following


@kernel
def _chains(form, count, order, half):
    """How many tokens there are of each form, the first, and the next after each, as in `Cut`."""
    size, first, following = (
        np.zeros((2, count), np.int32),
        np.full(count, -1, np.int32),
        np.full(len(form), -1, np.int32),
    )
    for i in range(len(form) - 1, -1, -1):
        size[np.int64(order[i] >= half), form[i]] += 1
        following[i] = first[form[i]]
        first[form[i]] = i
    return size, first, following


def _spellings(part: np.ndarray, leaves: np.ndarray) -> np.ndarray:
    """uint8[256]: the least byte that stays in the part of each byte (for one that leaves, what comes is never read)."""
    least = np.zeros(part.max() + 1, np.uint8)
    stays = np.flatnonzero(~leaves)[::-1]
    least[part[stays]] = stays
    return least[part]


@kernel
def _spell(data, offsets, ids, sort, fine, coarse, first, picky, leaves):
    """The keys of some tokens, as in `_hashes`: (data, offsets)."""
    begins = np.zeros(len(ids) + 1, np.int64)
    for i in range(len(ids)):
        begins[i + 1] = begins[i] + offsets[ids[i] + 1] - offsets[ids[i]]
    spelt = np.empty(begins[-1], np.uint8)
    for i in range(len(ids)):
        left = False
        begin = offsets[ids[i]]
        for at in range(begin, offsets[ids[i] + 1]):
            b = data[at]
            d = at - begin + 1
            left |= leaves[b] and (d > 1 or sort != ENTERING)
            if not left and (d > 1 or sort != ENTERING):
                if sort == NEARING and d <= HOPS:
                    b = first[b]
                elif d > 1 and not picky[data[at - 1]]:
                    b = coarse[b]
                else:
                    b = fine[b]
            spelt[begins[i] + d - 1] = b
    return spelt, begins


@kernel
def _with_byte(data, offsets, ids, wanted):
    """bool[n]: the tokens that hold a wanted byte."""
    found = np.zeros(len(ids), np.bool_)
    for i in range(len(ids)):
        for at in range(offsets[ids[i]], offsets[ids[i] + 1]):
            if wanted[data[at]]:
                found[i] = True
    return found


@kernel
def _through(trie, height, wanted):
    """The positions of the sorted tokens that hold a wanted byte, int32[m]."""
    byte, depth, _, first, last = trie
    on_way = np.zeros(height + 1, np.bool_)
    found = np.empty(first[-1], np.int32)
    count = 0
    for k in range(len(byte)):
        d = depth[k]
        on_way[d] = on_way[d - 1] | wanted[byte[k]]
        if on_way[d]:
            for i in range(first[k], last[k]):
                found[count] = i
                count += 1
    return found[:count].copy()


@kernel
def _hashes(trie, height, part, coarse, first_part, picky, leaves):
    """64-bit hashes of each token's three keys, in sorted order.

    Hashed along the trie, so that what tokens share is hashed once.
    """
    byte, depth, _, first, last = trie
    keys = np.empty((3, first[-1]), np.uint64)
    hashes = np.empty((height + 1, 3), np.uint64)
    left = np.zeros((height + 1, 3), np.bool_)
    path = np.empty(height + 1, np.uint8)
    for sort in range(3):
        hashes[0, sort] = SEED
    for k in range(len(byte)):
        d, b = depth[k], byte[k]
        path[d] = b
        p = coarse[b] if d > 1 and not picky[path[d - 1]] else part[b]
        for sort in range(3):
            left[d, sort] = left[d - 1, sort] or (leaves[b] and (d > 1 or sort != ENTERING))
            letter = p
            if left[d, sort] or (sort == ENTERING and d == 1):
                letter = 256 + np.int64(b)
            elif sort == NEARING and d <= HOPS:
                letter = first_part[b]
            h = (hashes[d - 1, sort] ^ np.uint64(letter)) * MULTIPLIER
            hashes[d, sort] = h ^ (h >> np.uint64(32))
        for i in range(first[k], last[k]):
            for sort in range(3):
                keys[sort, i] = hashes[d, sort]
    return keys


@kernel
def number_equal(hashes):
    """Number equal non-zero hashes alike: (ids int32[n], -1 for zero; the first index of each)."""
    size = 1 << 15
    keys = np.zeros(size, np.uint64)  # the hash in each slot, NONE if free, and its number
    numbers = np.empty(size, np.int32)
    ids = np.empty(len(hashes), np.int32)
    first = np.empty(1024, np.int32)
    count = 0
    for i in range(len(hashes)):
        h = hashes[i]
        if h == NONE:
            ids[i] = -1
            continue
        if i > 0 and h == hashes[i - 1]:  # neighbours are alike more often than not
            ids[i] = ids[i - 1]
            continue
        slot = _slot(keys, h)
        if keys[slot] == NONE:
            first = grown(first, count + 1)
            first[count] = i
            keys[slot] = h
            numbers[slot] = count
            count += 1
            if 4 * count > size:
                size *= 4
                keys = np.zeros(size, np.uint64)
                numbers = np.empty(size, np.int32)
                for j in range(count):
                    slot = _slot(keys, hashes[first[j]])
                    keys[slot] = hashes[first[j]]
                    numbers[slot] = j
            ids[i] = count - 1
        else:
            ids[i] = numbers[slot]
    return ids, first[:count].copy()


@njit(inline="always")
def _slot(keys, h):
    """Where a hash is in an open table, or would be."""
    slot = np.int64(h >> np.uint64(20)) & (len(keys) - 1)
    while keys[slot] != NONE and keys[slot] != h:
        slot = (slot + 1) & (len(keys) - 1)
    return slot
