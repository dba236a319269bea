"""Makes qwen3moe_like.json as make.py makes the others: `python make_qwen3moe.py`.

The oracle is Hugging Face's `Qwen3MoeForCausalLM` in float64. A seed is refused as well where the last expert chosen and
the first one left out lie within the margin. (Among the chosen ones order does not matter.)
"""

import make
import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers.models.qwen3_moe import modeling_qwen3_moe

QWEN3MOE_LIKE = {
    "vocab": 96, "hidden": 64, "layers": 3, "heads": 4, "kv_heads": 2, "head_dim": 32, "ff_expert": 48, "experts": 8,
    "used": 3, "eps": 1e-6, "rope_theta": 10000.0,
}  # fmt: skip


def hf_config(c):
    return Qwen3MoeConfig(
        vocab_size=c["vocab"],
        hidden_size=c["hidden"],
        intermediate_size=c["ff_expert"] * c["used"],
        moe_intermediate_size=c["ff_expert"],
        num_hidden_layers=c["layers"],
        num_attention_heads=c["heads"],
        num_key_value_heads=c["kv_heads"],
        head_dim=c["head_dim"],
        max_position_embeddings=32768,
        rms_norm_eps=c["eps"],
        num_experts=c["experts"],
        num_experts_per_tok=c["used"],
        norm_topk_prob=True,
        decoder_sparse_step=1,
        mlp_only_layers=[],
        tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": c["rope_theta"]},
        attn_implementation="eager",
        experts_implementation="eager",
        use_cache=False,
    )


def load(model, c, seed):
    h, v, e, ff, d = c["hidden"], c["vocab"], c["experts"], c["ff_expert"], c["head_dim"]
    q, kv = c["heads"] * d, c["kv_heads"] * d
    tensor, norm = make.sources(seed)
    state = {
        "model.embed_tokens.weight": tensor("token_embd.weight", v, h, scale=1.0),
        "model.norm.weight": norm("output_norm.weight", h),
        "lm_head.weight": tensor("output.weight", v, h),
    }
    for i in range(c["layers"]):
        there, here = f"model.layers.{i}.", f"blk.{i}."
        for theirs, ours, length in (
            ("input_layernorm", "attn_norm", h),
            ("post_attention_layernorm", "ffn_norm", h),
            ("self_attn.q_norm", "attn_q_norm", d),
            ("self_attn.k_norm", "attn_k_norm", d),
        ):
            state[there + f"{theirs}.weight"] = norm(here + f"{ours}.weight", length)
        for theirs, ours, rows, cols in (
            ("self_attn.q_proj", "attn_q", q, h),
            ("self_attn.k_proj", "attn_k", kv, h),
            ("self_attn.v_proj", "attn_v", kv, h),
            ("self_attn.o_proj", "attn_output", h, q),
            ("mlp.gate", "ffn_gate_inp", e, h),
        ):
            state[there + f"{theirs}.weight"] = tensor(here + f"{ours}.weight", rows, cols)
        gate = tensor(here + "ffn_gate_exps.weight", e, ff, h)
        up = tensor(here + "ffn_up_exps.weight", e, ff, h)
        state[there + "mlp.experts.gate_up_proj"] = torch.cat([gate, up], dim=1)
        state[there + "mlp.experts.down_proj"] = tensor(here + "ffn_down_exps.weight", e, h, ff)
    model.load_state_dict(state, strict=True)


def router_gap(rows, used):
    """The least distance of any row between the last value chosen and the first one left out."""
    top = torch.topk(rows, used + 1, dim=-1).values
    return float((top[..., -2] - top[..., -1]).min())


def run(c, seed, tokens, positions):
    model = Qwen3MoeForCausalLM(hf_config(c)).eval()
    assert model.model.rotary_emb.inv_freq.dtype == torch.float64
    load(model, c, seed)
    routers = []
    for layer in model.model.layers:
        layer.mlp.gate.register_forward_hook(lambda _m, _in, out: routers.append(out[0]))
    with torch.no_grad():
        logits = model(torch.tensor([tokens]), logits_to_keep=torch.tensor(positions)).logits[0]
    return logits, min(router_gap(rows, c["used"]) for rows in routers), c


if __name__ == "__main__":
    make.run_in_float64()
    modeling_qwen3_moe.torch = make.DoubleTorch()
    make.make_golden("qwen3moe_like", "make_qwen3moe.py", QWEN3MOE_LIKE, 40, list(range(40)), run)
