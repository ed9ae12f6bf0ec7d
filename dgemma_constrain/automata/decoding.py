"""Decoding trees: which class of character a spelling stands for, in UTF-8 or inside a JSON string.

Both are prefix codes. A node's row says for every column (a byte, or a class of characters) what is read there.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dgemma_constrain.automata.alphabet import Alphabet
from dgemma_constrain.automata.charset import TEXT_LIMIT, Charset
from dgemma_constrain.automata.kernels import kernel

DEAD = -1  # in a tree: ≥ 0 is a class (a leaf), -1 nothing, ≤ -2 the inner node -2-x


@kernel
def unique_rows(rows):
    """Number equal rows alike, in order of appearance: ids int32[n] and the index of each first row."""
    n, width = rows.shape
    size = 16
    while size < 2 * n:
        size *= 2
    table = np.full(size, -1, np.int32)
    ids = np.empty(n, np.int32)
    first = np.empty(n, np.int32)
    count = 0
    for i in range(n):
        same = i > 0  # as the row before: most are
        for j in range(width):
            if not same:
                break
            same = rows[i, j] == rows[i - 1, j]
        if same:
            ids[i] = ids[i - 1]
            continue
        h = np.uint64(0)
        for j in range(width):
            h = (h ^ np.uint64(rows[i, j])) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        slot = np.int64(h & np.uint64(len(table) - 1))
        while True:
            known = table[slot]
            if known < 0:
                table[slot] = count
                first[count] = i
                ids[i] = count
                count += 1
                break
            same = True
            for j in range(width):
                if rows[first[known], j] != rows[i, j]:
                    same = False
                    break
            if same:
                ids[i] = known
                break
            slot = (slot + 1) & (len(table) - 1)
    return ids, first[:count].copy()


class _Tree:
    """Inner nodes of a decoding tree, children before their parents, the root last: rows int32[N, columns]."""

    def __init__(self, columns: int):
        self.columns, self.rows, self.count = columns, [], 0

    def level(self, blocks: np.ndarray, *columns: np.ndarray) -> np.ndarray:
        """One node for each distinct row of `blocks`, its entries at each of `columns`; the entry naming each row's."""
        ids, first = unique_rows(np.ascontiguousarray(blocks))
        rows = np.full((len(first), self.columns), DEAD, np.int32)
        for places in columns:
            rows[:, places] = blocks[first]
        names = -2 - (self.count + np.arange(len(first)))
        names[(rows == DEAD).all(1)] = DEAD
        self.rows.append(rows)
        self.count += len(first)
        return names[ids].astype(np.int32)

    def node(self, row: np.ndarray) -> np.int32:
        """One node with this whole row."""
        return self.level(row[None], np.arange(self.columns))[0]

    def table(self) -> np.ndarray:
        return np.concatenate(self.rows)


def _points(alphabet: Alphabet) -> np.ndarray:
    """The class of every code point, int32[0x110000]."""
    end = np.searchsorted(alphabet.cuts, TEXT_LIMIT)
    return np.repeat(alphabet.classes[:end], np.diff(np.append(alphabet.cuts[:end], TEXT_LIMIT)))


def utf8_tree(alphabet: Alphabet) -> np.ndarray:
    """The decoding tree of UTF-8 (RFC 3629: no overlong forms, no surrogates), one column a byte.

    Most alphabets differ among the ASCII characters only, so the tree of all others is kept by what it depends on: where
    classes begin, and which of them are the same.
    """
    start = np.searchsorted(alphabet.cuts, 0x80, "right") - 1
    cuts, classes = alphabet.cuts[start:].copy(), alphabet.classes[start:]
    cuts[0] = 0x80
    names, labels = np.unique(np.append(DEAD, classes), return_inverse=True)
    tree = _tree_beyond_ascii(cuts.tobytes(), (labels[1:] - 1).astype(np.int32).tobytes()).copy()
    leaf = tree >= 0
    tree[leaf] = names[1:][tree[leaf]]
    tree[-1, :0x80] = alphabet.of(np.arange(0x80))
    return tree


