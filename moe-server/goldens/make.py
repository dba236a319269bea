"""Makes the golden files of this folder: `pip install -r requirements.txt && python make.py`.

The oracle is Hugging Face's `Llama4ForCausalLM`, built in process and run in float64 throughout, so that what a test
measures is the engine's own rounding. Weights are not stored: they come from a counter-based generator (`normal`,
`uniform`) that `moe-server/tests/goldens/generator.rs` repeats bit for bit. Names and shapes of the tensors are
GGUF's.

A seed is refused when a router decision that matters, or the two highest logits of a stored row, lie within 1e-3:
there, rounding may legitimately turn the answer.
"""

import json
import math
import pathlib

import gguf
import numpy as np
import torch
import transformers
from transformers import Llama4ForCausalLM, Llama4TextConfig, modeling_rope_utils
from transformers.models.llama4 import modeling_llama4

HERE = pathlib.Path(__file__).parent
MARGIN = 1e-3
MASK = (1 << 64) - 1


class DoubleTorch:
    """The torch module with `float` meaning float64: the model's upcasts to float32 would be roundings here."""

    float = torch.float64
    float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


def run_in_float64():
    modeling_llama4.torch = DoubleTorch()
    modeling_rope_utils.torch = DoubleTorch()
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)


# --- the generator -------------------------------------------------------------------------------------------------


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def splitmix(x):
    """The output function of splitmix64 at the counters `x` (uint64 array)."""
    z = x * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def draws(seed, name, count, per_element):
    start = np.uint64((fnv1a(name) ^ (seed * 0xD1342543DE82EF95)) & MASK)
    with np.errstate(over="ignore"):
        counters = start + np.arange(count * per_element, dtype=np.uint64)
        return splitmix(counters).reshape(count, per_element)


