"""The denoising loop for masked diffusion under a constraint, on one canvas.

Commit by witness: every step takes one *whole* valid string (the joint best, or a joint sample) and commits some of its
positions. What is committed is part of a valid string, so the rest can always be completed; no step can paint itself
into a corner, whatever the model says and however few steps there are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from dgemma_constrain.canvas.canvas import Canvas
from dgemma_constrain.diffusion.denoiser import Question
from dgemma_constrain.diffusion.schedules import by_entropy
from dgemma_constrain.diffusion.settings import Settings
from dgemma_constrain.diffusion.together import Row
from dgemma_constrain.diffusion.trace import Step, likeliest

SURE = 1e-3  # what a step commits without counting: less than this (a probability, or nats of entropy) is in doubt


@dataclass
class Draft:
    """The canvas being written: ids with None where undecided, and the log-probability of each token when committed."""

    ids: list[int | None]
    logp: list[float]
    fixed: frozenset[int]  # pinned by the caller: never remasked
    spared: set[int] = field(default_factory=set)  # remasked once already

    @property
    def edges(self) -> slice:
        """What is written: all between the first and the last position that is not pinned. To the model, pins at the edges
        are context like what stands around the canvas; to the canvas, any logits do there."""
        open_ = [i for i in range(len(self.ids)) if i not in self.fixed]
        return slice(open_[0], open_[-1] + 1)


def fill(
    denoiser, canvas: Canvas, before, after, settings: Settings, generator, offset: int
) -> Row[tuple[list[int], float, list[int] | None]]:
    """Denoise one canvas until nothing is undecided. Also what may follow, as far as it is known."""
    canvas.check()
    n = canvas.length
    pinned = canvas.pinned
    draft = Draft([pinned.get(i) for i in range(n)], [0.0] * n, frozenset(pinned))
    step = 0
    while None in draft.ids:
        settings.check_cancelled()
        canvas = canvas.with_pins({i: t for i, t in enumerate(draft.ids) if t is not None})
        done = yield from _step(
            denoiser, canvas, draft, before, after, settings, generator, min(step, settings.steps - 1), offset
        )
        step += 1
        if settings.on_step is not None:
            settings.on_step(done)
    return draft.ids, sum(draft.logp), canvas.behind(draft.ids)


def _step(denoiser, canvas: Canvas, draft: Draft, before, after, settings, generator, step: int, offset: int):
    import torch

    mask_id = denoiser.vocabulary.mask_id
    row = before + [mask_id if t is None else t for t in draft.ids] + after
    edges = draft.edges
    logits, model_ms = yield Question(row, len(before) + edges.start, len(before) + edges.stop)
    logits = torch.nn.functional.pad(logits, (0, 0, edges.start, canvas.length - edges.stop))
    proposed = time.perf_counter()

    ids = canvas.sample(logits, settings.temperature, generator).ids
    posterior = canvas.posterior(logits)
    logp = posterior.of(ids)
    undecided = np.array([i for i, t in enumerate(draft.ids) if t is None])
    pool = _text_first(undecided, denoiser.vocabulary.text_length(ids))
    entropies = by_entropy(settings.schedule)
    marginals = posterior.marginals() if settings.alternatives or entropies else None
    doubt = 1.0 - np.exp(logp[pool])
    if entropies:
        doubt = torch.special.entr(marginals[pool].exp()).sum(-1).cpu().numpy()
    allowed = canvas.choices.tolist()

    probability = np.exp(logp)
    last = step + 1 >= settings.steps
    # What the constraint (or the model) leaves no doubt about is free; the schedule spends its share on the rest, and
    # only near the left edge of what is undecided: a model that commits far ahead fixes how long a name is before it
    # has thought of the name (semi-autoregressive decoding, as LLaDA's blocks, with a sliding edge).
    open_ = np.flatnonzero(doubt >= SURE)
    count = max(settings.schedule(probability[pool[open_]], doubt[open_], step, settings.steps), 1)
    near = open_[: max(denoiser.window, count)]
    edge = pool[near[-1]] if len(near) else pool[-1]
    chosen = pool[near[np.lexsort((near, doubt[near]))][:count]]
    free = pool[(doubt < SURE) & (pool <= edge)]
    committed = sorted((undecided if last else np.union1d(free, chosen)).tolist())
    for i in committed:
        draft.ids[i], draft.logp[i] = ids[i], float(logp[i])
    remasked = [] if last else _doubtful(draft, settings.remask)
    for i in remasked:
        draft.ids[i], draft.logp[i] = None, 0.0
        draft.spared.add(i)
    alternatives = [] if marginals is None else likeliest(marginals, settings.alternatives)
    ended = time.perf_counter()
    return Step(
        block=offset // denoiser.block,
        offset=offset,
        canvas=list(draft.ids),
        proposal=list(ids),
        committed=committed,
        remasked=remasked,
        confidence=probability.tolist(),
        allowed=allowed,
        alternatives=alternatives,
        model_ms=model_ms,
        constraint_ms=(ended - proposed) * 1e3,
    )


def _text_first(undecided: np.ndarray, length: int) -> np.ndarray:
    """The undecided positions within the proposal's text, which has `length` tokens; where none are left, the end and tail.

    A model is sure of padding long before it knows what it pads. Committing the tail early would fix the length of a
    text that has not been thought of yet.
    """
    text = undecided[undecided < length]
    return text if len(text) else undecided


def _doubtful(draft: Draft, threshold: float) -> list[int]:
    """Committed positions that were less sure than the threshold and have not been given a second chance yet.

    Taking pins away keeps a canvas feasible, so this never costs validity; each position goes back at most once, so the
    loop ends.
    """
    return [
        i
        for i, t in enumerate(draft.ids)
        if t is not None and i not in draft.fixed and i not in draft.spared and np.exp(draft.logp[i]) < threshold
    ]
