"""Muon for the blocks' matrices (Jordan et al. 2024: momentum, made orthogonal by Newton-Schulz iterations) and AdamW for the rest.

Matrices of one shape are kept and updated as one stack: a network of this size has many small ones.
"""

import torch
from torch import Tensor, nn


def orthogonal(m: Tensor) -> Tensor:
    """m [n, a, b] -> its nearest orthogonal matrices, roughly, by five quintic Newton-Schulz steps in bfloat16."""
    x = m.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        s = x @ x.mT
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
    return (x.mT if tall else x).float()


class Optimizer:
    """What is trained, in float32 (`master`, by name), while the network computes with bfloat16 copies."""

    def __init__(self, parameters: dict[str, nn.Parameter], rate: float, rate_matrices: float, decay: float = 0.1):
        self.parameters, self.rate_matrices, self.decay = parameters, rate_matrices, decay
        shapes: dict[tuple, list[str]] = {}
        for name, p in parameters.items():
            if ("blocks." in name or "layers." in name) and p.dim() == 2 and min(p.shape) > 1:
                shapes.setdefault(tuple(p.shape), []).append(name)
        self.groups = [
            (names, torch.stack([parameters[n].detach().float() for n in names]), 0.2 * max(shape) ** 0.5)
            for shape, names in shapes.items()
        ]
        self.momenta = [torch.zeros_like(stack) for _, stack, _ in self.groups]
        stacked = {n: view for names, stack, _ in self.groups for n, view in zip(names, stack)}
        self.others = [n for n in parameters if n not in stacked]
        self.master = stacked | {n: nn.Parameter(parameters[n].detach().float()) for n in self.others}
        fused = next(iter(parameters.values())).is_cuda
        self.adam = torch.optim.AdamW(
            [self.master[n] for n in self.others], lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused
        )
        self.rate = rate
        self.names = list(parameters)

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update with both learning rates times `factor`; takes and clears the parameters' gradients."""
        grads = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in self.parameters.items()}
        for (names, stack, scale), momentum in zip(self.groups, self.momenta):
            g = torch.stack([grads[n] for n in names]).float()
            momentum.lerp_(g, 0.05)
            stack.mul_(1 - factor * self.rate_matrices * self.decay)
            stack.sub_(orthogonal(g.lerp(momentum, 0.95)), alpha=factor * self.rate_matrices * scale)
        for n in self.others:
            self.master[n].grad = grads[n].float()
        self.adam.param_groups[0]["lr"] = self.rate * factor
        self.adam.step()
        torch._foreach_copy_([self.parameters[n] for n in self.names], [self.master[n] for n in self.names])
        for p in self.parameters.values():
            p.grad = None
