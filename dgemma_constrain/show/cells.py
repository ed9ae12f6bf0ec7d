"""What each position of a canvas looks like after a step, which both pictures draw.

A `Step` says what happened in it; a picture also wants what happened before: how sure the model was of a token when it
was decided, and in which step that was.
"""

from __future__ import annotations

from typing import NamedTuple

from dgemma_constrain.diffusion.trace import Step

OPEN, PINNED, KEPT, NEW, REMASKED = "open", "pinned", "kept", "new", "remasked"


class Cell(NamedTuple):
    """One position after a step.

    kind        OPEN: undecided; PINNED: fixed by the caller; KEPT: decided earlier; NEW: decided in this step;
                REMASKED: given up in this step
    token       its id, or the proposed one where nothing is decided
    confidence  the token's probability when it was decided, or proposed
    since       number of the step that decided it, from 0; -1 where none has
    """

    kind: str
    token: int
    confidence: float
    since: int


class History:
    """The cells of one text, fed step by step. `blocks` maps a canvas's offset to its cells after the latest step."""

    def __init__(self) -> None:
        self.blocks: dict[int, list[Cell]] = {}
        self.steps = 0

    def add(self, step: Step) -> list[Cell]:
        """The cells of the step's canvas."""
        number, self.steps = self.steps, self.steps + 1
        before = self.blocks.get(step.offset)
        committed, remasked = set(step.committed), set(step.remasked)
        cells = []
        for i, (token, proposed, confidence) in enumerate(zip(step.canvas, step.proposal, step.confidence)):
            if token is None:
                cells.append(Cell(REMASKED if i in remasked else OPEN, proposed, confidence, -1))
            elif i in committed:
                cells.append(Cell(NEW, token, confidence, number))
            elif before is None or before[i].kind == PINNED:
                cells.append(Cell(PINNED, token, 1.0, -1))
            else:
                cells.append(before[i]._replace(kind=KEPT))
        self.blocks[step.offset] = cells
        return cells


def spelled(piece: bytes | str) -> str:
    """A token's bytes as text; the bytes of a part of a character as `\\xe2`."""
    return piece if isinstance(piece, str) else piece.decode("utf-8", "backslashreplace")
