"""What a masked model is shown of a file with a hole, and what it says of canvases in it.

A model that can read what stands around the canvases once (`Denoiser.around`) does so; others read it with every canvas.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from dgemma_constrain.diffusion.denoiser import Question, ask
from dgemma_constrain.infill.hole import Hole, context

if TYPE_CHECKING:
    from dgemma_constrain.diffusion.model import Model

CANVASES, LOOKS = 4, 4  # that a model is to have time for: of all lengths, looks at each
READS = 3  # where it reads what is around once: as many times that long the whole may take
LEAST, CHARACTERS = 160, 3  # characters a model sees at least; of a token
DENSEST = 16  # characters of a token, in no text more on average
# Tokens of the canvas that a model reads the texts around it with, where it does so once; for one line and for several.
READ_WITH = {False: 8, True: 32}
UNWRITTEN = 6  # masks that the model sees instead of another hole
_SECONDS: WeakKeyDictionary = WeakKeyDictionary()  # a denoiser → what a token took in its last look


class Looks:
    """Looks at the canvases of one hole.

    around: the tree's nodes that the hole is in, the outermost first. masked: spans of the text right of the hole that the
    model is shown masks for. end: when the last look should be over, by the monotonic clock.
    room: tokens of the longest canvas; took: seconds of the last look.
    """

    def __init__(self, model: Model, hole: Hole, around: Iterable[Any], masked: Sequence[tuple[int, int]], end: float):
        self.denoiser, self.vocabulary, self.hole = model.denoiser, model.vocabulary, hole
        self.took, self._around = 0.0, None
        near = self._affordable(end)
        prefix = context(hole, around, self._fits)[-near:]
        self._frame(prefix, [x.replace("\r\n", "\n") for x in _pieces(hole.after, masked, near // 2)])

    def _frame(self, prefix: str, pieces: list[str]) -> None:
        """Set what stands around the canvases: `prefix`, and behind them pieces of text with other holes between them."""
        first, *others = pieces
        self.before, self.after = self.denoiser.frame_infill(prefix, first)
        if others:
            frame = self.denoiser.frame_infill("", "")[1]
            behind = self.after[: len(self.after) - len(frame)]
            for text in others:
                behind += [self.vocabulary.mask_id] * UNWRITTEN + self.vocabulary.encode(text)
            self.after = behind[: max(len(self.after), self.denoiser.context_length // 3) - len(frame)] + frame
        self.room = min(self.denoiser.block, self.denoiser.context_length - len(self.before) - len(self.after))

    def __call__(self, canvases: list[list[int]]) -> list[np.ndarray]:
        """Log-probabilities float32[L, V] of each canvas's tokens, given as ids, L of them."""
        began = time.monotonic()
        if not hasattr(self.denoiser, "around"):
            start = len(self.before)
            questions = [Question([*self.before, *ids, *self.after], start, start + len(ids)) for ids in canvases]
            answers = ask(self.denoiser, questions)
            _SECONDS[self.denoiser] = (time.monotonic() - began) / sum(len(q.ids) for q in questions)
        else:
            if self._around is None:
                length = min(READ_WITH[self.hole.several], max(map(len, canvases)))
                self._around = self.denoiser.around(self.before, self.after, length)
                tokens = len(self.before) + length + len(self.after)
                _SECONDS[self.denoiser] = (time.monotonic() - began) / tokens
                began = time.monotonic()
            answers = self._around.logits(canvases)
        self.took = time.monotonic() - began
        return [x.float().log_softmax(-1).cpu().numpy() for x in answers]

    def _affordable(self, end: float) -> int:
        """Characters before the hole of which the model can take several looks in time, by how long its last look took."""
        seconds = _SECONDS.get(self.denoiser)
        if not seconds:
            return 2 * max(len(self.hole.before), len(self.hole.after))
        looks = READS if self._reads_once else LOOKS * CANVASES
        tokens = (end - time.monotonic()) / (looks * seconds)
        return max(LEAST, int(tokens * CHARACTERS / 1.5))

    @property
    def _reads_once(self) -> bool:
        return hasattr(self.denoiser, "around")

    @cached_property
    def _window(self) -> int:
        """Tokens of the text before the hole that the model takes at most."""
        longest = self.denoiser.context_length * CHARACTERS * 4
        return len(self.denoiser.frame_infill(self.hole.before[-longest:].replace("\r\n", "\n"), "")[0]) - 1

    def _fits(self, text: str) -> bool:
        """Whether a model's window takes this whole text before the hole."""
        if not self._window < len(text) <= DENSEST * self._window:
            return len(text) <= self._window
        return len(self.vocabulary.encode(text)) <= self._window


def _pieces(text: str, holes: Sequence[tuple[int, int]], size: int) -> list[str]:
    """The pieces of the text's first `size` characters that lie around holes."""
    pieces, at = [], 0
    for start, stop in holes:
        if start <= size:
            pieces.append(text[at:start])
            at = stop
    return [*pieces, text[at : max(at, size)]]
