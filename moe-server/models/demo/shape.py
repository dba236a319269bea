"""The demo model's numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    vocab: int = 2048
    hidden: int = 256
    layers: int = 8
    heads: int = 8
    kv_heads: int = 2
    head_dim: int = 32
    experts: int = 4
    expert_ff: int = 256
    dense_ff: int = 512
    moe_step: int = 2
    context: int = 1024
    norm_eps: float = 1e-5
    rope_base: float = 5e5

    def is_moe(self, layer: int) -> bool:
        return (layer + 1) % self.moe_step == 0

    def has_rope(self, layer: int) -> bool:
        return (layer + 1) % 4 != 0


DEMO = Shape()
