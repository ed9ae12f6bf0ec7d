"""A canvas of a grammar whose texts nest without end: see `chart`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Mapping, NamedTuple

import numpy as np

from dgemma_constrain.canvas import arcs, chart, emissions
from dgemma_constrain.canvas.arcs import Labels
from dgemma_constrain.canvas.canvas import Canvas, Completion, check_pins, scale_of
from dgemma_constrain.canvas.chart import Levels, System
from dgemma_constrain.canvas.dynamic import FREE
from dgemma_constrain.canvas.emissions import MAX, SUM, Classes, make_classes
from dgemma_constrain.errors import Infeasible
from dgemma_constrain.tokens.lift_network import MOVE, TO_POP, TO_PUSH, TokenNetwork
from dgemma_constrain.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.canvas.compiled import Compiled


GAP = 4.0  # below the bound, where `best` begins to look
SLACK = 1e-6  # of a score: sums of the same numbers in another order differ by less


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


def _only(system: System, live: np.ndarray) -> System:
    """The system of some states; the first and the last are among them."""
    number = np.where(live, np.cumsum(live) - 1, -1).astype(np.int32)
    source = np.repeat(np.arange(len(live)), np.diff(system.offsets))
    ends = number[system.exits[:, 1]] >= 0
    exit_number = np.where(ends, np.cumsum(ends) - 1, -1).astype(np.int32)
    entered = live[system.entries]
    leads = np.where(system.kinds == MOVE, live[system.targets], True)
    leads &= np.where(system.kinds == TO_POP, _at(exit_number, system.with_) >= 0, True)
    leads &= np.where(system.kinds == TO_PUSH, _at(entered, _at(system.calls[:, 1], system.with_)), True).astype(bool)
    kept = live[source] & leads
    with_ = np.where(system.kinds == TO_POP, _at(exit_number, system.with_), system.with_)
    step_with = np.where(system.step == TO_POP, _at(exit_number, system.step_with), system.step_with)
    exits = system.exits[ends].copy()
    exits[:, 1] = number[exits[:, 1]]
    return System(
        np.searchsorted(number[source[kept]], np.arange(live.sum() + 1)).astype(np.int64),
        system.labels[kept], system.kinds[kept], number[system.targets[kept]], with_[kept].astype(np.int32),
        system.step[live], step_with[live].astype(np.int32), system.calls, exits, number[system.entries], system.frames,
    )  # fmt: skip


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """values[index] where index may be out of range and doesn't matter."""
    return values[np.clip(index, 0, len(values) - 1)] if len(values) else np.full(len(index), -1)


class Kept(NamedTuple):
    """The states and the levels of whole valid texts, and the labels in use, bool[N, labels]."""

    system: System
    levels: Levels
    used: np.ndarray


