"""What the compiler should not look into: attention over packed documents, and the routed experts.

Each batch is one row of tokens, document after document. Attention takes the documents out into groups of similar
length; the experts take the tokens out by expert. Both put the results back where the tokens were.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten

PART = 128


def _groups(layout: Tensor, places: Tensor):
    """Yields per group how many documents, their longest length, and the places of their tokens, -1 behind an end.

    `layout` holds the first two, with zeros behind the last group.
    """
    at = 0
    for count, length in layout.tolist():
        if count:
            yield count, length, places[at : at + count * length]
            at += count * length


def _take(x: Tensor, at: Tensor, count: int, length: int, kv_heads: int, head_dim: int) -> Tensor:
    """Rows of `x` as [count · kv_heads, length of each of its query heads, head_dim]; -1 takes any row."""
    rows = x.index_select(0, at.clamp(min=0)).view(count, length, kv_heads, -1, head_dim)
    return rows.permute(0, 2, 3, 1, 4).reshape(count * kv_heads, -1, head_dim)


def _put(into: Tensor, values: Tensor, at: Tensor, count: int, length: int, kv_heads: int):
    rows = values.view(count, kv_heads, -1, length, values.shape[-1]).permute(0, 3, 1, 2, 4).reshape(at.numel(), -1)
    real = at >= 0
    into.index_copy_(0, at[real], rows[real])


def _parts(length: int):
    """Queries in parts, so that a long document's first ones are not multiplied with keys they do not see."""
    return [(start, min(start + PART, length)) for start in range(0, length, PART)]


