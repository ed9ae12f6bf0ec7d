"""How far a compile may grow before it stops with a clear error."""

from __future__ import annotations

from dataclasses import dataclass

from dgemma_constrain.errors import LimitExceeded


@dataclass(frozen=True)
class Limits:
    """states: automaton states at any stage of a compile; seconds: time in any one kernel, about, on one core.

    Kernels count elementary steps instead of reading the clock, so that a limit is hit at the same place every time;
    `work` is that count.
    """

    states: int = 1_000_000
    seconds: float = 30.0

    @property
    def work(self) -> int:
        return int(self.seconds * 100_000_000)

    def check(self, status: int, doing: str) -> None:
        """Raise what a kernel's status says: 0 fine, 1 too many states, 2 too much work."""
        if status == 1:
            raise LimitExceeded(
                f"{doing} needs more than {self.states:,} states; make the constraint smaller "
                "(shorter bounds, fewer overlapping alternatives) or raise Limits(states=…)"
            )
        if status == 2:
            raise LimitExceeded(
                f"{doing} takes more than about {self.seconds:g} s; make the constraint smaller "
                "(shorter bounds, fewer overlapping alternatives) or raise Limits(seconds=…)"
            )
