"""Lifting a network: from a pushdown system over characters to one over the tokens of a vocabulary.

As in `lift.py`, a walk of the trie tells what every token does from every place, and tokens that do the same everywhere
are one class. What a token does is an *effect*: pop some frames, push some, and be at a place. The frames below the place
where it begins are not known, so an effect names those that it pops, and there is one for each that might be there. What
is known on the way is hash-consed, a set of effects at a time, and each byte after each set is worked out once.

For the chart every effect is cut into steps that push or pop one frame at most: the first goes with the token, the others
with nothing, by way of states that stand for what is left of an effect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.automata.interning import new_heap, roomy
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.pushdown import PLACE, Network
from dgemma_constrain.errors import LimitExceeded
from dgemma_constrain.tokens.classes import members_of
from dgemma_constrain.tokens.keys import number_equal
from dgemma_constrain.tokens.trie import build_trie
from dgemma_constrain.tokens.vocabulary import Vocabulary
from dgemma_constrain.tokens.walk_network import FRAMES, WAYS, Bytes, settle, walk

MOVE, TO_PUSH, TO_POP = range(3)


class TokenNetwork(NamedTuple):
    """A pushdown system over token classes. State 0 is the start, the last state is the end of a text.

    classes, member_offsets, members  as in TokenAutomaton
    offsets int64[S+1]  the rules of state s are offsets[s]:offsets[s+1] of
    labels  int32[R]    … the set of classes with which each goes: label_classes[label_offsets[l]:label_offsets[l+1]]
    kinds, frames, targets int32[R]  … MOVE, TO_PUSH or TO_POP; the frame; the state that it leads to
    end_offsets, end_kinds, end_frames, end_targets  the same, for what ends the text
    kind, frame, target int32[S]  of a state that stands for what is left of an effect: its step; of others the kind is MOVE
    count   how many frames there are
    unambiguous  whether no string of tokens has two runs
    """

    classes: np.ndarray
    member_offsets: np.ndarray
    members: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray
    frames: np.ndarray
    targets: np.ndarray
    label_offsets: np.ndarray
    label_classes: np.ndarray
    end_offsets: np.ndarray
    end_kinds: np.ndarray
    end_frames: np.ndarray
    end_targets: np.ndarray
    kind: np.ndarray
    frame: np.ndarray
    target: np.ndarray
    count: int
    unambiguous: bool

    @property
    def states(self) -> int:
        return len(self.kind)

    @property
    def class_count(self) -> int:
        return len(self.member_offsets) - 1


def _over_bytes(network: Network, limits: Limits) -> tuple[Bytes, np.ndarray, dict[int, int], list[int]]:
    """The network over bytes, the class of each byte, the state of each place, and the branch of each place at the end."""
    places = np.flatnonzero(network.kind == PLACE)
    place = {int(n): i for i, n in enumerate(places)}
    branch: dict[tuple[int, ...], int] = {}

    def state(nodes: tuple[int, ...]) -> int:
        if len(nodes) == 1 and nodes[0] in place:
            return place[nodes[0]]
        return len(places) + branch.setdefault(nodes, len(branch))

    end = network.alphabet.size
    steps = [sorted((c, state(to)) for c, to in network.steps[n].items() if c != end) for n in places.tolist()]
    ends = [state(network.steps[n][end]) if end in network.steps[n] else -1 for n in places.tolist()]
    size = len(places) + len(branch)
    offsets = np.zeros(size + 1, np.int64)
    offsets[1 : len(steps) + 1] = np.cumsum([len(row) for row in steps])
    offsets[len(steps) + 1 :] = offsets[len(steps)]
    symbols = np.array([c for row in steps for c, _ in row], np.int32)
    targets = np.array([t for row in steps for _, t in row], np.int32)
    over_bytes = utf8(DFA(network.alphabet, offsets, symbols, targets, np.zeros(size, bool)), limits)

    def rows(lists) -> np.ndarray:
        return np.cumsum([0, *map(len, lists)]).astype(np.int64)

    ways = [[(w, n) for w, to in network.pops.get(x, {}).items() for n in to] for x in range(len(network.kind))]
    a, b = np.zeros(len(network.kind), np.int32), np.arange(len(network.kind), dtype=np.int32)
    for n, i in place.items():
        b[n] = i
    for n, (frame, to) in network.push.items():
        a[n], b[n] = frame, to
    found = Bytes(
        over_bytes.table, len(places), size, rows(branch), np.array([n for nodes in branch for n in nodes], np.int32),
        network.kind, a, b, rows(ways), np.array([w for row in ways for w, _ in row], np.int32),
        np.array([n for row in ways for _, n in row], np.int32),
    )  # fmt: skip
    return found, over_bytes.classes, place, ends


def lift_network(network: Network, vocabulary: Vocabulary, limits: Limits = Limits()) -> TokenNetwork:
    """The network over the tokens of a vocabulary. Raises LimitExceeded."""
    over_bytes, byte_class, place, ends = _over_bytes(network, limits)
    start = place[0]
    ends = dict(enumerate(ends))
    if vocabulary.strips_leading_space:  # as in `lift`: the text may begin with one space more, or none
        space = byte_class[ord(" ")]
        table = over_bytes.table
        byte_class = byte_class.copy()
        byte_class[ord(" ")] = table.shape[1]
        table = np.concatenate([table, table[:, space : space + 1]], 1)
        table = np.concatenate([table, table[start : start + 1]])
        table[-1, -1] = start
        ends[len(table) - 1] = ends[start]
        over_bytes, start = over_bytes._replace(table=np.ascontiguousarray(table)), len(table) - 1
    trie = vocabulary.trie
    seeds = np.random.default_rng(0x5EED).integers(0, 2**64, len(over_bytes.table) + 1, np.uint64)

    def walked(trie, writing: bool):
        *found, status = walk(
            over_bytes,
            byte_class,
            tuple(trie)[:5],
            trie.height,
            np.int64(start),
            writing,
            seeds,
            limits.states,
            limits.work,
        )
        if status == 3:
            raise LimitExceeded("a token of this vocabulary may do too much in this grammar: search it instead")
        limits.check(status, "lifting this grammar to tokens")
        return found

    hashes = walked(trie, False)[2][vocabulary.token_nodes]
    class_of, example = number_equal(hashes)
    small = build_trie(vocabulary.data, vocabulary.offsets, vocabulary.order[example])
    boundary, rows, _, heap = walked(small, True)
    classes = np.full(len(vocabulary), -1, np.int32)
    classes[vocabulary.order] = class_of
    members = members_of(classes, len(example))
    return _Assembly(over_bytes, boundary, heap, ends).network(rows, classes, *members, network)


class _Assembly:
    """Effects cut into steps."""

    def __init__(self, over_bytes: Bytes, boundary: np.ndarray, heap, ends: dict[int, int]):
        self.over_bytes, self.items, self.ends = over_bytes, heap.items, ends
        self.number = {int(s): i for i, s in enumerate(boundary)}
        self.text = len(over_bytes.table)
        self.pieces: dict[tuple[int, int, int], int] = {}  # (kind, frame, target) → what is left of an effect
        self.boundary = boundary

    def network(self, rows, classes, member_offsets, members, network: Network) -> TokenNetwork:
        steps: dict[int, list[tuple[int, int, int]]] = {}
        for effects in np.unique(rows[:, 2]).tolist():
            size = int(self.items[effects])
            steps[effects] = [self._cut(*self._effect(int(k))) for k in self.items[effects + 1 : effects + 1 + size]]
        known: dict[tuple[int, int, int], int] = {}
        source, symbol, step = [], [], []
        order = np.argsort(rows[:, 2], kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(rows[order, 2])) + 1) if len(order) else ():
            for s in steps[int(rows[part[0], 2])]:
                source.append(rows[part, 0])
                symbol.append(rows[part, 1])
                step.append(np.full(len(part), known.setdefault(s, len(known))))
        ends = [[self._cut(*way) for way in self._at_end(self.ends.get(int(s), -1))] for s in self.boundary]
        last = len(self.boundary) + len(self.pieces)
        source, symbol, step = (
            np.concatenate([np.zeros(0, np.int64), *x]).astype(np.int64) for x in (source, symbol, step)
        )
        source = np.array([self.number.get(s, -1) for s in range(self.text)], np.int64)[source]
        labels, rules = self._bundled(source * max(1, len(known)) + step, symbol, len(classes))
        all_steps = list(known)
        offsets = np.zeros(last + 2, np.int64)
        states = rules // max(1, len(known))
        np.add.at(offsets, states + 1, 1)
        kinds, frames, targets = self._columns([all_steps[r] for r in (rules % max(1, len(known))).tolist()], last)
        end_sizes = [len(e) for e in ends] + [0] * (last + 1 - len(ends))
        own = [(MOVE, 0, -1)] * len(self.boundary) + list(self.pieces) + [(MOVE, 0, -1)]
        return TokenNetwork(
            classes, member_offsets, members, np.cumsum(offsets), labels[0], kinds, frames, targets, labels[1], labels[2],
            np.cumsum([0, *end_sizes]).astype(np.int64), *self._columns([s for e in ends for s in e], last),
            *self._columns(own, last), network.frames, network.unambiguous,
        )  # fmt: skip

    def _columns(self, steps, last: int):
        array = np.array(steps, np.int32).reshape(-1, 3)
        array[array[:, 2] == -2, 2] = last
        return tuple(np.ascontiguousarray(array[:, i]) for i in range(3))

    def _effect(self, at: int) -> tuple[int, list[int], list[int]]:
        """(state, pushes, pops)"""
        state, pushes, *frames = self.items[at + 1 : at + 1 + self.items[at]].tolist()
        return state, frames[:pushes], frames[pushes:]

    def _cut(self, state: int, pushes: list[int], pops: list[int]) -> tuple[int, int, int]:
        """The first step of an effect; the state -2 is the end of a text."""
        node = -2 if state == self.text else self.number[state]
        steps = [(TO_POP, w) for w in pops] + [(TO_PUSH, w) for w in pushes]
        for kind, frame in reversed(steps[1:]):
            piece = kind, frame, node
            if piece not in self.pieces:
                self.pieces[piece] = len(self.boundary) + len(self.pieces)
            node = self.pieces[piece]
        return (*steps[0], node) if steps else (MOVE, 0, node)

    def _at_end(self, branch: int) -> list[tuple[int, list[int], list[int]]]:
        if branch < 0:
            return []
        heap = roomy(new_heap(), np.int64(WAYS * 2 * FRAMES), np.int64(WAYS + 2), np.int64(2))
        work = np.empty((WAYS + 1, 2 * FRAMES + 3), np.int32)
        out = np.empty(WAYS + 1, np.int32)
        none = np.zeros(1, np.int32)
        zero = np.int64(0)
        n = settle(self.over_bytes, np.int64(branch), none, zero, zero, zero, work, heap, out, zero)
        if n < 0:
            raise LimitExceeded("a text of this grammar may end in too many ways: search it instead")
        items, self.items = self.items, heap.items
        found = [self._effect(int(k)) for k in np.unique(out[:n])]
        self.items = items
        return found

    @staticmethod
    def _bundled(rule: np.ndarray, symbol: np.ndarray, size: int):
        """(labels, label_offsets, label_classes) and the distinct rules, ascending: all classes of a rule are one label."""
        order = np.lexsort((symbol, rule))
        rule, symbol = rule[order], symbol[order]
        rules, first = np.unique(rule, return_index=True)
        numbers: dict[bytes, int] = {}
        pieces, labels = [], []
        for a, b in zip(first, np.append(first[1:], len(rule))):
            piece = symbol[a:b].astype(np.int32)
            number = numbers.setdefault(piece.tobytes(), len(numbers))
            if number == len(pieces):
                pieces.append(piece)
            labels.append(number)
        offsets = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
        return (np.array(labels, np.int32), offsets, np.concatenate([np.zeros(0, np.int32), *pieces])), rules
