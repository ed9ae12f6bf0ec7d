"""A vocabulary as one flat, depth-first trie: what lifting and encoding walk instead of 262,144 byte strings.

Tokens sorted by their bytes are already in depth-first order, so the trie is a few arrays with one entry per node
and no pointers:

    tokens (sorted)   "a" "ab" "ab" "ac" "b"       two ids spell "ab": twins

    node    0   1   2   3
    byte    a   b   c   b        the edge into the node
    depth   1   2   2   1        bytes spelled so far
    skip    3   2   3   4        the node after this one's subtree
    first   0   1   3   4   5    the tokens that end here are order[first[k]:last[k]] ...
    last    1   3   4   5        ... and those in the whole subtree order[first[k]:first[skip[k]]]
    below   1   0   0   0        the kinds of bytes below the node, here letters (bit 0)

A walk visits nodes in order, keeps one state per depth, and jumps from k to skip[k] where it cannot go on. Where it is in
a state that all bytes of the subtree lead back to itself, it need not look at them either: `below` says which they are.
"""

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import kernel

# Letters, digits, the bytes outside ASCII and control characters are a kind each, of which few constraints want a part only
# inside a long run; each other character is a kind of its own.
KIND = np.array(
    [
        0 if 97 <= b < 123 else 1 if 65 <= b < 91 else 2 if 48 <= b < 58 else 3 if b >= 128 else 4 if b < 32 or b == 127
        else 5 + bytes(range(32, 48)).find(b) if b < 48 else 21 + b"[\\]^_`{|}~:;<=>?@".index(b)
        for b in range(256)
    ],
    np.uint64,
)  # fmt: skip
_CHUNK = 7  # bytes per sorting key; the eighth byte of the uint64 says how many of them are there


class Trie(NamedTuple):
    """Nodes in depth-first preorder; the root (the empty string) has none, so `skip` chains its children from 0.

    byte   uint8[N]    last byte of the node's string
    depth  int32[N]    length of that string, from 1
    skip   int32[N]    index of the first node outside its subtree; N after the last
    first  int32[N+1]  first position in the sorted ids at or below the node; first[N] is their number
    last   int32[N]    one past the last position *at* the node; last[k] == first[k] where no token ends
    below  uint64[N]   the kinds of bytes below the node, a bit each (see KIND)
    """

    byte: np.ndarray
    depth: np.ndarray
    skip: np.ndarray
    first: np.ndarray
    last: np.ndarray
    below: np.ndarray

    @property
    def height(self) -> int:
        """Bytes of the longest token: a walk needs `height + 1` states."""
        return int(self.depth.max(initial=0))

    def token_nodes(self) -> np.ndarray:
        """The node at which each sorted token ends, int32[n]."""
        return np.repeat(np.arange(len(self.byte), dtype=np.int32), self.last - self.first[:-1])


