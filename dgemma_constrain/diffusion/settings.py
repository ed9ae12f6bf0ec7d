"""How a text is to be written, and how to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Callable

from dgemma_constrain.diffusion.schedules import Schedule
from dgemma_constrain.diffusion.trace import Step
from dgemma_constrain.errors import ConstraintError


class Cancelled(ConstraintError):
    """The caller asked to stop between two steps."""


@dataclass(frozen=True)
class Settings:
    """How to denoise; see `Model.generate` for the meanings."""

    steps: int
    temperature: float | None  # None: the model has its own
    schedule: Schedule
    remask: float
    tail: str
    alternatives: int
    on_step: Callable[[Step], None] | None
    cancel: threading.Event | None

    def check_cancelled(self) -> None:
        """Raise Cancelled if the caller asked for it."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("stopped before the text was whole")
