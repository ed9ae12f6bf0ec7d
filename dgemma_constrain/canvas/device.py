"""A denoising step on the device that holds the logits: nothing of their size is copied, and nothing waits for a position.

The logits are read once for classes and once to be expanded; what lies between, classes → labels → boundary states → labels →
classes, is some 260 small launches, replayed as one graph. Rows of a batch whose canvases have one automaton and one length run
together. Sweeps go over all states, not only the live ones: what is dead weighs -inf by itself.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Callable, Sequence

import numpy as np
import torch

from dgemma_constrain.canvas import device_kernels as kernels
from dgemma_constrain.canvas.logits import bad_row
from dgemma_constrain.canvas.posterior import NEVER, above, nothing_left

if TYPE_CHECKING:
    from dgemma_constrain.canvas.canvas import Canvas
    from dgemma_constrain.canvas.graph import Graph

LONG = 256  # arcs, classes or labels: a list for a program of its own
LONG_CLASS = 512
MOST = 1 << 16  # states or labels: two of them are kept in 32 bits
BEST, SUMS, ALL = (0, 1), (1, 2), (0, 3)  # sweeps: the first, and how many; see `layer`


def has_room(graph: Graph) -> bool:
    """Whether the buffers are small beside the logits, and an arc fits into a word."""
    names = len(graph.labels.offsets)
    a_position = 20 * graph.states + 16 * names + 20 * graph.wild  # bytes
    return max(graph.states, names) < MOST and a_position <= 4 * len(graph.classes.of)


class Lists:
    """Index lists in rows (CSR), the long ones first; `keep` bool[…]: only these."""

    def __init__(self, offsets, columns, device, long: int, keep=None):
        sizes = np.diff(offsets)
        order = np.argsort(-sizes, kind="stable")
        order = order if keep is None else order[keep[order]]
        self.big, self.count = int((sizes[order] > long).sum()), len(order)
        self.rows = [_put(a, device) for a in (order, offsets[:-1][order], offsets[1:][order])]
        self.columns = [_put(column, device) for column in columns]

    def programs(self, short: int) -> int:
        """How many there are, if each takes a long list or so many short ones."""
        return self.big + -(-(self.count - self.big) // short)


def _put(array, device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.int32)).to(device)


def _grouped(keys, size: int, *columns):
    """Columns sorted by key, in rows: offsets, and the columns."""
    order = np.argsort(keys, kind="stable")
    return np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=size))]), [column[order] for column in columns]


class DeviceGraph:
    """A graph on a device: its lists in every order that a kernel goes through them, and the buffers of the last step."""

    def __init__(self, graph: Graph, device: torch.device):
        g, classes, labels = graph, graph.classes, graph.labels
        self.device, self.wild, self.columns, self.size = device, g.wild, g.wild + 1, len(classes.of)
        self.states, self.names = g.states, len(labels.offsets) - 1
        sources = np.repeat(np.arange(g.states), np.diff(g.offsets))
        self.arcs_out = Lists(g.offsets, [g.symbols, g.targets], device, LONG)
        self.arcs_in = Lists(*_grouped(g.targets, g.states, g.symbols, sources), device, LONG)
        self.arcs_of = Lists(*_grouped(g.symbols, self.names, sources, g.targets), device, LONG)
        self.labels = Lists(labels.offsets, [labels.classes], device, LONG)
        names = np.repeat(np.arange(self.names), np.diff(labels.offsets))
        self.labels_of = Lists(*_grouped(labels.classes, self.columns, names), device, LONG)
        sizes = np.diff(classes.offsets)
        largest = int(sizes.argmax())
        self.dense = largest if sizes[largest] > self.size // 32 else -1  # read with the row, not member by member
        self.members = Lists(
            classes.offsets, [classes.members], device, LONG_CLASS, np.arange(len(sizes)) != self.dense
        )
        self.of = _put(np.where(classes.of < 0, g.wild, classes.of), device)
        self.mask = torch.from_numpy((classes.of == self.dense).astype(np.uint8)).to(device)
        self.lock = threading.Lock()  # the buffers serve one step at a time
        self._step: Step | None = None

    @staticmethod
    def of_canvas(canvas: Canvas, device: torch.device) -> DeviceGraph:
        known = canvas._graph.on_device
        if device not in known:
            known[device] = DeviceGraph(canvas._graph, device)
        return known[device]

    def step(self, canvases: Sequence[Canvas], scale: float) -> Step:
        """The step of these canvases, which have this graph and one length."""
        shape = len(canvases), canvases[0].length
        if self._step is None or (self._step.batch, self._step.length) != shape:
            self._step = None  # its memory may be needed
            self._step = Step(self, *shape)
        self._step.set(canvases, scale)
        return self._step


class Step:
    """Buffers of `batch` canvases of `length` positions; they stay where they are, so that a captured graph finds them."""

    def __init__(self, graph: DeviceGraph, batch: int, length: int):
        g, self.g, self.batch, self.length = graph, graph, batch, length
        rows = self.rows = batch * length
        # Many small programs hide latency while the device is empty; more lists each are less work once it is full.
        self.shape = dict(BS=8, BW=32, WIDE=512, num_warps=2) if batch < 8 else dict(BS=32, BW=8, WIDE=512, num_warps=4)

        def new(*shape: int, dtype=torch.float32) -> torch.Tensor:
            return torch.empty(shape, dtype=dtype, device=g.device)

        self.norm, self.row_top, self.own = new(rows), new(rows), new(rows)
        self.top, self.sum = (torch.full((rows, g.columns), -torch.inf, device=g.device) for _ in range(2))
        self.arg = torch.zeros((rows, g.columns), dtype=torch.int32, device=g.device)
        self.label_top, self.label_sum, self.met = (new(rows, g.names) for _ in range(3))
        self.label_arg = new(rows, g.names, dtype=torch.int32)
        self.shift = new(rows, g.columns)
        self.best_v = new(batch, 2, g.states, dtype=torch.float64)
        self.sum_v, self.front_v = (new(batch, length + 1, g.states, dtype=torch.float64) for _ in range(2))
        self.end = new(batch, g.states, dtype=torch.float64)
        self.chosen = new(batch, length, g.states, dtype=torch.int32)
        self.starts, self.pinned = new(batch, dtype=torch.int32), new(rows, dtype=torch.int32)
        self.path, self.ids = new(batch, length, dtype=torch.int32), new(batch, length, dtype=torch.int32)
        self.parts = new(batch, length, dtype=torch.float64)
        self._captured: dict[tuple[int, int], torch.cuda.CUDAGraph] = {}

    def set(self, canvases: Sequence[Canvas], scale: float) -> None:
        """Starts, ends and pins of these canvases; `scale` is what logits are multiplied by."""
        d, self.scale = self.g.device, scale
        self.starts.copy_(torch.tensor([c._start for c in canvases]))
        self.end.copy_(torch.where(torch.from_numpy(np.stack([c._final for c in canvases])), 0.0, -torch.inf))
        self.sum_v[:, self.length] = self.end
        self.front_v[:, 0] = -torch.inf
        self.front_v[:, 0].scatter_(1, self.starts.long()[:, None], 0.0)
        pinned, pins = (np.concatenate([getattr(c, name) for c in canvases]) for name in ("_pinned", "_pins"))
        self.pinned.copy_(torch.from_numpy(pinned))
        where = np.flatnonzero(pinned >= 0)
        self._pins = [torch.from_numpy(a.astype(np.int64)).to(d) for a in (where, pinned[where], pins[where])]

    def read(self, logits: torch.Tensor) -> None:
        """Largest member and summed weight of every class, from logits [B·L, V]."""
        g, m = self.g, self.g.members
        out = self.top, self.arg, self.sum
        kernels.read_rows[(self.rows,)](
            logits, self.scale, g.mask, g.size, g.size, g.columns, g.wild, max(g.dense, 0), *out, self.norm, self.row_top,
            DENSE=g.dense >= 0, BLOCK=2048, num_warps=8,
        )  # fmt: skip
        if m.count:
            kernels.reduce_lists[(m.programs(32), self.rows)](
                logits, self.scale, *m.columns, *m.rows, m.big, m.count, g.size, g.columns, *out,
                MAX=True, SUM=True, BS=32, BW=32, WIDE=2048, num_warps=4,
            )  # fmt: skip
        if len(self._pins[0]):
            self._pin(logits)

    def _pin(self, logits: torch.Tensor) -> None:
        where, ids, classes = self._pins
        weight = logits[where, ids].float() * self.scale
        known = classes >= 0
        for out in (self.top, self.sum):
            out[where, : self.g.wild] = -torch.inf
            out[where[known], classes[known]] = weight[known]
        self.arg[where] = ids[:, None].int()

    def run(self, sweeps: tuple[int, int]) -> None:
        """All that lies between reading and expanding, as one launch."""
        if self.g.device.type != "cuda":
            return self._run(sweeps)
        if sweeps not in self._captured:
            self._run(sweeps)  # compiles what isn't yet
            torch.cuda.synchronize(self.g.device)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._run(sweeps)
            self._captured[sweeps] = graph
        self._captured[sweeps].replay()

    def _run(self, sweeps: tuple[int, int]) -> None:
        if sweeps != SUMS:
            self._reduce(self.g.labels, self.top, self.g.names, (self.label_top, self.label_arg, self.label_sum), True)
        if sweeps != BEST:
            self._reduce(self.g.labels, self.sum, self.g.names, (self.label_top, self.label_arg, self.label_sum), False)
        self._sweep(*sweeps)
        if sweeps != SUMS:
            self._trace()
        if sweeps != BEST:
            self._meet()
            self._reduce(self.g.labels_of, self.met, self.g.columns, (self.top, self.arg, self.shift), False)
            classes, unread = self.shift[:, : self.g.wild], self.shift[:, self.g.wild :]
            torch.logaddexp(classes, unread, out=classes)  # both shift the same logit: see `expand_marginals`

    def _reduce(self, lists: Lists, source: torch.Tensor, columns: int, out, best: bool) -> None:
        kernels.reduce_lists[(lists.programs(32), self.rows)](
            source, 1.0, *lists.columns, *lists.rows, lists.big, lists.count, source.shape[1], columns, *out,
            MAX=best, SUM=not best, BS=32, BW=16, WIDE=512,
        )  # fmt: skip

    def _sweep(self, kind: int, kinds: int) -> None:
        g, a, b = self.g, self.g.arcs_out, self.g.arcs_in
        self.best_v[:, self.length % 2] = self.end
        programs = max(a.programs(self.shape["BS"]), b.programs(self.shape["BS"]))
        for j in range(self.length):
            kernels.layer[(programs, kinds, self.batch)](
                j, kind, self.length, g.states, g.names, self.label_top, self.label_sum, self.best_v, self.sum_v,
                self.front_v, self.chosen, *a.rows, *a.columns, a.big, *b.rows, *b.columns, b.big, **self.shape,
            )  # fmt: skip

    def _trace(self) -> None:
        g = self.g
        kernels.trace[(self.batch,)](
            self.starts, self.length, g.states, g.names, g.columns, self.chosen, self.label_arg, self.top, self.arg,
            self.norm, self.path, self.ids, self.parts, PADDED=1 << (self.length - 1).bit_length(), num_warps=1,
        )  # fmt: skip

    def _meet(self) -> None:
        a = self.g.arcs_of
        kernels.meet[(a.programs(32), self.rows)](
            self.length, self.g.states, self.starts, self.front_v, self.sum_v, *a.rows, *a.columns, a.big, a.count,
            self.met, BS=32, BW=16, WIDE=512,
        )  # fmt: skip

    def expand(self, logits: torch.Tensor, out: torch.Tensor, raised: bool) -> None:
        g = self.g
        tops = self._tops(out.dtype) if raised else self.norm
        kernels.expand[(-(-g.size // 4096), self.rows)](
            logits, self.scale, g.of, self.shift, self.pinned, self.ids, tops, self.own, out, g.size, g.columns,
            RAISE=raised, BLOCK=4096, num_warps=8,
        )  # fmt: skip

    def _tops(self, dtype: torch.dtype) -> torch.Tensor:
        """Just above the largest log-probability of each row, which the classes know."""
        tops = (self.top + self.shift)[:, : self.g.wild].amax(1)
        tops = torch.maximum(tops, self.row_top + self.shift[:, self.g.wild]).clamp_(min=NEVER)
        return above(tops.masked_fill_(self.pinned >= 0, 0.0), dtype)

    def failures(self, weight: torch.Tensor) -> list[Exception | None]:
        """What is wrong with each canvas, whose best string or sum of all weighs `weight` [B]. Waits for the device."""
        bad = (self.norm.isnan() | self.norm.isposinf()).view(self.batch, self.length)
        first = torch.where(bad, torch.arange(self.length, device=bad.device), self.length).amin(1)
        found = torch.stack([first, (weight == -torch.inf).long()], 1).tolist()
        return [bad_row(i) if i < self.length else nothing_left() if none else None for i, none in found]

    @property
    def all_weight(self) -> torch.Tensor:
        return self.sum_v[:, 0].gather(1, self.starts.long()[:, None])[:, 0]

    @property
    def best_weight(self) -> torch.Tensor:
        return self.best_v[:, 0].gather(1, self.starts.long()[:, None])[:, 0]


def _answer(canvases: Sequence[Canvas], logits: torch.Tensor, scale: float, work: Callable) -> list:
    """work(step, logits [B·L, V]) with the buffers to itself."""
    g = DeviceGraph.of_canvas(canvases[0], logits.device)
    here = torch.cuda.device(g.device) if g.device.type == "cuda" else nullcontext()
    with g.lock, torch.no_grad(), here:
        flat = logits.reshape(-1, g.size).contiguous()
        step = g.step(canvases, scale)
        step.read(flat)
        return work(step, flat)


def best(canvas: Canvas, logits: torch.Tensor) -> tuple[list[int], float]:
    """Ids and score of the best string. Raises as `Canvas.best`."""

    def work(step: Step, flat: torch.Tensor):
        step.run(BEST)
        _raise_first(step.failures(step.best_weight))
        return step.ids[0].tolist(), float(step.parts.sum())

    return _answer([canvas], logits, 1.0, work)


def marginals(canvas: Canvas, logits: torch.Tensor, scale: float) -> torch.Tensor:
    """As `Canvas.marginals`."""

    def work(step: Step, flat: torch.Tensor):
        step.run(SUMS)
        _raise_first(step.failures(step.all_weight))
        out = torch.empty(flat.shape, device=flat.device)
        step.expand(flat, out, False)
        return out

    return _answer([canvas], logits, scale, work)


def raised(
    canvases: Sequence[Canvas], logits: torch.Tensor, out: torch.Tensor
) -> list[tuple[list[int], list[float]] | Exception]:
    """Write into out float[B, L, V] the marginals of each canvas, finite, with its best string on top everywhere.

    The canvases have one graph and one length. Returns the best string of each and the log-probabilities of its positions
    under the constraint, or what is wrong with it.
    """

    def work(step: Step, flat: torch.Tensor):
        step.run(ALL)
        step.expand(flat, out.view(flat.shape), True)
        failures = step.failures(step.all_weight)
        found = zip(step.ids.tolist(), step.own.view(step.batch, -1).tolist())
        return [reason or both for reason, both in zip(failures, found)]

    return _answer(canvases, logits, 1.0, work)


def _raise_first(failures: list[Exception | None]) -> None:
    for reason in failures:
        if reason is not None:
            raise reason
