"""A canvas: exactly L positions, some pinned, and everything that can be asked of it."""

from __future__ import annotations

from collections import namedtuple
from functools import cached_property
from typing import TYPE_CHECKING, Mapping

import numpy as np

from dgemma_constrain.canvas import arcs, dynamic, emissions, expand, sums
from dgemma_constrain.canvas import logits as reductions
from dgemma_constrain.canvas.dynamic import FREE
from dgemma_constrain.canvas.graph import Graph
from dgemma_constrain.canvas.posterior import Posterior, nothing_left
from dgemma_constrain.canvas.threads import in_threads
from dgemma_constrain.errors import ConstraintError, Infeasible

if TYPE_CHECKING:
    import torch

    from dgemma_constrain.canvas.compiled import Compiled


class Completion(namedtuple("Completion", "ids score")):
    """A whole valid canvas: its ids, and the sum of log-softmax over the positions that count (all but an unread tail).

    proved: whether it is known that no valid string scores higher; not so where a search was cut short
    (`Searched`), or only what an automaton holds was looked at (`Nested`).
    exact: of a sample, whether it was drawn in proportion to its probability (see `Searched.sample`).
    """

    ids: list[int]
    score: float
    proved: bool = True
    exact: bool = True


class Canvas:
    """Immutable; made by `Compiled.canvas`. Logits are [L, V], of any float dtype, on any device.

    Valid strings are those whose bytes before the first end token (or all, without one) are in the language, followed by
    the tail, and that agree with every pin. With `more_tokens` the text may also stop inside the language where it can
    still be finished in so many tokens.
    """

    is_finite = True  # the automaton is all there is to it

    def __init__(
        self,
        compiled: Compiled,
        graph: Graph,
        pinned: Mapping[int, int],
        length: int,
        more_tokens: int,
        start: int,
        tail: str,
        after: list[int],
        final: np.ndarray | None = None,
    ):
        self.compiled, self._graph, self.length = compiled, graph, length
        self.more_tokens, self._start, self.tail, self._after = more_tokens, start, tail, after
        self._final = graph.final(more_tokens) if final is None else final
        self._planned = final  # by `head`: where it may end so that the rest can be filled
        self._pinned = np.full(length, -1, np.int64)
        for i, token in pinned.items():
            self._pinned[i] = token
        self._pins = np.where(self._pinned < 0, FREE, graph.classes.of[self._pinned]).astype(np.int32)

    @property
    def pinned(self) -> dict[int, int]:
        """The pinned positions and their ids."""
        return {int(i): int(self._pinned[i]) for i in np.flatnonzero(self._pinned >= 0)}

    def pin(self, position: int, token_id: int) -> Canvas:
        """The same canvas with one position more pinned (or pinned anew)."""
        return self.with_pins({**self.pinned, position: token_id})

    def with_pins(self, pinned: Mapping[int, int]) -> Canvas:
        """The same canvas with these pins instead. Raises ConstraintError for a position or id out of range."""
        check_pins(pinned, self.length, len(self.compiled.vocabulary))
        return self.compiled.place(
            pinned, self.length, self.more_tokens, self._start, self.tail, self._after, self._planned
        )

    def head(self, size: int) -> Canvas:
        """The canvas of the first `size` positions: its valid strings are the beginnings of this one's, so that the rest
        can be filled later, pins and all."""
        bounds, live = self._live
        final = np.zeros(self._graph.states, bool)
        final[live[bounds[size] : bounds[size + 1]]] = True
        pinned = {i: t for i, t in self.pinned.items() if i < size}
        left = self.more_tokens + self.length - size
        return Canvas(self.compiled, self._graph, pinned, size, left, self._start, self.tail, self._after, final)

    def behind(self, ids: list[int]) -> list[int] | None:
        """Ids that follow these, which fill the canvas, in a text that was found; None where none is remembered."""
        return None

    def knowing(self, ids: list[int] | None) -> Canvas:
        """The same canvas, told of a text that fits, if it has a use for one."""
        return self

    def _live_under(self, pins: np.ndarray):
        g = self._graph
        return dynamic.live_states(g.factored, g.by_class, self._start, self._final, pins, g.wild)

    @cached_property
    def _live(self):
        return self._live_under(self._pins)

    @cached_property
    def _used(self) -> np.ndarray:
        """bool[L, K+1]: the classes on valid paths at each position, the wild one last."""
        g = self._graph
        arcs = g.offsets, g.symbols, g.targets
        return dynamic.used_classes(arcs, g.by_label, g.by_class, *self._live, self._pins, g.wild)

    @property
    def _wanted(self) -> np.ndarray:
        """The classes worth reducing."""
        return self._used

    @cached_property
    def feasible(self) -> bool | None:
        """Whether there is any valid string; None if there may be one, nested more deeply than the automaton goes."""
        if self.has_paths:
            return True
        return False if self.compiled.exact or self._is_refuted() else None

    @property
    def has_paths(self) -> bool:
        """Whether the automaton has a text that fits."""
        return bool(self._live[0][1] > 0)

    def _is_refuted(self) -> bool:
        """Whether not even an automaton that lets through whatever is nested too deeply has a text that fits."""
        wider = self.compiled.wider
        if wider is None:
            return False
        try:
            return not wider.canvas(self.length, self.pinned, self.more_tokens, self.tail, self._after).has_paths
        except ConstraintError:
            return True  # no text begins like the canvases before this one

    def check(self) -> None:
        """Raise Infeasible, with the reason, unless there is a valid string that the automaton knows."""
        if not self.has_paths:
            raise Infeasible(self._reason())

    def _reason(self) -> str:
        if self.feasible is None:
            depth = None if self.compiled.constraint is None else self.compiled.constraint.depth()
            return (
                "no text fits that is nested "
                + ("only so deeply as this automaton goes" if depth is None else f"no more than {depth} deep")
                + ", and deeper ones were left out; raise max_depth"
            )
        free = np.full(self.length, FREE, np.int32)
        needed = int(self._graph.distance[self._start])
        if self._feasible_under(free):
            return self._conflict()
        if needed > self.length + self.more_tokens:
            return (
                f"at least {needed} tokens are needed, but the canvas has {self.length}"
                + (f" and {self.more_tokens} more may follow" if self.more_tokens else "")
                + "; make it longer"
            )
        return (
            f"no valid string has exactly {self.length} tokens"
            + ("" if self.compiled.vocabulary.eos_ids else ", and this vocabulary has no end token")
            + "; try another length"
        )

    def _conflict(self) -> str:
        """Which pin cannot be, where all would be well without pins."""
        where = np.flatnonzero(self._pins != FREE)
        free = np.full(self.length, FREE, np.int32)
        low, high = 0, len(where) - 1  # the fewest pins, from the left, that already conflict
        while low < high:
            middle = (low + high) // 2
            some = free.copy()
            some[where[: middle + 1]] = self._pins[where[: middle + 1]]
            low, high = (middle + 1, high) if self._feasible_under(some) else (low, middle)
        i = int(where[low])
        token = self.compiled.vocabulary.token_bytes(int(self._pinned[i]))
        what = "a special id" if token is None else repr(token.decode("utf-8", "backslashreplace"))
        return (
            f"position {i}, pinned to id {self._pinned[i]} ({what}), conflicts with the constraint"
            + (" and the pins before it" if low else "")
            + f"; unpin it or change the canvas of {self.length} tokens"
        )

    def _feasible_under(self, pins: np.ndarray) -> bool:
        return self._live_under(pins)[0][1] > 0

    @cached_property
    def choices(self) -> np.ndarray:
        """How many tokens each position allows, int64[L]."""
        used = self._used
        sizes = np.append(np.diff(self._graph.classes.offsets), len(self._graph.classes.of))
        counts = np.where(used[:, -1], sizes[-1], used[:, :-1] @ sizes[:-1])
        return np.where(self._pinned >= 0, np.minimum(counts, 1), counts)

    def allowed(self, position: int | None = None) -> torch.Tensor:
        """The exact masks, bool[L, V] (or bool[V] of one position): token t is allowed at i if some valid string has it there."""
        import torch

        used = self._used
        rows = range(self.length) if position is None else [range(self.length)[position]]
        used = used[rows.start : rows.stop] if position is None else used[rows[0] : rows[0] + 1]
        pinned = self._pinned if position is None else self._pinned[rows[0] : rows[0] + 1]
        out = np.zeros((len(used), len(self._graph.classes.of)), bool)
        in_threads(
            lambda part: expand.expand_mask(used[part], self._graph.classes, pinned[part], out[part]), len(used)
        )
        mask = torch.from_numpy(out)
        return mask if position is None else mask[0]

    def mask_(self, logits: torch.Tensor) -> torch.Tensor:
        """Write -inf over every token that `allowed` forbids, in place; returns `logits`. One pass, without the [L, V] mask.

        Float32 logits in host memory are written where they lie; others by way of `allowed`.
        """
        import torch

        used, classes = self._used, self._graph.classes
        reductions.check_shape(logits, self.length, len(classes.of))
        if logits.device.type != "cpu" or logits.dtype != torch.float32 or not logits.is_contiguous():
            return logits.masked_fill_(~self.allowed().to(logits.device), -torch.inf)
        rows = logits.detach().numpy()
        in_threads(lambda part: expand.forbid(used[part], classes, self._pinned[part], rows[part]), len(rows))
        return logits

    def best(self, logits: torch.Tensor) -> Completion:
        """The most probable valid string: argmax of the summed log-softmax, pinned positions included.

        Raises Infeasible with the reason, LogitsError.
        """
        self.check()
        if self.runs_with(logits):
            from dgemma_constrain.canvas import device

            return Completion(*device.best(self, logits))
        reduced = self._reduce(logits, emissions.BEST, 1.0)
        weights = arcs.label_best(self._graph.labels, reduced.emission)
        value = self._best_values(weights)
        self._check_weight(value[0] if self.length else 0.0)
        path = self._sweep(dynamic.best_path, weights, value, self._start)
        path = arcs.best_classes(self._graph.labels, reduced.emission, path)
        score = reduced.emission[np.arange(self.length), path].sum()
        return Completion(reduced.best_members(path, self._pinned).tolist(), float(score))

    def sample(
        self, logits: torch.Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Completion:
        """An exact joint sample of prod softmax(logits / temperature) restricted to the valid strings; score as in `best`.

        Temperature 0 is `best`. The same generator state gives the same sample. Raises as `best` does.
        """
        if scale_of(temperature) is None:
            return self.best(logits)
        posterior = self.posterior(logits, temperature)
        return self._drawn(logits, temperature, posterior, *posterior.draw(generator))

    def _drawn(self, logits, temperature: float, posterior: Posterior, ids: np.ndarray, read: np.ndarray) -> Completion:
        log_p = posterior.log_softmax(ids) if temperature == 1 else self._reduce(logits, emissions.BEST, 1.0).log_softmax(ids)
        return Completion(ids.tolist(), float(log_p[read].sum()))

    def posterior(self, logits: torch.Tensor, temperature: float = 1.0) -> Posterior:
        """prod softmax(logits / temperature) restricted to the valid strings; the logits are read once. Raises as `best` does."""
        self.check()
        return self._posterior(logits, temperature)

    def _posterior(self, logits: torch.Tensor, temperature: float) -> Posterior:
        reduced = self._reduce(logits, emissions.SUM, scale_of(temperature, zero=False))
        labels = self._graph.labels
        weights = arcs.label_sum(labels, reduced.emission)
        value = self._sweep(sums.sum_sweep, weights)
        self._check_weight(value[0] if self.length else 0.0)
        return Posterior(self, reduced, weights, value)

    def marginals(self, logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Exact per-position log-probabilities, float32[L, V] on the logits' device; -inf for what is not allowed.

        The marginals of prod softmax(logits / temperature) restricted to the valid strings. Raises as `best` does.
        """
        if not self.runs_with(logits):
            return self.posterior(logits, temperature).marginals()
        from dgemma_constrain.canvas import device

        self.check()
        return device.marginals(self, logits, scale_of(temperature, zero=False))

    def runs_with(self, logits: torch.Tensor) -> bool:
        """Whether the dynamic program runs where these logits are, which is no host memory. Raises LogitsError."""
        reductions.check_shape(logits, self.length, len(self._graph.classes.of))
        if not (self.is_finite and self.length and reductions.on_device(logits)):
            return False
        from dgemma_constrain.canvas import device

        return device.has_room(self._graph)

    def _reduce(self, logits: torch.Tensor, mode: int, scale: float):
        return reductions.reduce(logits, self._graph.classes, self._pinned, self._pins, self._wanted, mode, scale)

    def _best_values(self, weights: np.ndarray) -> np.ndarray:
        """The best log-weight from every live boundary state to the end, float64."""
        g = self._graph
        return dynamic.max_sweep(g.short, *self._live, weights, g.states)

    def _sweep(self, sweep, weights: np.ndarray, *more):
        g = self._graph
        bounds, live = self._live
        return sweep(g.offsets, g.symbols, g.targets, bounds, live, weights, g.states, *more)

    def _check_weight(self, weight: float) -> None:
        if weight == -np.inf:
            raise nothing_left()


def check_pins(pinned: Mapping[int, int], length: int, size: int) -> None:
    for i, token in pinned.items():
        for what, value, limit in (("position", i, length), ("id", token, size)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < limit:
                raise ConstraintError(
                    f"pinned {{{i!r}: {token!r}}}: the {what} must be a whole number from 0 to {limit - 1}"
                )


def scale_of(temperature: float, zero: bool = True) -> float | None:
    if not isinstance(temperature, (int, float)) or not 0 <= temperature < np.inf or (temperature == 0 and not zero):
        raise ConstraintError(
            f"temperature must be a {'non-negative' if zero else 'positive'} number, not {temperature!r}"
        )
    return None if temperature == 0 else 1.0 / temperature
