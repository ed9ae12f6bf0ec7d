"""What a renoising model (DiffusionGemma) is shown of a file with a hole, and what it says of canvases in it.

It knows no masks. What stands left of the hole is its context, read once; its canvas, which is always a whole one, has the tokens of
the hole and, pinned behind them, what stands right of it. So a hole of every length is a canvas of its own. What isn't decided is
random tokens, drawn anew for every look, and what the model said in the look before is given back to it, as in `diffusion.renoise`:
at a falling temperature, and with what is pinned for certain.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dgemma_constrain.canvas.posterior import NEVER
from dgemma_constrain.diffusion.denoiser import Look, ask
from dgemma_constrain.infill.looks import _SECONDS, DENSEST, UNWRITTEN, Looks

if TYPE_CHECKING:
    import torch

STEPS = 8  # looks over which the temperature falls


class Renoised(Looks):
    """Looks at the canvases of one hole; see `Looks`. A canvas holds None where nothing is decided."""

    _reads_once = True

    def _frame(self, prefix: str, pieces: list[str]) -> None:
        block, eos, pad = self.denoiser.block, self.vocabulary.eos_id, self.vocabulary.pad_id
        self.before, _ = self.denoiser.frame_infill(prefix, "")
        behind: list[int | None] = []
        for k, text in enumerate(pieces):
            behind += [None] * UNWRITTEN * (k > 0) + self.vocabulary.encode(text[: block * DENSEST])
        if eos is not None and sum(map(len, pieces)) >= len(self.hole.after.replace("\r\n", "\n")):  # to the file's end
            behind += [eos, *[eos if pad is None else pad] * block]
        self.after = behind[:block]
        self.room = max(block - len(self.after), block // 2)
        self._said: dict[int, torch.Tensor] = {}  # by the canvas's length: logits float[block, V]
        self._looks = 0

    def __call__(self, canvases: Sequence[Sequence[int | None]]) -> list[np.ndarray]:
        """Log-probabilities float32[L, V] of each canvas's tokens, L of them; no two canvases are of one length."""
        import torch

        denoiser, began = self.denoiser, time.monotonic()
        generator = torch.Generator(denoiser.device).manual_seed(self._looks)
        temperature = denoiser.sampling.temperature(max(STEPS - self._looks, 1), STEPS)
        shown = []
        for ids in canvases:
            pinned = {i: t for i, t in enumerate([*ids, *self.after][: denoiser.block]) if t is not None}
            canvas = torch.randint(
                0, len(self.vocabulary), (denoiser.block,), generator=generator, device=denoiser.device
            )
            at, tokens = torch.tensor([*pinned], dtype=torch.long), torch.tensor([*pinned.values()], dtype=torch.long)
            canvas[at] = tokens.to(canvas.device)
            feedback = self._said.get(len(ids))
            if feedback is not None:
                feedback = feedback / temperature.to(feedback.device)
                feedback[at] = NEVER
                feedback[at, tokens] = 0.0
                feedback = feedback.to(denoiser.dtype)
            shown.append(Look(self.before, canvas, feedback, 0))
        answers = ask(denoiser, shown)
        self._said = {len(ids): logits for ids, logits in zip(canvases, answers)}
        self._looks += 1
        self.took = time.monotonic() - began
        _SECONDS[denoiser] = self.took / (len(self.before) + denoiser.block * len(shown))
        return [x[: len(ids)].float().log_softmax(-1).cpu().numpy() for x, ids in zip(answers, canvases)]
