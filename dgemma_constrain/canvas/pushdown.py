"""A network of tokens as the chart reads it, with what a canvas adds to it: the end token and the tail after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dgemma_constrain.canvas.arcs import Labels
from dgemma_constrain.canvas.chart import System
from dgemma_constrain.canvas.emissions import Classes, make_classes
from dgemma_constrain.tokens.lift_network import MOVE, TO_POP, TO_PUSH, TokenNetwork
from dgemma_constrain.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Pushdown:
    """A network of tokens with what a canvas adds to it, as `Graph` does: the end token, and the tail after it.

    Classes are those of the network, then end, pad and `wild`; one more, which no id is in, ends a text behind the last
    position. Labels are those of the network, then `end` and `tail`, and `stop` for that class.
    """

    system: System
    labels: Labels
    classes: Classes
    wild: int
    unambiguous: bool

    @property
    def stop(self) -> int:
        return len(self.labels.offsets) - 2

    @cached_property
    def holds(self) -> np.ndarray:
        """Whether a label holds a class, uint8[labels, K+2]."""
        held = np.zeros((len(self.labels.offsets) - 1, self.wild + 2), np.uint8)
        held[np.repeat(np.arange(len(held)), np.diff(self.labels.offsets)), self.labels.classes] = 1
        return held


def make_pushdown(network: TokenNetwork, vocabulary: Vocabulary, tail: str) -> Pushdown:
    """The system of a canvas with tail "end" or "any"."""
    count, own = network.class_count, len(network.label_offsets) - 1
    end, pad, wild, stop = range(count, count + 4)
    pads = [] if vocabulary.pad_id is None or vocabulary.pad_id in vocabulary.eos_ids else [vocabulary.pad_id]
    of = network.classes.copy()
    of[list(vocabulary.eos_ids)] = end
    of[pads] = pad
    members = np.concatenate([network.members, np.array([*vocabulary.eos_ids, *pads], np.int32)])
    last = network.member_offsets[-1] + np.cumsum([len(vocabulary.eos_ids), len(pads)])
    ends = [end] if vocabulary.eos_ids else []
    after = ends + ([pad] if pads else []) if tail == "end" else [wild]
    extra = [ends, after, [stop]]
    labels = Labels(
        np.concatenate([network.label_offsets, network.label_offsets[-1] + np.cumsum([*map(len, extra)])]),
        np.concatenate([network.label_classes, *map(np.array, extra)]).astype(np.int32),
    )

    last_state = network.states - 1
    source = np.repeat(np.arange(network.states), np.diff(network.offsets))
    at_end = np.repeat(np.arange(network.states), np.diff(network.end_offsets))
    once, twice = np.ones(len(at_end), np.int32), np.full(2, last_state)
    source = np.concatenate([source, at_end, at_end, twice])
    label = np.concatenate([network.labels, own * once, (own + 2) * once, [own + 1, own + 2]])
    kind, frame, target = (
        np.concatenate([own_, end_, end_, [x, x]])
        for own_, end_, x in (
            (network.kinds, network.end_kinds, MOVE),
            (network.frames, network.end_frames, 0),
            (network.targets, network.end_targets, last_state),
        )
    )
    order = np.argsort(source, kind="stable")
    source, label, kind, frame, target = (x[order] for x in (source, label, kind, frame, target))
    system = _system(
        np.searchsorted(source, np.arange(network.states + 1)), label, kind, frame, target,
        network.kind, network.frame, network.target, network.count,
    )  # fmt: skip
    offsets = np.concatenate([network.member_offsets, last]).astype(np.int64)
    return Pushdown(system, labels, make_classes(of, offsets, members), wild, network.unambiguous)


def _system(offsets, label, kind, frame, target, step, step_frame, step_target, frames: int) -> System:
    """Pairs numbered, and entries in an order in which those that push by themselves come before what they lead to."""
    entries = np.unique(np.concatenate([target[kind == TO_PUSH], step_target[step == TO_PUSH]]))
    depth = np.zeros(len(entries), np.int64)
    number = {int(x): e for e, x in enumerate(entries)}
    for e, x in enumerate(entries.tolist()):
        while step[x] == TO_PUSH:
            x = int(step_target[x])
            depth[e] += 1
    entries = entries[np.argsort(-depth, kind="stable")]
    number = {int(x): e for e, x in enumerate(entries)}
    with_, step_with = np.zeros(len(kind), np.int32), np.zeros(len(step), np.int32)
    calls: dict[tuple[int, int], int] = {}
    exits: dict[tuple[int, int], int] = {}
    for kinds, frame_of, target_of, out in ((kind, frame, target, with_), (step, step_frame, step_target, step_with)):
        for r in np.flatnonzero(kinds == TO_PUSH).tolist():
            out[r] = calls.setdefault((int(frame_of[r]), number[int(target_of[r])]), len(calls))
        for r in np.flatnonzero(kinds == TO_POP).tolist():
            out[r] = exits.setdefault((int(frame_of[r]), int(target_of[r])), len(exits))
    as_pairs = lambda pairs: np.array([*pairs], np.int32).reshape(-1, 2)  # noqa: E731
    return System(
        offsets.astype(np.int64), label.astype(np.int32), kind.astype(np.int32), target.astype(np.int32), with_,
        step.astype(np.int32), step_with, as_pairs(calls), as_pairs(exits), entries.astype(np.int32), max(1, frames),
    )  # fmt: skip


def restricted(system: System, live: np.ndarray) -> System:
    """The system of some states; the first and the last are among them."""
    number = np.where(live, np.cumsum(live) - 1, -1).astype(np.int32)
    source = np.repeat(np.arange(len(live)), np.diff(system.offsets))
    ends = number[system.exits[:, 1]] >= 0
    exit_number = np.where(ends, np.cumsum(ends) - 1, -1).astype(np.int32)
    entered = live[system.entries]
    leads = np.where(system.kinds == MOVE, live[system.targets], True)
    leads &= np.where(system.kinds == TO_POP, at(exit_number, system.with_) >= 0, True)
    leads &= np.where(system.kinds == TO_PUSH, at(entered, at(system.calls[:, 1], system.with_)), True).astype(bool)
    kept = live[source] & leads
    with_ = np.where(system.kinds == TO_POP, at(exit_number, system.with_), system.with_)
    step_with = np.where(system.step == TO_POP, at(exit_number, system.step_with), system.step_with)
    exits = system.exits[ends].copy()
    exits[:, 1] = number[exits[:, 1]]
    return System(
        np.searchsorted(number[source[kept]], np.arange(live.sum() + 1)).astype(np.int64),
        system.labels[kept], system.kinds[kept], number[system.targets[kept]], with_[kept].astype(np.int32),
        system.step[live], step_with[live].astype(np.int32), system.calls, exits, number[system.entries], system.frames,
    )  # fmt: skip


def at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """values[index] where index may be out of range and doesn't matter."""
    return values[np.clip(index, 0, len(values) - 1)] if len(values) else np.full(len(index), -1)
