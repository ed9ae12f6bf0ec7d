"""A canvas of a grammar whose texts nest without end: see `chart`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Callable, Mapping, NamedTuple

import numpy as np

from dgemma_constrain.canvas import arcs, chart, chart_weights
from dgemma_constrain.canvas.canvas import Canvas, Completion, check_pins, scale_of
from dgemma_constrain.canvas.chart import Levels, System
from dgemma_constrain.canvas.dynamic import FREE
from dgemma_constrain.canvas.emissions import BEST, MAX, SUM
from dgemma_constrain.canvas.posterior import Posterior
from dgemma_constrain.canvas.pushdown import Pushdown, at, restricted

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.canvas.compiled import Compiled


SLACK = 1e-6  # of a score: sums of the same numbers in another order differ by less
GAP = 4.0  # below the bound, where `best` begins to look
# What a chart may take at most where there is another way: steps of its innermost loop, and numbers (or bits) to be kept.
BITS, WEIGHTS, SUMS = (3.5e9, 5e9), (5e8, 5e7), (1e8, 5e7)


class Kept(NamedTuple):
    """The states and the levels of whole valid texts, and the labels in use, bool[N, labels]."""

    system: System
    levels: Levels
    used: np.ndarray


class Nested(Canvas):
    """As `Canvas`, for a grammar of any depth, as long as a chart of it isn't too large. Where it would be, `shallow`
    answers: the canvas of an automaton that holds the texts up to some depth, if one of them fits.

    `feasible` and `allowed` are exact; so is `best`, or its `proved` is False because it asked `shallow`. `sample` and the
    marginals are exact unless they ask it, and then they are those of the texts up to that depth: on large canvases, where
    a text has several runs, and where `more_tokens` may finish one in several ways.
    """

    is_finite = False

    def __init__(
        self,
        compiled: Compiled,
        pushdown: Pushdown,
        shallow: Canvas | None,
        pinned: Mapping[int, int],
        length: int,
        more_tokens: int,
        tail: str,
        after: list[int],
        rest: np.ndarray | None = None,
    ):
        super().__init__(compiled, pushdown, pinned, length, more_tokens, 0, tail, after, np.zeros(0, bool))
        self._given = shallow
        if rest is None:  # what may follow the canvas: more tokens, or nothing more
            rest = np.ones((more_tokens, len(pushdown.labels.offsets) - 1), np.uint8)
            rest[:, pushdown.stop - 2 : pushdown.stop] = 0
        self._rest = rest

    @cached_property
    def _shallow(self) -> Canvas | None:
        """Asked for only where it is needed: its boolean pass may take as long as all the rest."""
        return self._given if self._given is not None and self._given.has_paths else None

    def with_pins(self, pinned: Mapping[int, int]) -> Nested:
        check_pins(pinned, self.length, len(self.compiled.vocabulary))
        shallow = self._given
        if shallow is not None:
            shallow = Canvas(
                shallow.compiled, shallow._graph, pinned, shallow.length, shallow.more_tokens, shallow._start, shallow.tail,
                shallow._after, shallow._planned,
            )  # fmt: skip
        return Nested(
            self.compiled,
            self._graph,
            shallow,
            pinned,
            self.length,
            self.more_tokens,
            self.tail,
            self._after,
            self._rest,
        )

    def head(self, size: int) -> Nested:
        rest = np.concatenate([self._own(self._open)[size:], self._rest])
        pinned = {i: t for i, t in self.pinned.items() if i < size}
        left = self.more_tokens + self.length - size
        shallow = self._shallow and self._shallow.head(size)
        return Nested(self.compiled, self._graph, shallow, pinned, size, left, self.tail, self._after, rest)

    def _own(self, rows: np.ndarray) -> np.ndarray:
        """Of rows for all positions, those of the canvas."""
        return rows[len(self._after) : len(self._after) + self.length]

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
        holds = self._graph.holds
        free = holds[:, :-1].any(1)
        wild = holds[:, self._graph.wild] > 0
        pinned = np.where(pins[:, None] >= 0, holds[:, np.maximum(pins, 0)].T, 0) | wild
        return np.where(pins[:, None] == FREE, free, pinned).astype(np.uint8)

    # What is possible ---------------------------------------------------------------------------------------------------

    def _fits(self, work: float, memory: float, alive: np.ndarray | None = None) -> bool:
        """Whether a chart of these states at boundaries takes no more than so much work, and memory."""
        system = self._graph.system
        if alive is None:
            alive = self._everywhere
        levels = 1 + int(alive[:, system.entries].sum())
        numbers = levels * (len(alive) * (int(alive.any(0).sum()) + len(system.exits)) + levels * system.frames)
        return len(alive) * len(system.exits) * levels**2 / 6 <= work and numbers <= memory

    @property
    def _everywhere(self) -> np.ndarray:
        return np.ones((len(self._open) + 1, len(self._graph.system.step)), bool)

    @property
    def is_small(self) -> bool:
        """Whether a chart can tell what is possible."""
        return self._fits(*BITS)

    def _kept_of(self, open_: np.ndarray, alive: np.ndarray) -> Kept | None:
        system = self._graph.system
        levels, reached, left, callers = chart.reach(system, open_, alive)
        used = chart.keep(system, open_, levels, reached, left, callers)
        some, states = chart.live(levels, reached)
        if not some[0]:
            return None
        states[[0, -1]] = True
        number = np.where(some, np.cumsum(some) - 1, -1).astype(np.int32)
        first = np.append(0, np.cumsum(some))[levels.first]
        numbers = np.where(levels.number < 0, -1, at(number, levels.number)).astype(np.int32)
        return Kept(restricted(system, states), Levels(levels.boundary[some], levels.entry[some], first, numbers), used)

    @cached_property
    def _kept(self) -> Kept | None:
        return self._kept_of(self._open, self._everywhere)

    @cached_property
    def has_paths(self) -> bool:
        return self._shallow is not None or self._kept is not None

    @property
    def feasible(self) -> bool:
        return self.has_paths

    def goes_on(self) -> bool:
        """Whether the ids before the canvas can be read at all."""
        begin = len(self._after)
        alive = self._everywhere[: begin + 1]
        _, reached, _, _ = chart.reach(self._graph.system, self._open[:begin], alive)
        return bool(reached[begin].any())

    def _feasible_under(self, pins: np.ndarray) -> bool:
        open_ = self._open.copy()
        self._own(open_)[:] = self._open_under(pins)
        return self._kept_of(open_, self._everywhere) is not None

    def _reason(self) -> str:
        free = np.full(self.length, FREE, np.int32)
        if (self._pins != FREE).any() and self._feasible_under(free):
            return self._conflict()
        return (
            f"no valid string has exactly {self.length} tokens"
            + (f", with up to {self.more_tokens} more" if self.more_tokens else "")
            + ("" if self.compiled.vocabulary.eos_ids else ", and this vocabulary has no end token")
            + "; try another length"
        )

    @cached_property
    def _used(self) -> np.ndarray:
        if self._kept is None:
            return np.zeros((self.length, self._graph.wild + 1), bool)
        used = self._own(self._kept.used).astype(np.float32) @ self._graph.holds[:, :-1].astype(np.float32) > 0
        own, pins = np.arange(self._graph.wild + 1), self._pins[:, None]
        return used & ((pins == FREE) | (own == pins) | (own == self._graph.wild))

    @property
    def _asked(self) -> Canvas | None:
        """`shallow`, where it has to answer what is possible."""
        return None if self.is_small else self._shallow

    @cached_property
    def choices(self) -> np.ndarray:
        return super().choices if self._asked is None else self._asked.choices

    def allowed(self, position: int | None = None) -> torch.Tensor:
        return super().allowed(position) if self._asked is None else self._asked.allowed(position)

    def mask_(self, logits: torch.Tensor) -> torch.Tensor:
        return super().mask_(logits) if self._asked is None else self._asked.mask_(logits)

    # What is likely -----------------------------------------------------------------------------------------------------

    @property
    def _wanted(self) -> np.ndarray:
        return np.ones((self.length, self._graph.wild + 1), bool)

    def best(self, logits: torch.Tensor) -> Completion:
        reduced = self._reduce(logits, BEST, 1.0)
        emission, weights = self._weights(reduced.emission, MAX)
        path = self._best_path(weights, lambda: self._shallow.best(logits).score)
        if path is None:
            self.check()
            found = self._other.best(logits)
            found.proved = False
            return found
        path = arcs.best_classes(self._graph.labels, emission, path)
        score = emission[np.arange(self.length), path].sum()
        return Completion(reduced.best_members(path, self._pinned).tolist(), float(score))

    def _best_path(self, weights: np.ndarray, known: Callable[[], float] | None) -> np.ndarray | None:
        """The labels of the best string, or None if that takes too long, and there is another way.

        Only the states where a string of a high score may pass are in the chart: of one a little below the bound; if there
        is no such string, of one as good as that which `shallow` knows, or further below the bound.
        """
        bound = chart_weights.cover(self._graph.system, weights, MAX)
        top, open_ = bound[-1].max(), (weights > -np.inf).astype(np.uint8)
        if top == -np.inf:
            self.check()
        self._check_weight(top)
        gap = GAP
        while True:
            alive = bound >= top - gap
            if not self._fits(*WEIGHTS, alive) and self._other is not None:
                return None
            complete = not (bound[bound > -np.inf] < top - gap).any()  # then nothing is left out that could be better
            kept = self._kept_of(open_, alive)
            if kept is not None:
                values = chart_weights.inside(kept.system, kept.levels, weights, MAX)
                found = values.item[-1, -1, 0]
                if found >= top - gap or (complete and found > -np.inf):
                    return self._own(chart_weights.trace(kept.system, kept.levels, weights, values, np.int64(0)))
            if known is not None or complete:
                self.check()
            if complete:
                self._check_weight(-np.inf)
            if self._shallow is not None and known is not None:
                gap = max(gap, top - known() + SLACK * max(1.0, abs(top)))
                known = None
            else:
                gap *= 4

    @cached_property
    def _other(self) -> Canvas | None:
        """What answers where a chart is too large: `shallow`, or the canvas of a search."""
        if self._shallow is not None or self.compiled.deeper is None:
            return self._shallow
        return self.compiled.deeper.canvas(self.length, self.pinned, self.more_tokens, self.tail, self._after)

    def sample(
        self, logits: torch.Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Completion:
        if scale_of(temperature) is None:
            return self.best(logits)
        self.check()
        posterior = self._posterior(logits, temperature)
        if not isinstance(posterior, ChartPosterior):
            return self._other.sample(logits, temperature, generator)
        return self._drawn(logits, temperature, posterior, *posterior.draw(generator))

    def _posterior(self, logits: torch.Tensor, temperature: float) -> Posterior:
        reduced = self._reduce(logits, SUM, scale_of(temperature, zero=False))
        emission, weights = self._weights(reduced.emission, SUM)
        found = self._sums(weights)
        if found is None:
            return self._other._posterior(logits, temperature)
        return ChartPosterior(self, reduced, emission, weights, *found)

    def _sums(self, weights: np.ndarray) -> tuple[Kept, chart_weights.Values] | None:
        """The chart of sums; None if `shallow` is to answer. Left out are states where all that may pass there weighs no
        more than rounding does: less than e^-37 of one string, all of them together."""
        counts_once = self._graph.unambiguous and not len(self._rest)
        if not counts_once and self._shallow is not None:
            return None
        open_ = (weights > -np.inf).astype(np.uint8)
        path = self._best_path(weights, None)
        if path is None:
            return None
        bound = chart_weights.cover(self._graph.system, weights, SUM)
        one = self._own(weights)[np.arange(self.length), path].sum()  # weighs no more than all do
        alive = bound >= one - 37 - np.log(bound.size)
        if not self._fits(*(SUMS if self._shallow is not None else WEIGHTS), alive) and self._other is not None:
            return None
        kept = self._kept_of(open_, alive)
        values = chart_weights.inside(kept.system, kept.levels, weights, SUM)
        return kept, values

    def _weights(self, emission: np.ndarray, mode: int) -> tuple[np.ndarray, np.ndarray]:
        """The weights of classes on the canvas, and of labels everywhere."""
        emission = np.concatenate([emission, np.full((self.length, 1), -np.inf)], 1)
        with np.errstate(divide="ignore"):
            weights = np.log(self._open.astype(np.float64))
        if self.length:
            of = arcs.label_best if mode == MAX else arcs.label_sum
            with np.errstate(invalid="ignore"):
                self._own(weights)[:] = of(self._graph.labels, emission)
        return emission, weights


class ChartPosterior(Posterior):
    """As `Posterior`, of a chart of sums; emission float64[L, K+2] and weights float64[N, labels] as the chart has them."""

    def __init__(self, canvas: Nested, reduced, emission: np.ndarray, weights: np.ndarray, kept: Kept, values: chart_weights.Values):
        super().__init__(canvas, reduced, weights, values)
        self._emission, self._kept = emission, kept

    def draw(self, generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        import torch

        canvas, kept = self._canvas, self._kept
        uniform = torch.rand(2, canvas.length, dtype=torch.float64, generator=generator).numpy()
        seed = int(torch.randint(1, 2**62, (1,), generator=generator))
        path = canvas._own(chart_weights.trace(kept.system, kept.levels, self._weights, self._value, np.int64(seed)))
        path = arcs.drawn_classes(canvas._graph.labels, self._emission, canvas._own(self._weights), path, uniform[0])
        ids = self._reduced.drawn_members(path, canvas._pinned, uniform[1])
        return ids, path != canvas._graph.wild

    @cached_property
    def classes(self) -> np.ndarray:
        canvas, kept = self._canvas, self._kept
        by_label = canvas._own(chart_weights.outside(kept.system, kept.levels, self._weights, self._value))
        shared = arcs.spread(canvas._graph.labels, self._emission, canvas._own(self._weights), by_label)
        with np.errstate(divide="ignore"):
            return np.log(shared)[:, :-1]
