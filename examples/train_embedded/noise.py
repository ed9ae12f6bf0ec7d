"""Which positions of packed rows are masked, drawn anew on the device each time a row is met.

Besides masked diffusion's own uniform noise there are the shapes that decoding meets: everything masked, all from somewhere
on, all up to somewhere, a single run, and all but a few tokens. A template's fixed text stands, mostly.
"""

import torch
from packing import FIXED, GIVEN, HOLE, TAIL
from torch import Tensor
from torch.nn import functional as F

MOST = 64  # texts in a row: more than fit


def draw_masks(text: Tensor, part: Tensor) -> Tensor:
    """text, part long [B, T] -> bool [B, T], True where the token is hidden; only inside canvases."""
    B, T = text.shape
    device = text.device
    canvas = part != GIVEN
    written = canvas & (part != TAIL)

    def of_text(values: Tensor) -> Tensor:
        """What was drawn for each text [B, MOST], at each position [B, T]."""
        return values.gather(1, text)

    def uniform() -> Tensor:
        return of_text(torch.rand(B, MOST, device=device))

    # How far into its canvas a position is, and how long the canvas's written text is.
    order = written.cumsum(1)
    longest = torch.full((B, MOST), 0, device=device).scatter_reduce_(1, text, order * written, "amax")
    least = torch.full((B, MOST), T, device=device).scatter_reduce_(1, text, torch.where(written, order, T), "amin")
    size = of_text(longest - least + 1).clamp(min=1)
    place = order - of_text(least)  # 0 … size - 1 on the written text, size - 1 on the tail

    kind, level, flips = uniform(), uniform(), torch.rand(B, T, device=device)
    cut, width = (uniform() * size).floor(), 1 + (uniform().square() * 12).floor()
    loose = flips < level
    tail = part == TAIL
    tail_open = tail & (uniform() < 0.6)
    right = place >= cut  # from the cut on
    mask = canvas & loose
    mask = torch.where(kind < 0.62, right & written & ((flips < 0.97) | (place < cut + 2)) | tail_open, mask)
    mask = torch.where(kind < 0.48, (place < cut) & written | tail_open, mask)
    mask = torch.where(kind < 0.44, (place >= cut) & (place < cut + width) & written, mask)
    few = flips < 2.5 / size  # two or three tokens stand
    mask = torch.where(kind < 0.38, canvas & ~few, mask)
    mask = torch.where(kind < 0.24, canvas, mask)
    # A template: three in four times its fixed text stands.
    has_holes = (
        of_text(torch.zeros(B, MOST, device=device).scatter_reduce_(1, text, (part == FIXED).float(), "amax")) > 0
    )
    stands = has_holes & (uniform() < 0.75)
    mask = torch.where(stands, (part == HOLE) & (loose | (kind < 0.6)) | tail & loose, mask)
    # A text of which nothing is hidden teaches nothing: hide all of it.
    hidden = of_text(torch.zeros(B, MOST, device=device).scatter_add_(1, text, (mask & canvas).float()))
    return canvas & (mask | (hidden == 0))


def choose_scored(text: Tensor, part: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Which masked positions are scored, long [B, count], and their weights [B, count], which sum to 1 over the batch.

    A text with m masked positions weighs as sqrt(m), between masked diffusion's 1/noise (every text alike) and every
    token alike; the pad tail, easy and often long, weighs a tenth.
    """
    tail = F.pad((part == TAIL)[:, :-1] & (text[:, 1:] == text[:, :-1]), (1, 0)) & (part == TAIL)
    worth = torch.where(tail, 0.1, 1.0) * mask
    total = torch.zeros(text.shape[0], MOST, device=text.device).scatter_add_(1, text, worth)
    weight = worth * total.gather(1, text).clamp(min=0.1).rsqrt()
    chosen = (
        (mask * (0.2 + torch.rand(mask.shape, device=mask.device)) * torch.where(tail, 0.3, 1.0)).topk(count, 1).indices
    )
    weight = weight.gather(1, chosen)
    return chosen, weight / weight.sum()