class Nested(Canvas):
    """As `Canvas`, for a grammar of any depth. All answers are exact but for two, where `sums` is False: what a grammar
    derives in several ways counts as often in `sample` and in marginals, and with `more_tokens` so does what may be
    finished in several ways.
    """

    def __init__(
        self,
        compiled: Compiled,
        pushdown: Pushdown,
        pinned: Mapping[int, int],
        length: int,
        more_tokens: int,
        tail: str,
        after: list[int],
        rest: np.ndarray | None = None,
    ):
        super().__init__(compiled, pushdown, pinned, length, more_tokens, 0, tail, after, np.zeros(0, bool))
        self._planned = None
        if rest is None:  # what may follow the canvas: more tokens, or nothing more
            rest = np.ones((more_tokens, len(pushdown.labels.offsets) - 1), np.uint8)
            rest[:, pushdown.stop - 2 : pushdown.stop] = 0
        self._rest = rest

    @property
    def sums(self) -> bool:
        return self._graph.unambiguous and not len(self._rest)

    def with_pins(self, pinned: Mapping[int, int]) -> Canvas:
        check_pins(pinned, self.length, len(self.compiled.vocabulary))
        return self.compiled.canvas(self.length, pinned, self.more_tokens, self.tail, self._after)

    def head(self, size: int) -> Canvas:
        rest = np.concatenate([self._open[len(self._after) + size : len(self._after) + self.length], self._rest])
        pinned = {i: t for i, t in self.pinned.items() if i < size}
        left = self.more_tokens + self.length - size
        return Nested(self.compiled, self._graph, pinned, size, left, self.tail, self._after, rest)

    @cached_property
    def _open(self) -> np.ndarray:
        """What may be read at each position, uint8[N, labels]: the ids before the canvas, it, what may follow, the end."""
        own = self._open_under(self._pins)
        before = self._open_under(self._graph.classes.of[np.array(self._after, np.int64)].astype(np.int32))
        before[:, self._graph.stop - 2 :] = 0
        last = np.zeros((1, own.shape[1]), np.uint8)
        last[0, -1] = 1
        return np.concatenate([before, own, self._rest, last])

    def _open_under(self, pins: np.ndarray) -> np.ndarray:
        offsets, classes = self._graph.labels
        holds = np.zeros((len(offsets) - 1, self._graph.wild + 2), np.uint8)
        holds[np.repeat(np.arange(len(holds)), np.diff(offsets)), classes] = 1
        free = holds[:, :-1].any(1)
        wild = holds[:, self._graph.wild] > 0
        pinned = np.where(pins[:, None] >= 0, holds[:, np.maximum(pins, 0)].T, 0) | wild
        return np.where(pins[:, None] == FREE, free, pinned).astype(np.uint8)

    def _kept_of(self, open_: np.ndarray, alive: np.ndarray | None = None) -> Kept | None:
        system = self._graph.system
        if alive is None:
            alive = np.ones((len(open_) + 1, len(system.step)), bool)
        levels, reached, left, callers = chart.reach(system, open_, alive)
        used = chart.keep(system, open_, levels, reached, left, callers)
        some, states = chart.live(levels, reached)
        if not some[0]:
            return None
        states[[0, -1]] = True
        number = np.where(some, np.cumsum(some) - 1, -1).astype(np.int32)
        first = np.append(0, np.cumsum(some))[levels.first]
        numbers = np.where(levels.number < 0, -1, _at(number, levels.number)).astype(np.int32)
        return Kept(_only(system, states), Levels(levels.boundary[some], levels.entry[some], first, numbers), used)

    @cached_property
    def _kept(self) -> Kept | None:
        return self._kept_of(self._open)

    @property
    def has_paths(self) -> bool:
        return self._kept is not None

    @property
    def feasible(self) -> bool:
        return self.has_paths

    def _feasible_under(self, pins: np.ndarray) -> bool:
        open_ = self._open.copy()
        begin = len(self._after)
        open_[begin : begin + self.length] = self._open_under(pins)
        return self._kept_of(open_) is not None

    @cached_property
    def _used(self) -> np.ndarray:
        used = np.zeros((self.length, self._graph.wild + 1), bool)
        if self._kept is None:
            return used
        offsets, classes = self._graph.labels
        for i, row in enumerate(self._own(self._kept.used)):
            for k in np.flatnonzero(row).tolist():
                used[i, classes[offsets[k] : offsets[k + 1]]] = True
        own = np.arange(self._graph.wild + 1)
        pins = self._pins[:, None]
        return used & ((pins == FREE) | (own == pins) | (own == self._graph.wild))

    @property
    def _wanted(self) -> np.ndarray:
        return self._used

    def best(self, logits: torch.Tensor, floor: float = -np.inf) -> Completion | None:
        """floor: only a string that scores higher is wanted; None if there is none."""
        if floor == -np.inf:
            self.check()
        reduced = self._reduce(logits, emissions.MAX, 1.0)
        emission, weights = self._weights(reduced.emission, MAX)
        path = self._best_path(weights, floor)
        if path is None:
            return None
        path = arcs.best_classes(self._graph.labels, emission, path)
        score = emission[np.arange(self.length), path].sum()
        return Completion(reduced.best_members(path, self._pinned).tolist(), float(score))

    def _best_path(self, weights: np.ndarray, floor: float) -> np.ndarray | None:
        """The labels of the best string, found among the states at boundaries where one of so high a score may be.

        Without a floor, one is guessed a little below the bound, until a string is found above it.
        """
        bound = chart.cover(self._graph.system, weights)
        top = bound[-1].max()
        if floor > -np.inf:
            floor += SLACK * max(1.0, abs(floor))
            if top <= floor:
                return None
        gap, open_ = GAP, (weights > -np.inf).astype(np.uint8)
        while True:
            low = floor if floor > -np.inf else top - gap
            kept = self._kept_of(open_, bound >= low)
            if kept is not None:
                values = chart.inside(kept.system, kept.levels, weights, MAX)
                if values.item[-1, -1, 0] >= low:
                    return self._own(chart.trace(kept.system, kept.levels, weights, values, np.int64(0)))
            if floor > -np.inf:
                return None
            if not (bound[bound > -np.inf] < low).any():
                self._check_weight(-np.inf)
            gap *= 4

    def _own(self, rows: np.ndarray) -> np.ndarray:
        """Of rows for all positions, those of the canvas."""
        return rows[len(self._after) : len(self._after) + self.length]

    def sample(
        self, logits: torch.Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Completion:
        import torch

        scale = scale_of(temperature)
        if scale is None:
            return self.best(logits)
        self.check()
        reduced = self._reduce(logits, emissions.SUM, scale)
        emission, weights = self._weights(reduced.emission, SUM)
        uniform = torch.rand(2, self.length, dtype=torch.float64, generator=generator).numpy()
        seed = int(torch.randint(1, 2**62, (1,), generator=generator))
        system, levels, _ = self._kept
        values = self._sums(weights)
        path = self._own(chart.trace(system, levels, weights, values, np.int64(seed)))
        path = arcs.drawn_classes(self._graph.labels, emission, self._own(weights), path, uniform[0])
        ids = reduced.drawn_members(path, self._pinned, uniform[1])
        read = path != self._graph.wild
        plain = reduced if scale == 1.0 else self._reduce(logits, emissions.MAX, 1.0)
        return Completion(ids.tolist(), float(plain.log_softmax(ids)[read].sum()))

    def _weights(self, emission: np.ndarray, mode: int) -> tuple[np.ndarray, np.ndarray]:
        """The weights of classes on the canvas, and of labels everywhere."""
        emission = np.concatenate([emission, np.full((self.length, 1), -np.inf)], 1)
        with np.errstate(divide="ignore"):
            weights = np.log(self._open.astype(np.float64))
        begin = len(self._after)
        if self.length:
            with np.errstate(invalid="ignore"):
                sums = arcs.label_best(self._graph.labels, emission) if mode == MAX else arcs.label_sum(self._graph.labels, emission)
            weights[begin : begin + self.length] = sums
        return emission, np.ascontiguousarray(weights)

    def _sums(self, weights: np.ndarray) -> chart.Values:
        values = chart.inside(self._kept.system, self._kept.levels, weights, SUM)
        self._check_weight(values.item[-1, -1, 0])
        return values

    def _posterior(self, emission: np.ndarray) -> np.ndarray:
        emission, weights = self._weights(emission, SUM)
        by_label = chart.outside(self._kept.system, self._kept.levels, weights, self._sums(weights))
        with np.errstate(divide="ignore"):
            return np.log(arcs.spread(self._graph.labels, emission, self._own(weights), self._own(by_label)))[:, :-1]

    def _reason(self) -> str:
        free = np.full(self.length, FREE, np.int32)
        if (self._pins != FREE).any() and self._feasible_under(free):
            return self._conflict()
        return (
            f"no valid string has exactly {self.length} tokens"
            + ("" if self.compiled.vocabulary.eos_ids else ", and this vocabulary has no end token")
            + "; try another length"
        )

    def check(self) -> None:
        if not self.has_paths:
            raise Infeasible(self._reason())