@lru_cache(maxsize=32)
def _tree_beyond_ascii(cuts: bytes, labels: bytes) -> np.ndarray:
    """`utf8_tree` of classes that begin at `cuts`, int32[n] from 0x80 up; `labels`, int32[n], names them (or DEAD).

    Continuation bytes carry six bits each, so the tree is the table of code points cut into blocks of 64, twice more.
    """
    bounds = np.minimum(np.frombuffer(cuts, np.int32), TEXT_LIMIT)
    beyond = np.full(TEXT_LIMIT, DEAD, np.int32)
    beyond[0x80:] = np.repeat(np.frombuffer(labels, np.int32), np.diff(bounds, append=TEXT_LIMIT))
    tree = _Tree(256)
    continuation = np.arange(0x80, 0xC0)
    two = tree.level(beyond.reshape(-1, 64), continuation)  # by code point >> 6
    longer = two.copy()
    longer[: 0x800 >> 6] = DEAD  # those are spelt in two bytes
    three = tree.level(longer.reshape(-1, 64), continuation)  # by code point >> 12
    longer = np.full(5 * 64, DEAD, np.int32)
    longer[0x10000 >> 12 : TEXT_LIMIT >> 12] = three[0x10000 >> 12 :]
    four = tree.level(longer.reshape(-1, 64), continuation)  # by code point >> 18
    root = np.full(256, DEAD, np.int32)
    root[0xC2:0xE0] = two[2:32]
    root[0xE0:0xF0] = three[:16]
    root[0xF0:0xF5] = four
    tree.node(root)
    return tree.table()


@kernel
def leads(tree, classes):
    """bool[classes, nodes]: whether the class is below the node."""
    nodes, columns = tree.shape
    below = np.zeros((classes, nodes), np.bool_)
    for node in range(nodes):
        for j in range(columns):
            entry = tree[node, j]
            if entry >= 0:
                below[entry, node] = True
            elif entry <= -2:
                for c in range(classes):
                    below[c, node] |= below[c, -2 - entry]
    return below


def inside(alphabet: Alphabet, charset: Charset) -> np.ndarray:
    return np.searchsorted(charset.bounds, alphabet.first(), "right") & 1 == 1


def json_tree(alphabet: Alphabet, spelt: Alphabet, raw: np.ndarray) -> np.ndarray:
    """The decoding tree of JSON string contents; `raw` is what each class of `spelt` means unescaped."""
    points = _points(alphabet)
    columns = {c: spelt.of(np.array([ord(c)]))[0] for c in '"\\/bfnrtu0123456789abcdefABCDEF'}
    lower, upper = (np.array([columns[d] for d in digits]) for digits in ("0123456789abcdef", "0123456789ABCDEF"))
    tree = _Tree(spelt.size)

    def hexadecimal(entries: np.ndarray, first: int = 0) -> np.ndarray:
        """Nodes that read one more digit; `first` is the digit that the first entry of a row belongs to."""
        last = first + entries.shape[1]
        return tree.level(entries, lower[first:last], upper[first:last])

    def one(column: str, entries: np.ndarray) -> np.ndarray:
        return tree.level(entries[:, None], np.array([columns[column]]))

    low = hexadecimal(points[0x10000:].reshape(-1, 16))  # second halves \\uDC00 … \\uDFFF of each of 1024 first halves
    low = hexadecimal(hexadecimal(low.reshape(-1, 16)).reshape(-1, 4), 0xC)
    low = one("\\", one("u", hexadecimal(low[:, None], 0xD)))
    unit = points[:0x10000].copy()
    unit[0xD800:0xDC00] = low
    for _ in range(4):
        unit = hexadecimal(unit.reshape(-1, 16))
    escape = np.full(spelt.size, DEAD, np.int32)
    for letter, meaning in zip('"\\/bfnrt', '"\\/\b\f\n\r\t'):
        escape[columns[letter]] = points[ord(meaning)]
    escape[columns["u"]] = unit[0]
    root = raw.astype(np.int32)
    root[columns["\\"]] = tree.node(escape)
    tree.node(root)
    return tree.table()
