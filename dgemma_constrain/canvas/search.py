"""Beam search over positions, where no finite automaton holds a language: exact configurations under a regular cover.

A node is a boundary of the canvas, a configuration of the LR machine (exact: it knows the whole stack) and a state of
the cover (a token automaton of more texts, so a relaxation). A node's value is what it has scored and what the cover
can still score from its state, given all pins to come; no completion is worth more. Nodes with the same configuration
and state have the same future, so only the best is kept, as in Viterbi's algorithm.

From a node the cover's arcs are tried, each by a few tokens of different classes: all classes of an arc lead to one
state, and mostly to one configuration, so that many arcs tell more than many classes (see `arcs`).

Per boundary the `width` most valuable nodes go on. What is not followed up is remembered by its value: a string that is
worth at least as much is proved to be the best one, and if nothing was left aside and nothing found, there is none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL, UNKNOWN, recall
from dgemma_constrain.automata.kernels import kernel, mix
from dgemma_constrain.automata.stacks import DEAD, FAR
from dgemma_constrain.canvas.arcs import Labels
from dgemma_constrain.canvas.emissions import Classes
from dgemma_constrain.canvas.guide import OFF, SAME, required
from dgemma_constrain.canvas.members import Best, _insert, _members
from dgemma_constrain.constraints.grammar.configurations import MISSING, accepts, read_bytes
from dgemma_constrain.constraints.grammar.guesses import LEAST


class Cover(NamedTuple):
    """What does not change while one canvas is searched.

    offsets, symbols, targets  the arcs of the token automaton, in rows; from the last state on, a text has ended
    labels                     the classes of each arc's label
    classes                    the classes of the canvas
    data, data_offsets         the bytes of ids
    """

    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    labels: Labels
    classes: Classes
    data: np.ndarray
    data_offsets: np.ndarray


class Layer(NamedTuple):
    """The nodes of one boundary, `parent` being their place in the layer before, and `token` what led from there.

    score float64: what they have scored; value float64: with what the cover can still score; need int32: no fewer
    characters complete the text.
    """

    config: np.ndarray
    state: np.ndarray
    score: np.ndarray
    value: np.ndarray
    need: np.ndarray
    parent: np.ndarray
    token: np.ndarray


def new_layer(size: int) -> Layer:
    i64, i32, f64 = np.int64, np.int32, np.float64
    return Layer(*(np.empty(size, kind) for kind in (i64, i32, f64, f64, i32, i32, i32)))


@kernel
def _candidates(cover, state, weights, following, places, values, most):
    """The arcs of a state with the largest weight and future, up to `most`, in descending order: how many, and the
    value of the next one."""
    n = np.int64(0)
    left = -np.inf
    for e in range(cover.offsets[state], cover.offsets[state + 1]):
        x = weights[cover.symbols[e]] + following[cover.targets[e]]
        if x > -np.inf and cover.targets[e] < len(cover.offsets) - 2:
            if n == most:
                left = max(left, min(x, values[n - 1]))
            n = _insert(places, values, n, most, e, x)
    return n, left


@kernel
def _node(table, config, state, layer, count):
    """The place of a node in a layer; `count` if it is not there yet."""
    mask = len(table) - 1
    slot = np.int64(mix(config * 1_000_003 + state) & np.uint64(mask))
    while table[slot] >= 0:
        k = np.int64(table[slot])
        if layer.config[k] == config and layer.state[k] == state:
            return k
        slot = (slot + 1) & mask
    table[slot] = count
    return np.int64(count)


class Scratch(NamedTuple):
    """What `extend` works with.

    best                             see `Best`
    ids, scores, known, rest, alike  of each label: see `_members`; known is -1 where not asked for yet; alike: whether
                                     its tokens were seen to lead to the same configuration
    nodes, row_of                    of each state: how many nodes have it, and which row of candidates is its own
    table                            nodes by their configuration and state
    top, top_at                      the largest values there are, and their places
    """

    best: Best
    ids: np.ndarray
    scores: np.ndarray
    known: np.ndarray
    rest: np.ndarray
    alike: np.ndarray
    nodes: np.ndarray
    row_of: np.ndarray
    table: np.ndarray
    top: np.ndarray
    top_at: np.ndarray


def new_scratch(classes: int, labels: int, members: int, states: int, width: int, room: int) -> Scratch:
    best = Best(
        np.empty((classes, members + 1), np.int64), np.empty((classes, members + 1)), np.empty(classes, np.int32),
        np.full(classes, -1, np.int8),
    )  # fmt: skip
    return Scratch(
        best,
        np.empty((labels, members), np.int64), np.empty((labels, members)), np.empty(labels, np.int32),
        np.empty(labels), np.empty(labels, np.uint8), np.empty(states, np.int32), np.empty(states, np.int32),
        np.empty(1 << (2 * room).bit_length(), np.int32), np.empty(width), np.empty(width, np.int64),
    )  # fmt: skip


@kernel
def extend(
    machine,
    cover,
    remainder,
    layer,
    weights,
    emission,
    row,
    partial,
    two,
    scale,
    noise,
    pinned,
    following,
    floor,
    most,
    place,
    behind,
    ahead,
    left,
    strip,
    scratch,
    after,
):
    """From the nodes of a layer to those of the next: how many there are, or FULL, MISSING; and the largest value that
    was left aside.

    weights float64[N], emission float64[K]: what the best member of each label and class scores here; following
    float64[S]: what the cover can still score after that. row, partial, two, scale, noise: see `_best_of`. pinned: an id, or
    -1. Values up to `floor` are of no interest. most: how many arcs of a state to look at. place, behind, ahead: what
    `required` is asked of the new nodes. left: how many positions there are after this one for what a node needs.
    strip: whether a space that a token begins with is not part of the text.
    """
    best, ids, scores, known, rest, alike, nodes, row_of, table, top, top_at = scratch
    keys, known_values = machine.stacks.heap.keys, machine.stacks.heap.values
    width, members = np.int64(len(top)), ids.shape[1]
    size = len(layer.config)
    places, values = np.empty((size, most), np.int64), np.empty((size, most))
    sizes, lefts = np.zeros(size, np.int64), np.empty(size)
    for k in range(size):
        row_of[layer.state[k]] = -1
    for c in range(len(known)):
        known[c] = -1
        alike[c] = 0
    for c in range(len(best.known)):
        best.known[c] = -1
    for s in range(len(nodes)):
        nodes[s] = 0
    for k in range(len(table)):
        table[k] = -1
    count, tops = np.int64(0), np.int64(0)
    lost = -np.inf
    for k in range(size):
        state = np.int64(layer.state[k])
        r = np.int64(row_of[state])
        if r < 0:
            row_of[state] = r = k
            sizes[r], lefts[r] = _candidates(cover, state, weights, following, places[r], values[r], most)
        score = layer.score[k]
        lost = max(lost, score + lefts[r])
        for j in range(sizes[r]):
            value = score + values[r, j]
            if value <= floor:
                break
            c, target = np.int64(cover.symbols[places[r, j]]), np.int64(cover.targets[places[r, j]])
            # Enough nodes are better, there are nodes with this state, and this one need not hurry to close anything.
            worse = tops == width and value < top[width - 1] and nodes[target] > 1 and layer.need[k] < left
            if worse or count + members > len(after.config):
                lost = max(lost, value)
                continue
            if known[c] < 0:
                if pinned >= 0:
                    ids[c, 0], scores[c, 0], known[c], rest[c] = pinned, 0.0, 1, -np.inf
                else:
                    known[c], rest[c] = _members(
                        cover, best, c, emission, row, partial, two, scale, noise, ids[c], scores[c]
                    )
            m, first, same = np.int64(0), np.int64(DEAD), True
            while m < known[c] and not (alike[c] and first != DEAD):
                token, less = ids[c, m], scores[c, m]
                start, past = cover.data_offsets[token], cover.data_offsets[token + 1]
                text = cover.data[start + (strip and cover.data[start] == 32) : past]
                config, _, _ = read_bytes(machine, np.int64(layer.config[k]), text)
                m += 1
                if config == FULL or config == MISSING:
                    return config, lost
                same &= config == first or m == 1
                first = max(first, config)
                if config < 0:
                    if config != DEAD:
                        lost = np.inf  # too ambiguous to follow up
                    continue
                need = layer.need[k] if place == SAME else np.int64(0)
                if place != SAME and place != OFF:
                    need = required(machine, remainder, config, place, behind, ahead)
                    if need == FAR:  # it leads to no text
                        continue
                at = _node(table, config, target, after, count)
                if at == count:
                    if place == OFF:  # most often known; a call costs more than to look it up, it takes so many arrays
                        need = recall(keys, known_values, config, np.int64(LEAST))
                        if need == UNKNOWN:
                            need = required(machine, remainder, config, place, behind, ahead)
                    if need < 0:
                        return need, lost
                    after.config[at], after.state[at], after.need[at] = config, target, need
                    nodes[target] += 1
                    count += 1
                elif after.value[at] >= value + less:
                    continue
                after.score[at], after.value[at] = score + weights[c] + less, value + less
                after.parent[at], after.token[at] = k, token
                tops = _insert(top_at, top, tops, width, at, value + less)
            if same and m == known[c]:  # so the others would hardly tell more, here or at another node
                alike[c] = 1
            lost = max(lost, value + (scores[c, m] if m < known[c] else rest[c]))
    return count, lost


@kernel
def accepting(machine, layer, accept, out):
    """Into out uint8[n]: whether the text may end at each node. Returns 0, or FULL, MISSING."""
    for k in range(len(layer.config)):
        out[k] = 0
        if accept[layer.state[k]]:
            answer = accepts(machine, np.int64(layer.config[k]))
            if answer == FULL or answer == MISSING:
                return answer
            out[k] = answer == 1
    return np.int64(0)


def _first_of_each(kinds: np.ndarray, most: int) -> list[int]:
    """The places where a number stands for the first time, up to `most`."""
    first: dict[int, int] = {}
    for place, kind in enumerate(kinds.tolist()):
        if kind not in first:
            first[kind] = place
            if len(first) == most:
                break
    return list(first.values())


def choose(layer: Layer, count: int, width: int, left: int, shallow: bool) -> tuple[Layer, float]:
    """The nodes to go on with, the best first, and the largest value of the others.

    The cover knows nothing of what is open. So those whose text needs more characters than there are positions left
    come after all others; and a part of the width goes to the best node of each state, of each need, and of each pair
    of them, which tell most stacks apart: some of them may be the ones that a later pin asks for. shallow: what needs
    least is worth most.
    """
    layer = Layer(*(a[:count] for a in layer))
    lost, order = -np.inf, np.arange(count)
    if count > width:
        late = np.maximum(layer.need - left, 0)
        order = np.lexsort((-layer.value, layer.need, late) if shallow else (layer.need, -layer.value, late))
        state, need = layer.state[order], layer.need[order]
        rank = 2 * (late[order] > 0) + 1
        first = {*_first_of_each(state, width // 4), *_first_of_each(need, width // 4)}
        first |= {*_first_of_each(state * 4096 + need, width // 4)}
        rank[[*first]] -= 1
        order = order[np.argsort(rank, kind="stable")]
        lost = float(layer.value[order[width:]].max())
        order = order[:width]
    order = order[np.argsort(-layer.value[order], kind="stable")]
    return Layer(*(a[order] for a in layer)), lost
