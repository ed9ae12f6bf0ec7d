"""From characters to their spelling: UTF-8 bytes, or the inside of a JSON string.

Both are prefix codes, so one decoding tree tells which class of character a spelling stands for. A state of the
character automaton becomes the root of a copy of that tree whose leaves are the states that the character leads to.
Equal copies of inner nodes are shared (hash-consing from the leaves up), which already is the minimal automaton:
inner nodes that differ lead somewhere different, and a continuation never looks like a beginning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgemma_constrain.automata.alphabet import alphabet_of, refine
from dgemma_constrain.automata.charset import Charset, char
from dgemma_constrain.automata.decoding import DEAD, inside, json_tree, leads, unique_rows, utf8_tree
from dgemma_constrain.automata.dfa import DFA, minimal
from dgemma_constrain.automata.kernels import ROOM, grouped, kernel, mix, sort
from dgemma_constrain.automata.limits import Limits


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


def _ways(tree: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """For every class the inner nodes on the way to it but for the root, children first, as rows (offsets, nodes)."""
    below = leads(tree, classes)[:, :-1]
    return np.cumsum([0, *below.sum(1)]), np.nonzero(below)[1].astype(np.int32)


@kernel
def _expand_some(offsets, symbols, targets, tree_offsets, tree_columns, tree_entries, root_offsets, root_columns,
                 node_offsets, node_order, triples, starts, table, entered, becomes, next_state, wanted, sizes, max_states):  # fmt: skip
    """Copy the tree under one state after the other while there is room: a status as in Limits, or ROOM, when the same call
    with longer arrays goes on. `sizes`: how many states are done and made, and triples used.

    No array gets longer in here, since a variable for a new array costs reference counting at each use.
    """
    states = len(offsets) - 1
    nodes = len(tree_offsets) - 2  # without the root
    q, made, used = sizes[0], sizes[1], sizes[2]
    status = 0
    while q < states and status == 0:
        inner = made - states
        if (
            used + tree_offsets[nodes + 1] > len(triples)
            or inner + nodes >= len(starts)
            or 2 * (inner + nodes) > len(table)
        ):
            status = ROOM
            break
        count = 0
        for e in range(offsets[q], offsets[q + 1]):
            c = symbols[e]
            next_state[c] = targets[e]
            for k in range(root_offsets[c], root_offsets[c + 1]):
                triples[used, 0] = q
                triples[used, 1] = root_columns[k]
                triples[used, 2] = targets[e]
                used += 1
            for k in range(node_offsets[c], node_offsets[c + 1]):
                node = node_order[k]
                if entered[node] != q:
                    entered[node] = q
                    wanted[count] = node
                    count += 1
        if count > 1:
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
                elif entered[-2 - entry] == q:
                    target = becomes[-2 - entry]
                if target >= 0:
                    triples[used, 0] = q
                    triples[used, 1] = j
                    triples[used, 2] = target
                    used += 1
                    h = mix(h ^ np.uint64((j << 40) ^ target))
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
        for k in range(tree_offsets[nodes], tree_offsets[nodes + 1] if count > 0 else 0):
            if tree_entries[k] <= -2 and entered[-2 - tree_entries[k]] == q:
                triples[used, 0] = q
                triples[used, 1] = tree_columns[k]
                triples[used, 2] = becomes[-2 - tree_entries[k]]
                used += 1
        for e in range(offsets[q], offsets[q + 1]):
            next_state[symbols[e]] = -1
        q += 1
    sizes[0], sizes[1], sizes[2] = q, made, used
    return status


@kernel
def _expand(offsets, symbols, targets, tree_offsets, tree_columns, tree_entries, root_offsets, root_columns,
            node_offsets, node_order, max_states):  # fmt: skip
    """Copy the tree, given as rows, under every state. Returns transitions (source, column, target), the number of states,
    status."""
    states = len(offsets) - 1
    nodes = len(tree_offsets) - 2
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
        triples = _grown_rows(triples, sizes[2] + tree_offsets[nodes + 1])
        starts = _grown_rows(starts, inner + nodes + 1)
        while 2 * (inner + nodes) > len(table):
            table = _rehashed(4 * len(table), triples, starts, inner)
        status = _expand_some(offsets, symbols, targets, tree_offsets, tree_columns, tree_entries, root_offsets, root_columns,
                              node_offsets, node_order, triples, starts, table, entered, becomes, next_state, wanted, sizes, max_states)  # fmt: skip
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
    """Transitions int32[T, 3] of `dfa` spelt by `tree`, in no order, and how many states there are (its own come first)."""
    leaves = np.flatnonzero(tree[-1] >= 0)
    root_offsets, order = grouped(tree[-1, leaves], dfa.alphabet.size)
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
        root_offsets,
        leaves[order],
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
    example, classes = _columns(tree)
    triples, states = _spell(dfa, np.ascontiguousarray(tree[:, example]), limits)
    table = np.full((states, len(example)), -1, np.int32)
    _enter(table, triples)
    accept = np.zeros(states, bool)
    accept[: dfa.states] = dfa.accept
    return ByteDFA(table, classes, accept)


def _columns(tree: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of each kind of columns, by their entries, and the kind of each, uint8[…]."""
    columns = np.ascontiguousarray(tree.T)
    kind, first = unique_rows(columns)
    entries = columns[first].tolist()
    order = np.array(sorted(range(len(first)), key=entries.__getitem__))
    rank = np.empty(len(first), np.uint8)
    rank[order] = np.arange(len(first))
    return first[order], rank[kind]


_SHORT = {'"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


def json_string(dfa: DFA, limits: Limits = Limits()) -> DFA:
    """Every spelling, between the quotes of a JSON string (RFC 8259 §7), of the texts of `dfa`.

    Raw characters but for `"`, `\\` and controls, the short escapes, \\uXXXX in either case, surrogate pairs for what
    lies beyond U+FFFF; never half a pair. Lengths and patterns of `dfa` thus count decoded characters.
    """
    raw = ~(Charset.ranges([(0, 0x1F)]) | Charset.of('"\\'))
    spelt, _, decoded = refine(alphabet_of([raw, *map(char, '"\\/bfnrtu0123456789abcdefABCDEF')]), dfa.alphabet)
    triples, states = _spell(dfa, json_tree(dfa.alphabet, spelt, np.where(inside(spelt, raw), decoded, DEAD)), limits)
    _, order = grouped(np.ascontiguousarray(triples[:, 1]), spelt.size)
    offsets, by_source = grouped(triples[order, 0], states)
    order = order[by_source]
    accept = np.zeros(states, bool)
    accept[: dfa.states] = dfa.accept
    return minimal(spelt, offsets, triples[order, 1], triples[order, 2], accept)