def _chances(q: Tensor, k: Tensor, start: int, end: int) -> Tensor:
    """What the queries from `start` to `end` of each head make of the keys up to their own: [n, queries, end]."""
    future = torch.full((end - start, end), float("-inf"), dtype=q.dtype).triu(start + 1)
    mask = future.repeat(q.shape[1] // (end - start), 1).unsqueeze(0)
    return torch.baddbmm(mask, q, k[:, :end].mT, alpha=q.shape[-1] ** -0.5).softmax(-1)


def _part(x: Tensor, length: int, start: int, end: int) -> Tensor:
    """Those queries' rows of [n, length of each head, head_dim]."""
    return x.unflatten(1, (-1, length))[:, :, start:end].flatten(1, 2)


def _fill(into: Tensor, values: Tensor, length: int, start: int, end: int):
    into.unflatten(1, (-1, length))[:, :, start:end] = values.unflatten(1, (-1, end - start))


@torch.library.custom_op("demo::attention", mutates_args=())
def attention(q: Tensor, k: Tensor, v: Tensor, layout: Tensor, places: Tensor, head_dim: int) -> Tensor:
    """Causal attention inside each document: q [N, heads · head_dim], k and v [N, kv_heads · head_dim]."""
    out = torch.zeros_like(q)
    for count, length, at in _groups(layout, places):
        shape = (count, length, k.shape[1] // head_dim)
        qs, ks, vs = (_take(x, at, *shape, head_dim) for x in (q, k, v))
        mixed = torch.empty_like(qs)
        for part in _parts(length):
            chances = _chances(_part(qs, length, *part), ks, *part)
            _fill(mixed, chances @ vs[:, : part[1]], length, *part)
        _put(out, mixed, at, *shape)
    return out


@attention.register_fake
def _(q, k, v, layout, places, head_dim):
    return torch.empty_like(q)


@torch.library.custom_op("demo::attention_backward", mutates_args=())
def attention_backward(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, layout: Tensor, places: Tensor, head_dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    grads = [torch.zeros_like(x) for x in (q, k, v)]
    for count, length, at in _groups(layout, places):
        shape = (count, length, k.shape[1] // head_dim)
        qs, ks, vs = (_take(x, at, *shape, head_dim) for x in (q, k, v))
        dmixed = dout.index_select(0, at.clamp(min=0)) * (at >= 0).unsqueeze(1)
        dmixed = _take(dmixed, torch.arange(at.numel()), *shape, head_dim)
        dq, dk, dv = torch.empty_like(qs), torch.zeros_like(ks), torch.zeros_like(vs)
        for part in _parts(length):
            end = part[1]
            own, dy = _part(qs, length, *part), _part(dmixed, length, *part)
            chances = _chances(own, ks, *part)
            dv[:, :end] += chances.mT @ dy
            dscores = aten._softmax_backward_data(dy @ vs[:, :end].mT, chances, -1, q.dtype).mul_(head_dim**-0.5)
            dk[:, :end] += dscores.mT @ own
            _fill(dq, dscores @ ks[:, :end], length, *part)
        for grad, d in zip(grads, (dq, dk, dv)):
            _put(grad, d, at, *shape)
    return tuple(grads)


@attention_backward.register_fake
def _(dout, q, k, v, layout, places, head_dim):
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _save_attention(ctx, inputs, output):
    *tensors, ctx.head_dim = inputs
    ctx.save_for_backward(*tensors)


def _attention_grads(ctx, dout):
    return *attention_backward(dout.contiguous(), *ctx.saved_tensors, ctx.head_dim), None, None, None


attention.register_autograd(_attention_grads, setup_context=_save_attention)


def _by_expert(expert: Tensor, count: int):
    order = expert.argsort(stable=True)
    ends = expert.bincount(minlength=count).cumsum(0).tolist()
    return [order[start:end] for start, end in zip([0, *ends], ends)]


@torch.library.custom_op("demo::experts", mutates_args=())
def experts(x: Tensor, expert: Tensor, inner: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """`down(silu(gate(x)) · up(x))` by each token's expert: x [N, hidden], inner [experts, 2·ff, hidden], down
    [experts, hidden, ff]. Also gate and up of each token, for the backward pass."""
    out = torch.empty_like(x)
    kept = x.new_empty(x.shape[0], inner.shape[1])
    for index, rows in enumerate(_by_expert(expert, inner.shape[0])):
        both = F.linear(x.index_select(0, rows), inner[index])
        gate, up = both.chunk(2, 1)
        out.index_copy_(0, rows, F.linear(F.silu(gate) * up, down[index]))
        kept.index_copy_(0, rows, both)
    return out, kept


@experts.register_fake
def _(x, expert, inner, down):
    return torch.empty_like(x), x.new_empty(x.shape[0], inner.shape[1])


@torch.library.custom_op("demo::experts_backward", mutates_args=())
def experts_backward(
    dout: Tensor, x: Tensor, expert: Tensor, inner: Tensor, down: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    dx, dinner, ddown = torch.empty_like(x), torch.zeros_like(inner), torch.zeros_like(down)
    for index, rows in enumerate(_by_expert(expert, inner.shape[0])):
        if not rows.numel():
            continue
        dy, gate, up = dout.index_select(0, rows), *kept.index_select(0, rows).chunk(2, 1)
        gate, up = gate.contiguous(), up.contiguous()
        opened = F.silu(gate)
        ddown[index] = dy.t() @ (opened * up)
        da = dy @ down[index]
        dboth = torch.cat([aten.silu_backward(da * up, gate), da * opened], 1)
        dinner[index] = dboth.t() @ x.index_select(0, rows)
        dx.index_copy_(0, rows, dboth @ inner[index])
    return dx, dinner, ddown


@experts_backward.register_fake
def _(dout, x, expert, inner, down, kept):
    return torch.empty_like(x), torch.empty_like(inner), torch.empty_like(down)


def _save_experts(ctx, inputs, output):
    x, expert, inner, down = inputs
    ctx.save_for_backward(x, expert, inner, down, output[1])


def _experts_grads(ctx, dout, _dkept):
    dx, dinner, ddown = experts_backward(dout.contiguous(), *ctx.saved_tensors)
    return dx, None, dinner, ddown


experts.register_autograd(_experts_grads, setup_context=_save_experts)