def normal(seed, name, shape, scale):
    """Sums of twelve 16-bit uniforms, centred: exact in float64, then scaled, then rounded to float32 once."""
    count = math.prod(shape)
    total = np.zeros(count, dtype=np.int64)
    for word in draws(seed, name, count, 3).T:
        for shift in (0, 16, 32, 48):
            total += ((word >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    values = (2 * total + 12).astype(np.float64) / 131072.0 - 6.0
    return (values * scale).astype(np.float32).reshape(shape)


def uniform(seed, name, count):
    """1 ± 0.2."""
    u = (draws(seed, name, count, 1)[:, 0] >> np.uint64(40)).astype(np.float64) / float(1 << 24)
    return (1.0 + 0.2 * (2.0 * u - 1.0)).astype(np.float32)


def token_ids(seed, count, vocab):
    return [int(v) for v in draws(seed, "tokens", count, 1)[:, 0] % np.uint64(vocab)]


# --- the model -----------------------------------------------------------------------------------------------------


def hf_config(c):
    rope = {"rope_type": "default", "rope_theta": c["rope_theta"]}
    if c["rope_scaling"]:
        factor, original = c["rope_scaling"]
        rope = {
            "rope_type": "llama3",
            "rope_theta": c["rope_theta"],
            "factor": factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 1.0,
            "original_max_position_embeddings": original,
        }
    return Llama4TextConfig(
        vocab_size=c["vocab"],
        hidden_size=c["hidden"],
        intermediate_size=c["ff_expert"],
        intermediate_size_mlp=c["ff_dense"],
        num_hidden_layers=c["layers"],
        num_attention_heads=c["heads"],
        num_key_value_heads=c["kv_heads"],
        head_dim=c["head_dim"],
        max_position_embeddings=32768,
        rms_norm_eps=c["eps"],
        num_local_experts=c["experts"],
        interleave_moe_layer_step=c["moe_step"],
        use_qk_norm=c["qk_norm"],
        attention_chunk_size=c["chunk"],
        floor_scale=c["floor_scale"],
        attn_scale=c["attn_scale"],
        rope_parameters=rope,
        attn_implementation="eager",
        use_cache=False,
    )


def sources(seed):
    """Functions that make a matrix, or a norm's weights, by its name."""

    def tensor(name, *shape, scale=None):
        scale = 1.5 / math.sqrt(shape[-1]) if scale is None else scale
        return torch.from_numpy(normal(seed, name, shape, scale).astype(np.float64))

    def norm(name, count):
        return torch.from_numpy(uniform(seed, name, count).astype(np.float64))

    return tensor, norm


def load(model, c, seed):
    tensor, norm = sources(seed)
    h, v, e, ff = c["hidden"], c["vocab"], c["experts"], c["ff_expert"]
    q, kv = c["heads"] * c["head_dim"], c["kv_heads"] * c["head_dim"]
    state = {
        "model.embed_tokens.weight": tensor("token_embd.weight", v, h, scale=1.0),
        "model.norm.weight": norm("output_norm.weight", h),
        "lm_head.weight": tensor("output.weight", v, h),
    }
    for i in range(c["layers"]):
        there, here = f"model.layers.{i}.", f"blk.{i}."
        state[there + "input_layernorm.weight"] = norm(here + "attn_norm.weight", h)
        state[there + "post_attention_layernorm.weight"] = norm(here + "ffn_norm.weight", h)
        for theirs, ours, rows, cols in (
            ("q_proj", "attn_q", q, h),
            ("k_proj", "attn_k", kv, h),
            ("v_proj", "attn_v", kv, h),
            ("o_proj", "attn_output", h, q),
        ):
            state[there + f"self_attn.{theirs}.weight"] = tensor(here + f"{ours}.weight", rows, cols)
        if (i + 1) % c["moe_step"] == 0:
            ffn, suffix, width = there + "feed_forward.shared_expert.", "_shexp", ff
            state[there + "feed_forward.router.weight"] = tensor(here + "ffn_gate_inp.weight", e, h)
            gate = tensor(here + "ffn_gate_exps.weight", e, ff, h)
            up = tensor(here + "ffn_up_exps.weight", e, ff, h)
            down = tensor(here + "ffn_down_exps.weight", e, h, ff)
            state[there + "feed_forward.experts.gate_up_proj"] = torch.cat([gate, up], dim=1).transpose(1, 2)
            state[there + "feed_forward.experts.down_proj"] = down.transpose(1, 2)
        else:
            ffn, suffix, width = there + "feed_forward.", "", c["ff_dense"]
        state[ffn + "gate_proj.weight"] = tensor(here + f"ffn_gate{suffix}.weight", width, h)
        state[ffn + "up_proj.weight"] = tensor(here + f"ffn_up{suffix}.weight", width, h)
        state[ffn + "down_proj.weight"] = tensor(here + f"ffn_down{suffix}.weight", h, width)
    model.load_state_dict(state, strict=True)


def least_gap(rows):
    """The least distance between the two highest values of any row."""
    top = torch.topk(rows, 2, dim=-1).values
    return float((top[..., 0] - top[..., 1]).min())


def rope_factors(c, model):
    """By how much scaling divides each pair's frequency: what GGUF keeps in `rope_freqs.weight`."""
    if not c["rope_scaling"]:
        return None
    d = c["head_dim"]
    plain = c["rope_theta"] ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)
    return [round(float(f), 9) for f in plain / model.model.rotary_emb.inv_freq]


def run_llama4(c, seed, tokens, positions):
    """Logits, the least distance between a router's two highest, and the configuration to store."""
    model = Llama4ForCausalLM(hf_config(c)).eval()
    assert model.model.rotary_emb.inv_freq.dtype == torch.float64
    load(model, c, seed)
    routers = {}
    for i, layer in enumerate(model.model.layers):
        if layer.is_moe_layer:
            hook = lambda _m, _in, out, i=i: routers.__setitem__(i, out[1])
            layer.feed_forward.router.register_forward_hook(hook)
    with torch.no_grad():
        logits = model(torch.tensor([tokens]), logits_to_keep=torch.tensor(positions)).logits[0]
    # The last layer's router only moves the row it stands in.
    routing = min(least_gap(r[positions] if i == c["layers"] - 1 else r) for i, r in routers.items())
    stored = {k: v for k, v in c.items() if k != "rope_scaling"} | {"rope_factors": rope_factors(c, model)}
    return logits, routing, stored


def make_golden(name, maker, c, count, positions, run):
    for seed in range(1, 200):
        tokens = token_ids(seed, count, c["vocab"])
        logits, routing, stored = run(c, seed, tokens, positions)
        assert logits.dtype == torch.float64 and bool(torch.isfinite(logits).all())
        margin = least_gap(logits)
        print(f"{name} seed {seed}: least router gap {routing:.2e}, least logit gap {margin:.2e}", flush=True)
        if min(routing, margin) >= MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no seed keeps its distance")
    document = {
        "made_by": f"moe-server/goldens/{maker}, transformers {transformers.__version__}, float64",
        "config": stored,
        "seed": seed,
        "tokens": tokens,
        "rows": [
            {"position": p, "logits": [float(f"{x:.10g}") for x in row.tolist()]} for p, row in zip(positions, logits)
        ],
    }
    # One row a line: a change shows where it is.
    text = json.dumps(document, separators=(",", ":")).replace('{"position"', '\n{"position"')
    (HERE / f"{name}.json").write_text(text + "\n")


SCOUT_LIKE = {
    "vocab": 96, "hidden": 64, "layers": 8, "heads": 4, "kv_heads": 2, "head_dim": 16, "ff_expert": 48,
    "ff_dense": 80, "experts": 16, "moe_step": 1, "qk_norm": True, "chunk": 16, "floor_scale": 8,
    "attn_scale": 0.1, "eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": [16.0, 64],
}  # fmt: skip

MAVERICK_LIKE = {
    "vocab": 96, "hidden": 64, "layers": 8, "heads": 4, "kv_heads": 1, "head_dim": 32, "ff_expert": 24,
    "ff_dense": 80, "experts": 128, "moe_step": 2, "qk_norm": False, "chunk": 16, "floor_scale": 8,
    "attn_scale": 0.1, "eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None,
}  # fmt: skip

# The constants of the released models. The only router stands in the last layer, where a near tie at a position
# whose logits are not stored cannot reach those that are: 8,500 tokens without a tie anywhere do not exist.
REAL_CONSTANTS = {
    "vocab": 64, "hidden": 32, "layers": 4, "heads": 1, "kv_heads": 1, "head_dim": 128, "ff_expert": 32,
    "ff_dense": 48, "experts": 4, "moe_step": 4, "qk_norm": True, "chunk": 8192, "floor_scale": 8192,
    "attn_scale": 0.1, "eps": 1e-5, "rope_theta": 500000.0, "rope_scaling": [16.0, 8192],
}  # fmt: skip


# --- dequantisation ------------------------------------------------------------------------------------------------


def make_dequantised():
    """Random halves and what gguf-py makes of them, as hexadecimal bits. Blocks: `moe-kernels/goldens`."""
    rng = np.random.default_rng(7)
    cases = []
    for name in ("F16", "BF16"):
        kind = gguf.GGMLQuantizationType[name]
        raw = rng.integers(0, 1 << 16, 64, dtype=np.uint16)
        raw[:4] = (0x0001, 0x8000, 0x03FF, 0x0400)  # subnormals and zero
        exponent = 0x7C00 if name == "F16" else 0x7F80
        raw[(raw & exponent) == exponent] &= 0x3FFF  # no infinities or NaN
        raw = raw.view(np.uint8)
        values = gguf.quants.dequantize(raw.reshape(1, -1), kind).astype(np.float32).reshape(-1)
        cases.append({"type": name, "bytes": raw.tobytes().hex(), "values": values.tobytes().hex()})
    (HERE / "dequantised.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    make_dequantised()
    run_in_float64()
    make_golden("scout_like", "make.py", SCOUT_LIKE, 48, list(range(48)), run_llama4)
    make_golden("maverick_like", "make.py", MAVERICK_LIKE, 48, list(range(48)), run_llama4)
    last = [8189, 8190, 8191, 8192, 8193, 8200, 8250, 8320, 8400, 8498, 8499]
    make_golden("real_constants", "make.py", REAL_CONSTANTS, 8500, [0, 1, 1000, 4095, 8000, *last], run_llama4)
