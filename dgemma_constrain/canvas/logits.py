"""Logits where they are: in host memory, where the kernels read them in place, or on a device, where torch reduces them.

Both give the dynamic program the same thing, one log-weight a class, and take its answer back to tokens.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from dgemma_constrain.canvas import emissions, expand
from dgemma_constrain.canvas.emissions import SUM, Classes
from dgemma_constrain.canvas.threads import in_threads
from dgemma_constrain.errors import LogitsError

if TYPE_CHECKING:
    import torch


def reduce(logits: torch.Tensor, classes: Classes, pinned, pins, used, mode: int, scale: float):
    """Reduce logits [L, V] to classes. Raises LogitsError for a wrong shape or dtype, NaN or +inf."""
    check_shape(logits, len(pins), len(classes.of))
    kind = HostLogits if logits.device.type == "cpu" else DeviceLogits
    return kind(logits.detach(), classes, pinned, pins, used, mode, scale)


def check_shape(logits: torch.Tensor, length: int, size: int) -> None:
    """Raise LogitsError unless these are floating-point logits [length, size]."""
    import torch

    if not isinstance(logits, torch.Tensor):
        raise LogitsError(f"logits must be a torch tensor, not {type(logits).__name__}")
    if tuple(logits.shape) != (length, size):
        raise LogitsError(
            f"logits have shape {list(logits.shape)}, but this canvas needs [{length}, {size}]: "
            "its length and the size of its vocabulary"
        )
    if not logits.is_floating_point():
        raise LogitsError(f"logits must be floating point, not {logits.dtype}")


def on_device(logits: torch.Tensor) -> bool:
    """Whether they are on a GPU, in a dtype that the kernels of `device` read, and Triton is there to compile these."""
    if logits.device.type != "cuda" or find_spec("triton") is None:
        return False
    import torch

    return logits.dtype in (torch.float32, torch.bfloat16, torch.float16)


PIECE = 4  # rows that are converted or written at a time: they stay in cache
DEVICE_PIECE = 32  # rows that a device works on at a time: enough to keep it busy


def _pieces(part: slice, step: int) -> list[slice]:
    return [slice(a, min(a + step, part.stop)) for a in range(part.start, part.stop, max(1, step))]


def empty(shape, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """`torch.empty`, in host memory from numpy, which asks the system for huge pages: far fewer faults while it is filled."""
    import torch

    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(tuple(shape), f"i{dtype.itemsize}")).view(dtype)


def bad_row(row: int) -> LogitsError:
    return LogitsError(
        f"the logits of position {row} hold NaN or +inf; check the model's output (-inf is fine: it means never)"
    )


class HostLogits:
    """emission float64[L, K+1] and normaliser float64[L], of the logits times `scale`."""

    def __init__(self, logits, classes: Classes, pinned, pins, used, mode: int, scale: float):
        self.logits, self.classes, self.scale = logits, classes, scale
        self.emission = np.empty((len(pins), used.shape[1]))
        self.normaliser = np.empty(len(pins))
        self.partial = np.empty((len(pins), classes.blocks[-1]))
        self.ids = np.empty((len(pins), 2, 0 if mode == SUM else used.shape[1]), np.int32)

        def work(part: slice) -> int:
            bad = -1
            for rows in self._pieces(part):
                bad = emissions.reduce_rows(
                    self._rows(rows), classes, pinned[rows], pins[rows], used[rows], mode, scale,
                    self.emission[rows], self.normaliser[rows], self.partial[rows], self.ids[rows],
                )  # fmt: skip
                if bad >= 0:
                    return rows.start + bad
            return bad

        bad = [b for b in in_threads(work, len(pins)) if b >= 0]
        if bad:
            raise bad_row(min(bad))

    def _pieces(self, part: slice) -> list[slice]:
        """Other dtypes are converted a few rows at a time, so that no second copy of the whole is made."""
        import torch

        return _pieces(part, len(self.normaliser) if self.logits.dtype == torch.float32 else PIECE)

    @cached_property
    def _as_they_lie(self) -> np.ndarray | None:
        """All logits, if no conversion is needed."""
        import torch

        plain = self.logits.dtype == torch.float32 and self.logits.is_contiguous()
        return self.logits.numpy() if plain else None

    def _rows(self, rows) -> np.ndarray:
        if self._as_they_lie is not None:
            return self._as_they_lie[rows]
        return self.logits[rows].float().contiguous().numpy()

    def row(self, i: int) -> np.ndarray:
        """The logits of a position, float32[V], not scaled."""
        return self._rows(slice(i, i + 1))[0]

    def best_members(self, path: np.ndarray, pinned: np.ndarray) -> np.ndarray:
        return self._choose(
            lambda part: expand.best_members(
                self._rows(part), self.classes, path[part], pinned[part], self.partial[part], self.ids[part]
            )
        )

    def drawn_members(self, path: np.ndarray, pinned: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        return self._choose(
            lambda part: expand.drawn_members(
                self._rows(part), self.classes, path[part], pinned[part], self.scale, self.partial[part], uniform[part]
            )
        )

    def _choose(self, one) -> np.ndarray:
        pieces = in_threads(lambda part: [one(rows) for rows in self._pieces(part)], len(self.normaliser))
        return np.concatenate([np.zeros(0, np.int64), *(ids for piece in pieces for ids in piece)])

    def log_softmax(self, ids: np.ndarray) -> np.ndarray:
        """Log-probability of one id at each position, float64[L]."""
        import torch

        chosen = self.logits.gather(1, torch.from_numpy(np.asarray(ids, np.int64))[:, None])[:, 0]
        return chosen.double().numpy() * self.scale - self.normaliser

    def marginals(self, posterior: np.ndarray, pinned: np.ndarray, out=None, change=None):
        """Log-probabilities float32[L, V]; or in out [L, V], after change(rows, values float32[n, V])."""
        import torch

        out = empty(self.logits.shape, torch.float32, self.logits.device) if out is None else out
        in_place = out.dtype == torch.float32 and out.is_contiguous()

        def work(part: slice) -> None:
            with torch.inference_mode():  # of a thread; `out` may have been made in it
                aside = None if in_place else torch.empty(PIECE, out.shape[1])
                for rows in _pieces(part, PIECE):
                    values = out[rows] if in_place else aside[: rows.stop - rows.start]
                    expand.expand_marginals(
                        self._rows(rows), self.classes.of, posterior[rows], self.emission[rows], self.normaliser[rows],
                        pinned[rows], self.scale, values.numpy(),
                    )  # fmt: skip
                    if change is not None:
                        change(rows, values)
                    if not in_place:
                        out[rows] = values

        in_threads(work, len(out))
        return out


class DeviceLogits:
    """The same with torch operations, for logits that should not leave their device: only [L, K+1] numbers do."""

    def __init__(self, logits, classes: Classes, pinned, pins, used, mode: int, scale: float):
        import torch

        self.logits, self.classes, self.scale, self.device = logits, classes, scale, logits.device
        self.partial = np.empty((len(pins), 0))  # by blocks of classes: not needed here
        self.ids = np.empty((len(pins), 2, 0), np.int32)
        count = used.shape[1] - 1
        of = np.where(classes.of < 0, count, classes.of).astype(np.int64)
        self._of = torch.from_numpy(of).to(self.device)  # int64[V]: the class of each id, `count` for none
        bad = torch.empty(len(pins), dtype=torch.bool, device=self.device)
        normaliser = torch.empty(len(pins), device=self.device)
        reduced = torch.full((len(pins), count + 1), -torch.inf, device=self.device)
        for rows in self._pieces():
            scaled = self._scaled(rows)
            bad[rows] = (scaled.isnan() | scaled.isposinf()).any(1)
            normaliser[rows] = scaled.logsumexp(1).nan_to_num(neginf=0.0)
            of = self._of.expand_as(scaled)
            part = reduced[rows].scatter_reduce_(1, of, scaled, "amax")
            if mode == SUM:
                top = part.clamp_min(torch.finfo(torch.float32).min)
                sums = torch.zeros_like(part).scatter_add_(1, of, (scaled - top.gather(1, of)).exp_())
                part.copy_(top + sums.log())
        if bool(bad.any()):
            raise bad_row(int(bad.nonzero()[0]))
        self.normaliser = normaliser.double().cpu().numpy()
        self.emission = reduced.double().cpu().numpy() - self.normaliser[:, None]
        self.emission[~used] = -np.inf
        self.emission[:, -1] = 0.0
        where = np.flatnonzero(pinned >= 0)
        self.emission[where, :-1] = -np.inf
        where = where[pins[where] >= 0]
        if len(where):
            self.emission[where, pins[where]] = self.log_softmax(np.maximum(pinned, 0))[where]

    def _pieces(self) -> list[slice]:
        """No copy of the whole is made, in whatever dtype."""
        return _pieces(slice(0, len(self.logits)), DEVICE_PIECE)

    def _scaled(self, rows: slice):
        return self.logits[rows].float() * self.scale

    def row(self, i: int) -> np.ndarray:
        """The logits of a position, float32[V], not scaled."""
        return self.logits[i].float().cpu().numpy()

    def _in_class(self, path: np.ndarray, rows: slice):
        """The logits of each position outside its class replaced by -inf."""
        import torch

        wanted = torch.from_numpy(path[rows]).to(self.device)[:, None]
        wild = len(self.classes.offsets) - 1
        return self._scaled(rows).masked_fill_((self._of != wanted) & (wanted != wild), -torch.inf)

    def best_members(self, path: np.ndarray, pinned: np.ndarray) -> np.ndarray:
        ids = [self._in_class(path, rows).argmax(1).cpu().numpy() for rows in self._pieces()]
        return np.where(pinned >= 0, pinned, np.concatenate([np.zeros(0, np.int64), *ids]))

    def drawn_members(self, path: np.ndarray, pinned: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        import torch

        ids = [np.zeros(0, np.int64)]
        for rows in self._pieces():
            weights = self._in_class(path, rows).double().softmax(1).cumsum(1)
            target = torch.from_numpy(uniform[rows]).to(self.device)[:, None] * weights[:, -1:]
            ids.append(torch.searchsorted(weights, target, right=True)[:, 0].cpu().numpy())
        return np.where(pinned >= 0, pinned, np.concatenate(ids))

    def log_softmax(self, ids: np.ndarray) -> np.ndarray:
        """Log-probability of one id at each position, float64[L]."""
        import torch

        at = torch.from_numpy(np.asarray(ids, np.int64)).to(self.device)[:, None]
        return self.logits.gather(1, at)[:, 0].double().cpu().numpy() * self.scale - self.normaliser

    def marginals(self, posterior: np.ndarray, pinned: np.ndarray, out=None, change=None):
        """As of `HostLogits`."""
        import torch

        out = torch.empty(self.logits.shape, device=self.device) if out is None else out
        with np.errstate(invalid="ignore"):
            shift = posterior - self.emission - self.normaliser[:, None]
        shift[posterior == -np.inf] = -np.inf
        shift[:, -1] = -np.inf
        shift, unread = (torch.from_numpy(a).float().to(self.device) for a in (shift, posterior[:, -1:]))
        read = bool((unread == -torch.inf).all())  # an unread tail holds whatever the model likes
        for rows in self._pieces():
            scaled = self._scaled(rows)
            values = scaled + shift[rows].gather(1, self._of.expand_as(scaled))
            if not read:
                values = torch.logaddexp(values, scaled.log_softmax(1) + unread[rows])
            for i in np.flatnonzero(pinned[rows] >= 0).tolist():
                values[i] = -torch.inf
                values[i, int(pinned[rows][i])] = 0.0
            if change is not None:
                change(rows, values)
            out[rows] = values
        return out
