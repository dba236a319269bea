"""Muon for the matrices of the layers, AdamW for the rest; two processes share the parameters, each updates a part.

Muon (Jordan et al., 2024): the momentum of a matrix, made orthogonal by five Newton-Schulz steps. The update is scaled
to AdamW's usual size, 0.2 (Liu et al., 2025, arXiv:2502.16982), so that one learning rate serves both.
"""

import math

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
BETAS = (0.9, 0.95)
DECAY = 0.1


def orthogonal(g: Tensor) -> Tensor:
    """The stack of matrices `g` [n, rows <= columns], each with its singular values moved near one."""
    x = g.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, b, x, beta=3.4445)
    return x.float()


def blocks_of(name: str, parameter: Tensor, widths: dict[str, list[int]]) -> list[Tensor]:
    """The matrices that a parameter is made of: queries, keys and values, gate and up, each expert."""
    stack = parameter.unbind(0) if parameter.dim() == 3 else [parameter]
    rows = widths.get(name.rsplit(".", 1)[-1])
    return [block for matrix in stack for block in (matrix.split(rows) if rows else [matrix])]


class Optimiser:
    """Works on the share `rank` of `ranks` of a model's parameters."""

    def __init__(self, model: nn.Module, gradients: list[dict[str, Tensor]], rank: int):
        s, self.gradients = model.shape, gradients
        widths = {"qkv": [s.heads * s.head_dim, s.kv_heads * s.head_dim, s.kv_heads * s.head_dim]}
        self.groups: dict[tuple, list] = {}
        self.plain = []
        for name, parameter in model.named_parameters():
            value = parameter.data
            all_gradients = [gradient[name] for gradient in gradients]
            if value.dim() == 1 or name.endswith(("embedding", "router")):
                if rank == 0:
                    self.plain.append((value, all_gradients, torch.zeros_like(value), torch.zeros_like(value)))
                continue
            if name.endswith("inner"):
                widths[name.rsplit(".", 1)[-1]] = [value.shape[-2] // 2] * 2
            pieces = zip(blocks_of(name, value, widths), *(blocks_of(name, g, widths) for g in all_gradients))
            for block, *block_gradients in pieces:
                shape = (min(block.shape), max(block.shape))
                self.groups.setdefault(shape, []).append((block, block_gradients))
        # Each process takes every other matrix of each shape.
        self.groups = {shape: every[rank :: len(gradients)] for shape, every in self.groups.items()}
        self.momenta = {shape: torch.zeros(len(every), *shape) for shape, every in self.groups.items()}
        self.count = 0

    def state(self) -> dict:
        return {"count": self.count, "momenta": self.momenta, "plain": [(m, v) for _, _, m, v in self.plain]}

    def restore(self, state: dict):
        self.count = state["count"]
        for shape, momentum in self.momenta.items():
            momentum.copy_(state["momenta"][shape])
        for (_, _, m, v), (old_m, old_v) in zip(self.plain, state["plain"]):
            m.copy_(old_m)
            v.copy_(old_v)

    @torch.no_grad()
    def step(self, rate: float):
        """Learns from the mean of the processes' gradients."""
        self.count += 1
        for (rows, columns), every in self.groups.items():
            means = (sum(gradients).div_(len(gradients)) for _, gradients in every)
            mean = torch.stack([g if g.shape[0] == rows else g.mT for g in means])
            momentum = self.momenta[rows, columns]
            momentum.lerp_(mean, 1 - MOMENTUM)
            update = orthogonal(mean.lerp_(momentum, MOMENTUM)).mul_(0.2 * math.sqrt(columns))
            for (block, _), u in zip(every, update):
                block.mul_(1 - rate * DECAY).sub_(u if block.shape[0] == rows else u.mT, alpha=rate)
        first, second = BETAS
        for value, gradients, m, v in self.plain:
            mean = sum(gradients).div_(len(gradients))
            m.lerp_(mean, 1 - first)
            v.mul_(second).addcmul_(mean, mean, value=1 - second)
            size = (v / (1 - second**self.count)).sqrt_().add_(1e-10)
            value.addcdiv_(m, size, value=-rate / (1 - first**self.count))
