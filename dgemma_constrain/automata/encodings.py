"""From characters to their spelling: UTF-8 bytes, or the inside of a JSON string.

Both are prefix codes, so one decoding tree tells which class of character a spelling stands for. A state of the
character automaton becomes the root of a copy of that tree whose leaves are the states that the character leads to.
Equal copies of inner nodes are shared (hash-consing from the leaves up), which already is the minimal automaton:
inner nodes that differ lead somewhere different, and a continuation never looks like a beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dgemma_constrain.automata.alphabet import Alphabet, alphabet_of, refine
from dgemma_constrain.automata.charset import TEXT_LIMIT, Charset, char
from dgemma_constrain.automata.dfa import DFA, minimal
from dgemma_constrain.automata.kernels import ROOM, grouped, kernel, mix, sort
from dgemma_constrain.automata.limits import Limits

DEAD = -1  # in a tree: ≥ 0 is a class (a leaf), -1 nothing, ≤ -2 the inner node -2-x


@dataclass(frozen=True, eq=False)
class ByteDFA:
    """A deterministic automaton over UTF-8 bytes, trimmed; state 0 is the start.

    table  int32[S, K]   next state by state and byte class, -1 where nothing follows
    classes uint8[256]   the class of each byte
    accept bool[S]
    """

    table: np.ndarray
    classes: np.ndarray
    accept: np.ndarray


@kernel
def _unique_rows(rows):
    """Number equal rows alike, in order of appearance: ids int32[n] and the index of each first row."""
    n, width = rows.shape
    table = np.full(1 << 16, -1, np.int32)
    ids = np.empty(n, np.int32)
    first = np.empty(n, np.int32)
    count = 0
    for i in range(n):
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
        ids, first = _unique_rows(np.ascontiguousarray(blocks))
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


def _ways(tree: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """For every class the inner nodes on the way to it, children first, as rows (offsets, nodes)."""
    below = leads(tree, classes)
    return np.cumsum([0, *below.sum(1)]), np.nonzero(below)[1].astype(np.int32)


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


@kernel
def _expand_some(offsets, symbols, targets, tree_offsets, tree_columns, tree_entries, node_offsets, node_order,
                 triples, starts, table, entered, becomes, next_state, wanted, sizes, max_states):  # fmt: skip
    """Copy the tree under one state after the other while there is room: a status as in Limits, or ROOM, when the same call
    with longer arrays goes on. `sizes`: how many states are done and made, and triples used.

    No array gets longer in here, since a variable for a new array costs reference counting at each use.
    """
    states = len(offsets) - 1
    nodes = len(tree_offsets) - 1
    q, made, used = sizes[0], sizes[1], sizes[2]
    status = 0
    while q < states and status == 0:
        inner = made - states
        if (
            used + tree_offsets[nodes] > len(triples)
            or inner + nodes >= len(starts)
            or 2 * (inner + nodes) > len(table)
        ):
            status = ROOM
            break
        count = 0
        for e in range(offsets[q], offsets[q + 1]):
            next_state[symbols[e]] = targets[e]
            for k in range(node_offsets[symbols[e]], node_offsets[symbols[e] + 1]):
                node = node_order[k]
                if entered[node] != q:
                    entered[node] = q
                    wanted[count] = node
                    count += 1
        sort(wanted[:count])
        for turn in range(count):
            node = wanted[turn]
            begin = used
            h = np.uint64(0)
            for k in range(tree_offsets[node], tree_offsets[node + 1]):
                j, entry = np.int64(tree_columns[k]), tree_entries[k]
                target = np.int64(-1)
                if entry >= 0:
                    target = next_state[entry]
                elif entry <= -2 and entered[-2 - entry] == q:
                    target = becomes[-2 - entry]
                if target >= 0:
                    triples[used, 0] = q
                    triples[used, 1] = j
                    triples[used, 2] = target
                    used += 1
                    if node < nodes - 1:
                        h = mix(h ^ np.uint64((j << 40) ^ target))
            if node == nodes - 1:
                continue
            slot = np.int64(h & np.uint64(len(table) - 1))
            while True:
                known = table[slot]
                if known < 0:
                    if made == max_states:
                        status = 1
                        break
                    k = made - states
                    starts[k, 0], starts[k, 1] = begin, used - begin
                    for i in range(begin, used):
                        triples[i, 0] = made
                    becomes[node] = made
                    table[slot] = k
                    made += 1
                    break
                same = starts[known, 1] == used - begin
                for i in range(used - begin):
                    if not same:
                        break
                    at = starts[known, 0] + i
                    same = triples[at, 1] == triples[begin + i, 1] and triples[at, 2] == triples[begin + i, 2]
                if same:
                    becomes[node] = states + known
                    used = begin
                    break
                slot = (slot + 1) & (len(table) - 1)
            if status != 0:
                break
        for e in range(offsets[q], offsets[q + 1]):
            next_state[symbols[e]] = -1
        q += 1
    sizes[0], sizes[1], sizes[2] = q, made, used
    return status


@kernel
def _expand(offsets, symbols, targets, tree_offsets, tree_columns, tree_entries, node_offsets, node_order, max_states):
    """Copy the tree, given as rows, under every state. Returns transitions (source, column, target), the number of states,
    status."""
    states = len(offsets) - 1
    nodes = len(tree_offsets) - 1
    triples = np.empty((4096, 3), np.int32)
    starts = np.empty((1024, 2), np.int64)  # where the triples of inner state `states + k` begin, and their number
    table = np.full(1 << 12, -1, np.int64)
    entered = np.full(nodes, -1, np.int64)  # the state for which a node is wanted
    becomes = np.empty(nodes, np.int64)  # and the state that it is there
    next_state = np.full(len(node_offsets) - 1, -1, np.int64)
    wanted = np.empty(nodes, np.int32)
    sizes = np.zeros(3, np.int64)
    sizes[1] = states
    status = ROOM
    while status == ROOM:
        inner = sizes[1] - states
        triples = _grown_rows(triples, sizes[2] + tree_offsets[nodes])
        starts = _grown_rows(starts, inner + nodes + 1)
        while 2 * (inner + nodes) > len(table):
            table = _rehashed(4 * len(table), triples, starts, inner)
        status = _expand_some(offsets, symbols, targets, tree_offsets, tree_columns, tree_entries, node_offsets, node_order,
                              triples, starts, table, entered, becomes, next_state, wanted, sizes, max_states)  # fmt: skip
    return triples[: sizes[2]], sizes[1], status


@kernel
def _grown_rows(array, needed):
    if needed <= len(array):
        return array
    width = array.shape[1]
    bigger = np.empty((2 * needed, width), array.dtype)
    for i in range(len(array)):
        for j in range(width):
            bigger[i, j] = array[i, j]
    return bigger


@kernel
def _rehashed(size, triples, starts, count):
    table = np.full(size, -1, np.int64)
    for k in range(count):
        h = np.uint64(0)
        for i in range(starts[k, 0], starts[k, 0] + starts[k, 1]):
            h = mix(h ^ np.uint64((np.int64(triples[i, 1]) << 40) ^ np.int64(triples[i, 2])))
        slot = np.int64(h & np.uint64(size - 1))
        while table[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        table[slot] = k
    return table


def _spell(dfa: DFA, tree: np.ndarray, limits: Limits):
    """Transitions int32[T, 3] of `dfa` spelt by `tree`, and how many states there are (its own come first)."""
    node_offsets, node_order = _ways(tree, dfa.alphabet.size)
    nodes, columns = np.nonzero(tree != DEAD)
    tree_offsets = np.searchsorted(nodes, np.arange(len(tree) + 1))
    triples, states, status = _expand(
        dfa.offsets,
        dfa.symbols,
        dfa.targets,
        tree_offsets,
        columns,
        tree[nodes, columns],
        node_offsets,
        node_order,
        limits.states,
    )
    limits.check(status, "spelling this constraint in bytes")
    return triples, states


@kernel
def _enter(table, triples):
    for i in range(len(triples)):
        table[triples[i, 0], triples[i, 1]] = triples[i, 2]


def utf8(dfa: DFA, limits: Limits = Limits()) -> ByteDFA:
    """The automaton over the UTF-8 bytes of the texts of `dfa` (which has no markers)."""
    tree = utf8_tree(dfa.alphabet)
    _, example, classes = np.unique(tree, axis=1, return_index=True, return_inverse=True)
    triples, states = _spell(dfa, np.ascontiguousarray(tree[:, example]), limits)
    table = np.full((states, len(example)), -1, np.int32)
    _enter(table, triples)
    accept = np.zeros(states, bool)
    accept[: dfa.states] = dfa.accept
    return ByteDFA(table, classes.astype(np.uint8).ravel(), accept)


_SHORT = {'"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


def json_string(dfa: DFA, limits: Limits = Limits()) -> DFA:
    """Every spelling, between the quotes of a JSON string (RFC 8259 §7), of the texts of `dfa`.

    Raw characters but for `"`, `\\` and controls, the short escapes, \\uXXXX in either case, surrogate pairs for what
    lies beyond U+FFFF; never half a pair. Lengths and patterns of `dfa` thus count decoded characters.
    """
    raw = ~(Charset.ranges([(0, 0x1F)]) | Charset.of('"\\'))
    spelt, _, decoded = refine(alphabet_of([raw, *map(char, '"\\/bfnrtu0123456789abcdefABCDEF')]), dfa.alphabet)
    triples, states = _spell(dfa, _json_tree(dfa.alphabet, spelt, np.where(_inside(spelt, raw), decoded, DEAD)), limits)
    offsets, order = grouped(np.ascontiguousarray(triples[:, 0]), states)
    accept = np.zeros(states, bool)
    accept[: dfa.states] = dfa.accept
    return minimal(spelt, offsets, triples[order, 1], triples[order, 2], accept)


def _inside(alphabet: Alphabet, charset: Charset) -> np.ndarray:
    return np.searchsorted(charset.bounds, alphabet.first(), "right") & 1 == 1


def _json_tree(alphabet: Alphabet, spelt: Alphabet, raw: np.ndarray) -> np.ndarray:
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
