"""Llama 4's text model as moe-server computes it, for training: packed documents, products in bfloat16.

Where it stands for the engine's arithmetic (`moe-server/src/engine/cpu`): rope on adjacent pairs, then queries and keys
normalised without a weight, in every layer but each fourth; one expert a token by the highest router logit, whose
sigmoid scales that expert's *input*; a shared expert; tied embeddings. The chunk of 8,192 and the attention
temperature, which starts there too, are beyond the context and left out.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import operators
from .shape import Shape


def norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return x if weight is None else x * weight


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [N, heads, d], cos and sin [N, 1, d / 2]."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Layer(nn.Module):
    def __init__(self, shape: Shape, index: int):
        super().__init__()
        self.shape, self.is_moe, self.has_rope = shape, shape.is_moe(index), shape.has_rope(index)
        hidden, heads = shape.hidden, shape.heads * shape.head_dim

        def matrix(*size, gain=1.0):
            return nn.Parameter(torch.randn(size) * gain / math.sqrt(size[-1]))

        out = 1 / math.sqrt(2 * shape.layers)
        self.attn_norm = nn.Parameter(torch.ones(hidden))
        self.qkv = matrix(heads + 2 * shape.kv_heads * shape.head_dim, hidden)
        self.output = matrix(hidden, heads, gain=out)
        self.ffn_norm = nn.Parameter(torch.ones(hidden))
        ff = shape.expert_ff if self.is_moe else shape.dense_ff
        self.inner = matrix(2 * ff, hidden)
        self.down = matrix(hidden, ff, gain=out)
        if self.is_moe:
            self.router = matrix(shape.experts, hidden, gain=0.5)
            self.expert_inner = matrix(shape.experts, 2 * ff, hidden)
            self.expert_down = matrix(shape.experts, hidden, ff, gain=2 * out)

    def attention(self, x: Tensor, batch, dtype) -> Tensor:
        s = self.shape
        widths = [s.heads * s.head_dim, s.kv_heads * s.head_dim, s.kv_heads * s.head_dim]
        qkv = F.linear(norm(x, self.attn_norm, s.norm_eps).to(dtype), self.qkv.to(dtype))
        q, k, v = qkv.split(widths, 1)
        if self.has_rope:
            q, k = (
                norm(rope(y.float().unflatten(1, (-1, s.head_dim)), batch.cos, batch.sin), None, s.norm_eps).flatten(1).to(dtype)
                for y in (q, k)
            )
        mixed = operators.attention(q.contiguous(), k.contiguous(), v.contiguous(), batch.layout, batch.places, s.head_dim)
        return F.linear(mixed, self.output.to(dtype))

    def feed_forward(self, x: Tensor, gain: Tensor, dtype, score_on_output: bool):
        x = norm(x, self.ffn_norm, self.shape.norm_eps)
        gate, up = F.linear(x.to(dtype), self.inner.to(dtype)).chunk(2, 1)
        y = F.linear(F.silu(gate) * up, self.down.to(dtype))
        if not self.is_moe:
            return y, None, None
        logits = F.linear(x, self.router)
        top, expert = logits.max(-1)
        score = top.sigmoid().unsqueeze(1)
        before, after = (1.0, score) if score_on_output else (score, 1.0)
        routed, _ = operators.experts((x * before * gain).to(dtype), expert, self.expert_inner.to(dtype), self.expert_down.to(dtype))
        return y + routed * after, logits, expert

    def forward(self, x: Tensor, batch, gain: Tensor, dtype, score_on_output: bool):
        x = x + self.attention(x, batch, dtype)
        y, logits, expert = self.feed_forward(x, gain, dtype, score_on_output)
        return x + y, logits, expert


class Model(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.randn(shape.vocab, shape.hidden) * 0.05)
        self.layers = nn.ModuleList(Layer(shape, index) for index in range(shape.layers))
        self.output_norm = nn.Parameter(torch.ones(shape.hidden))
        # Where the trainer wants the chosen router logit.
        self.register_buffer("aim", torch.tensor(0.0))

    def gain(self) -> Tensor:
        """What the experts' inputs are multiplied by, so that a lower aim leaves them as large as a score of a half does.
        The exporter moves it into the weights."""
        return 0.5 / self.aim.sigmoid()

    def forward(self, batch, dtype=torch.bfloat16, score_on_output=False):
        """The loss of each token's successor, and per MoE layer the router's logits and choices."""
        x = F.embedding(batch.tokens, self.embedding)
        routers = []
        for layer in self.layers:
            x, logits, expert = layer(x, batch, self.gain(), dtype, score_on_output)
            if logits is not None:
                routers.append((logits, expert))
        x = norm(x, self.output_norm, self.shape.norm_eps).to(dtype)
        logits = F.linear(x, self.embedding.to(dtype)).float()
        return F.cross_entropy(logits, batch.targets, reduction="none"), routers


def balance(logits: Tensor, expert: Tensor, real: Tensor, shape: Shape, aim: Tensor):
    """Of one router over the real tokens: the Switch transformer's load-balancing loss (1 when even), and the mean square
    of the chosen logit's distance from the aim."""
    count = real.sum()
    share = (F.one_hot(expert, shape.experts) * real.unsqueeze(1)).sum(0) / count
    chance = (logits.softmax(-1) * real.unsqueeze(1)).sum(0) / count
    off = (logits.max(-1).values - aim).square()
    return shape.experts * (share * chance).sum(), (off * real).sum() / count
