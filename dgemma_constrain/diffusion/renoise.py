"""The loop of a renoising model (DiffusionGemma) under a constraint, on one canvas.

A renoising model knows no masks. Its canvas starts as random tokens; each step draws a token for every position, accepts
those of lowest entropy and fills the others with random tokens again, so nothing is ever committed; what leaves the canvas is
the argmax of the last step, whichever that is (stopping is adaptive). So the argmax must be a valid string *on every
step*. Exact marginals alone don't give that: of {"1.", ".1"} each position may prefer ".". The jointly best string does,
and the marginals raised to it where they disagree are still the best that sampling and entropies can be given (`raised`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dgemma_constrain.canvas.canvas import Canvas
from dgemma_constrain.diffusion.denoiser import Look
from dgemma_constrain.diffusion.raised import raised
from dgemma_constrain.diffusion.settings import Settings
from dgemma_constrain.diffusion.together import Row
from dgemma_constrain.diffusion.trace import Step, likeliest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sampling:
    """How a renoising model decides, in DiffusionGemma's terms and with its defaults.

    temperature      falls from t_max to t_min over the steps
    entropy_bound    nats: accept, in order of entropy, as long as the sum of those before stays within it (arXiv 2505.24857)
    stability        stop when the best canvas has not changed for so many steps, and
    confidence       the mean entropy of its positions is below this, nats
    """

    t_min: float = 0.4
    t_max: float = 0.8
    entropy_bound: float = 0.1
    stability: int | None = 1
    confidence: float | None = 0.005

    def temperature(self, left: int, steps: int) -> torch.Tensor:
        """The temperature when so many steps are left, this one included."""
        import torch

        return self.t_min + (self.t_max - self.t_min) * (torch.tensor(left, dtype=torch.int32) / steps)


@dataclass
class Draft:
    """The canvas as the model sees it, int64[L], which of it was accepted, bool[L], and the best strings so far."""

    ids: torch.Tensor
    accepted: torch.Tensor
    best: list[list[int]] = field(default_factory=list)
    logp: float = 0.0
    feedback: torch.Tensor | None = None


def fill(
    denoiser, canvas: Canvas | None, before, after, settings: Settings, generator, offset: int
) -> Row[tuple[list[int], float, list[int] | None]]:
    """Denoise one canvas; `after` is not used: what follows stands in the canvas. Without a canvas the row is free.

    The arithmetic is that of `DiffusionGemmaForBlockDiffusion.generate` with `ConstraintProcessor`, number for number. What
    differs: pins stand in the canvas from the start; every row has a generator of its own, so that it doesn't depend on
    its neighbours; the ids are the best string itself instead of an argmax that equals it; and a temperature that is
    given holds for all steps (0: the best string is what a step draws).
    """
    import torch

    sampling, size = denoiser.sampling, len(denoiser.vocabulary)
    if canvas is not None:
        canvas.check()
    if generator.device != torch.device(denoiser.device):
        seed = torch.randint(1 << 62, (1,), generator=generator).item()
        generator = torch.Generator(denoiser.device).manual_seed(seed)

    def noise() -> torch.Tensor:
        return torch.randint(0, size, (denoiser.block,), generator=generator, device=generator.device)

    draft = Draft(noise(), torch.zeros(denoiser.block, dtype=torch.bool, device=generator.device))
    pinned = {} if canvas is None else canvas.pinned
    for i, token in pinned.items():
        draft.ids[i] = token
    for left in range(settings.steps, 0, -1):
        settings.check_cancelled()
        logits, model_ms = yield Look(before, draft.ids, draft.feedback, offset)
        began = time.perf_counter()
        done = _step(denoiser, canvas, draft, logits, settings, generator, noise, left)
        if settings.on_step is not None:
            told = _told(canvas, draft, done, settings)
            ms = (time.perf_counter() - began) * 1e3
            settings.on_step(
                Step(**told, block=offset // denoiser.block, offset=offset, model_ms=model_ms, constraint_ms=ms)
            )
        if _is_settled(draft.best, done.entropies, sampling):
            break
    best = _with_padding(draft.best[-1], denoiser.vocabulary)
    return best, draft.logp, None if canvas is None else canvas.behind(best)


@dataclass
class _Done:
    """What a step found: marginals float[L, V] (or the logits of a free row), each position's entropy, what it newly
    accepted and gave up."""

    marginals: torch.Tensor
    entropies: torch.Tensor
    accepted: list[int]
    given_up: list[int]


def _step(
    denoiser, canvas: Canvas | None, draft: Draft, logits, settings: Settings, generator, noise, left: int
) -> _Done:
    import torch

    if canvas is None:
        marginals, best = logits, logits.argmax(-1).tolist()
        draft.logp = float(logits.log_softmax(-1).amax(-1).sum())
    else:
        marginals, best, draft.logp = raised(canvas, logits)
    draft.best.append(best)
    if settings.temperature is None:
        temperature = denoiser.sampling.temperature(left, settings.steps).to(logits.device)
    else:
        temperature = torch.tensor(settings.temperature or 1.0)
    scores = marginals / temperature
    if settings.temperature == 0:
        drawn = torch.tensor(best, device=scores.device)
    else:
        drawn = torch.multinomial(scores.softmax(-1, dtype=torch.float32), 1, generator=generator)[:, 0]
    entropies = torch.distributions.Categorical(logits=scores, validate_args=False).entropy()
    accepted = within(entropies, denoiser.sampling.entropy_bound)
    kept = accepted & draft.accepted & (drawn == draft.ids)
    given_up = draft.accepted & ~accepted
    draft.ids = torch.where(accepted, drawn, noise())
    draft.accepted, draft.feedback = accepted, scores.to(denoiser.dtype)
    return _Done(marginals, entropies, _where(accepted & ~kept), _where(given_up))


def within(entropies: torch.Tensor, bound: float) -> torch.Tensor:
    """bool[L]: the positions of lowest entropy whose predecessors, in that order, sum to no more than the bound."""
    import torch

    rising, order = entropies.sort()
    accepted = rising.cumsum(0) - rising <= bound
    return torch.zeros_like(accepted).scatter(0, order, accepted)


def _is_settled(best: list[list[int]], entropies: torch.Tensor, sampling: Sampling) -> bool:
    if sampling.stability is None or sampling.confidence is None:
        return False
    same = best[-1 - sampling.stability :]
    stable = len(same) > sampling.stability and all(one == same[-1] for one in same)
    return stable and bool(entropies.mean() < sampling.confidence)


def _with_padding(ids: list[int], vocabulary) -> list[int]:
    """What stands after the end token is unread, and overwritten before it becomes context."""
    ends = [i for i, t in enumerate(ids) if t in vocabulary.eos_ids]
    if not ends or vocabulary.pad_id is None:
        return ids
    return ids[: ends[0] + 1] + [vocabulary.pad_id] * (len(ids) - ends[0] - 1)


def _told(canvas: Canvas | None, draft: Draft, done: _Done, settings: Settings) -> dict:
    """What a `Step` says of this one. Its proposal is the draft that would be the text if this were the last step."""
    import torch

    best = draft.best[-1]
    log_p = done.marginals.float()
    log_p = log_p if canvas is not None else log_p.log_softmax(-1)  # marginals are log-probabilities
    probability = log_p.gather(1, torch.tensor(best, device=log_p.device)[:, None]).exp().clamp(max=1.0)
    pinned = {} if canvas is None else canvas.pinned
    shown = [
        t if a or i in pinned else None for i, (t, a) in enumerate(zip(draft.ids.tolist(), draft.accepted.tolist()))
    ]
    return dict(
        canvas=shown,
        proposal=list(best),
        committed=[i for i in done.accepted if i not in pinned],
        remasked=done.given_up,
        confidence=probability[:, 0].tolist(),
        allowed=[done.marginals.shape[1]] * len(best) if canvas is None else canvas.choices.tolist(),
        alternatives=likeliest(log_p, settings.alternatives),
    )


def _where(mask: torch.Tensor) -> list[int]:
    return mask.nonzero()[:, 0].tolist()