def sort_tokens(data: np.ndarray, offsets: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """`ids` (int32[n]) sorted by their bytes, a prefix before its extensions; twins keep the order they came in.

    Sorts by the first seven bytes, then only what is still tied by the next seven, and so on.
    """
    order = np.array(ids, np.int32)
    tied = np.arange(len(order))  # positions in `order` still to be told apart
    group = np.zeros(len(order), np.int64)  # which of them agreed so far
    start = 0
    while len(tied):
        keys = _keys(data, offsets, order[tied], start)
        by_key = np.lexsort((keys, group)) if start else np.argsort(keys, kind="stable")
        order[tied] = order[tied[by_key]]
        keys, group = keys[by_key], group[by_key]
        new = np.empty(len(keys) + 1, bool)
        new[0] = new[-1] = True
        new[1:-1] = (keys[1:] != keys[:-1]) | (group[1:] != group[:-1])
        going_on = (keys & 0xFF) > _CHUNK
        again = going_on & ~(new[:-1] & new[1:])
        tied, group = tied[again], np.cumsum(new[:-1])[again]
        start += _CHUNK
    return order


def build_trie(data: np.ndarray, offsets: np.ndarray, ids_sorted: np.ndarray) -> Trie:
    """The trie of any set of non-empty tokens, sorted by their bytes (see `sort_tokens`); linear in their bytes.

    data uint8[sum], offsets int64[V+1], ids_sorted int32[n]. Raises ValueError if they are not sorted, or empty.
    """
    ordered, *rows = _build(data, offsets, np.ascontiguousarray(ids_sorted, np.int32), KIND)
    if not ordered:
        raise ValueError("build_trie needs non-empty tokens in sorted order")
    return Trie(*rows)


@kernel
def _build(data, offsets, ids, kind):
    """Whether the ids are in order, and then the trie's arrays."""
    common = _common_prefixes(data, offsets, ids)
    nodes, height, ordered = np.int64(0), np.int64(0), True
    for i in range(len(ids)):
        length = offsets[ids[i] + 1] - offsets[ids[i]]
        nodes += length - common[i]
        height = max(height, length)
        ordered &= common[i] >= 0
    byte, depth, skip, first, last = _fill(
        data, offsets, ids[: len(ids) if ordered else 0], common, nodes if ordered else 0
    )
    return ordered, byte, depth, skip, first, last, _below(byte, depth, height, kind)


@kernel
def fewest_tokens(text, byte, skip, first, last):
    """The shortest split of `text` (uint8[n]) into tokens: (positions in the sorted ids int32[m], reached).

    `reached` is n, or the furthest offset that any split reaches when none reaches the end.
    """
    n, nodes = len(text), len(byte)
    cost = np.full(n + 1, n + 1, np.int32)
    token = np.empty(n + 1, np.int32)
    came_from = np.empty(n + 1, np.int32)
    cost[0] = 0
    reached = 0
    for i in range(n):
        if cost[i] > n:
            continue
        j, k, end = i, 0, nodes
        while j < n and k < end and byte[k] <= text[j]:
            if byte[k] < text[j]:
                k = skip[k]
                continue
            j += 1
            if last[k] > first[k]:
                reached = max(reached, j)
                if cost[i] + 1 < cost[j]:
                    cost[j], token[j], came_from[j] = cost[i] + 1, first[k], i
            end = skip[k]
            k += 1
    if cost[n] > n:
        return np.empty(0, np.int32), reached
    path = np.empty(cost[n], np.int32)
    at = n
    for m in range(len(path) - 1, -1, -1):
        path[m] = token[at]
        at = came_from[at]
    return path, n


@kernel
def _keys(data, offsets, ids, start):
    """uint64[n] that order like bytes start:start+7 of each token, a token that has ended before one that goes on."""
    keys = np.empty(len(ids), np.uint64)
    for i in range(len(ids)):
        at = offsets[ids[i]] + start
        left = offsets[ids[i] + 1] - at
        key = np.uint64(0)
        for j in range(_CHUNK):
            key = (key << np.uint64(8)) | np.uint64(data[at + j] if j < left else 0)
        keys[i] = (key << np.uint64(8)) | np.uint64(min(left, _CHUNK + 1))
    return keys


@kernel
def _common_prefixes(data, offsets, ids):
    """int32[n]: bytes each token shares with the one before it; -1 where the two are out of order or one is empty."""
    common = np.zeros(len(ids), np.int32)
    before, before_length = 0, 0
    for i in range(len(ids)):
        at = offsets[ids[i]]
        length = offsets[ids[i] + 1] - at
        c = 0
        while c < min(length, before_length) and data[before + c] == data[at + c]:
            c += 1
        sorted_so_far = c == before_length or (c < length and data[before + c] < data[at + c])
        common[i] = c if length > 0 and sorted_so_far else -1
        before, before_length = at, length
    return common


@kernel
def _fill(data, offsets, ids, common, nodes):
    byte = np.empty(nodes, np.uint8)
    depth = np.empty(nodes, np.int32)
    skip = np.empty(nodes, np.int32)
    first = np.empty(nodes + 1, np.int32)
    last = np.empty(nodes, np.int32)
    open_nodes = np.empty(nodes + 1, np.int32)  # the path from the root to the node being built
    opened = k = 0
    for i in range(len(ids)):
        at = offsets[ids[i]]
        length = offsets[ids[i] + 1] - at
        while opened > common[i]:
            opened -= 1
            skip[open_nodes[opened]] = k
        for j in range(common[i], length):
            byte[k], depth[k], first[k], last[k] = data[at + j], j + 1, i, i
            open_nodes[opened] = k
            opened += 1
            k += 1
        last[open_nodes[opened - 1]] = i + 1
    while opened > 0:
        opened -= 1
        skip[open_nodes[opened]] = k
    first[nodes] = len(ids)
    return byte, depth, skip, first, last


@kernel
def _below(byte, depth, height, kind):
    below = np.empty(len(byte), np.uint64)
    gathered = np.zeros(height + 1, np.uint64)  # of the nodes of each depth since the last one above it, from the end
    for k in range(len(byte) - 1, -1, -1):
        d = depth[k]
        below[k] = gathered[d]
        gathered[d - 1] |= gathered[d] | (np.uint64(1) << kind[byte[k]])
        gathered[d] = np.uint64(0)
    return below
