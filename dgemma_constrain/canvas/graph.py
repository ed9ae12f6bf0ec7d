"""The token automaton with what a canvas adds to it: the end token and the tail after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dgemma_constrain.canvas.arcs import Arcs, Labels, bundle, factor
from dgemma_constrain.canvas.emissions import Classes, make_classes
from dgemma_constrain.tokens.lift import TokenAutomaton
from dgemma_constrain.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Graph:
    """Arcs in rows, like the transitions of TokenAutomaton, but labelled with sets of classes: see `arcs`.

    There is one state more, `ended`, and three classes more: end, pad and `wild`.

    Every accepting state leads to `ended` by an end token. From there tail="end" goes on with end or pad tokens, scored
    like any other; tail="any" with `wild`, which stands for any token, weighs nothing and is not read.
    """

    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    labels: Labels
    distance: np.ndarray
    classes: Classes
    wild: int

    @property
    def states(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def factored(self) -> Arcs:
        """The same arcs by way of joints: see `arcs.factor`."""
        nothing = len(self.labels.offsets) - 1
        return Arcs(*factor(self.offsets, self.symbols, self.targets, nothing), nothing)

    @cached_property
    def short(self) -> Arcs:
        """`factored` with uint16 where they fit: a sweep over many arcs waits for them to come from memory."""
        arcs = self.factored
        kind = np.uint16 if max(len(arcs.offsets), arcs.nothing + 1) <= 1 << 16 else np.int32
        return arcs._replace(symbols=arcs.symbols.astype(kind), targets=arcs.targets.astype(kind))

    @cached_property
    def by_class(self) -> Labels:
        """The other way round: the labels that hold class c are classes[offsets[c]:offsets[c+1]]; the wild class is the last."""
        offsets, classes = self.labels
        sizes = np.bincount(classes, minlength=self.wild + 1)
        held_by = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
        return Labels(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), held_by[np.argsort(classes, kind="stable")])

    @cached_property
    def on_device(self) -> dict:
        """The graph on each device where it has been used: see `device.DeviceGraph`."""
        return {}

    @cached_property
    def by_label(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The arcs of each label, in a row: offsets int64[N+1], sources and targets int32."""
        order = np.argsort(self.symbols, kind="stable")
        sources = np.repeat(np.arange(self.states, dtype=np.int32), np.diff(self.offsets))
        sizes = np.bincount(self.symbols, minlength=len(self.labels.offsets) - 1)
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), sources[order], self.targets[order]

    def final(self, more_tokens: int) -> np.ndarray:
        """bool[S]: where a canvas may end if `more_tokens` may follow it."""
        return self.distance <= more_tokens


def make_graph(automaton: TokenAutomaton, vocabulary: Vocabulary, tail: str) -> Graph:
    """The graph of a canvas with tail "end" or "any"."""
    states, count = automaton.states, automaton.class_count
    end, pad, wild = count, count + 1, count + 2
    pads = [] if vocabulary.pad_id is None or vocabulary.pad_id in vocabulary.eos_ids else [vocabulary.pad_id]
    of = automaton.classes.copy()
    of[list(vocabulary.eos_ids)] = end
    of[pads] = pad
    members = np.concatenate([automaton.members, np.array([*vocabulary.eos_ids, *pads], np.int32)])
    last = automaton.member_offsets[-1] + np.cumsum([len(vocabulary.eos_ids), len(pads)])
    ends = automaton.accept & bool(vocabulary.eos_ids)
    after = ([end] if vocabulary.eos_ids else []) + ([pad] if pads else []) if tail == "end" else [wild]

    # Each accepting row grows by one transition, at its end, where the larger symbol belongs.
    sizes = np.diff(automaton.offsets) + ends
    offsets = np.concatenate([[0], np.cumsum(sizes), [sizes.sum() + len(after)]]).astype(np.int64)
    symbols, targets = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    old = np.ones(offsets[-1], bool)
    added = offsets[1:-1][ends] - 1
    old[added] = False
    old[offsets[-2] :] = False
    symbols[old], targets[old] = automaton.symbols, automaton.targets
    symbols[added], targets[added] = end, states
    symbols[offsets[-2] :], targets[offsets[-2] :] = after, states
    *arcs, label_offsets, label_classes = bundle(offsets, symbols, targets)
    return Graph(
        *arcs,
        Labels(label_offsets, label_classes),
        np.append(automaton.distance, 0).astype(np.int32),
        make_classes(of, np.concatenate([automaton.member_offsets, last]).astype(np.int64), members),
        wild,
    )
