"""Writes a checkpoint as GGUF.

    python -m demo.export SHARDS CHECKPOINTS/checkpoint.pt demo.gguf [--type Q8_0] [--through Q4_0]

The same checkpoint gives the same bytes. `--through` quantises the matrices to another type and back before they are
written, to measure what that type costs where the server cannot run it.
"""

import argparse
import pathlib

import gguf
import numpy as np
import text
import torch

from .chat import TEMPLATE
from .prepare import vocabulary
from .shape import DEMO, Shape

HERE = pathlib.Path(__file__).parent


def tensors(state: dict[str, torch.Tensor], shape: Shape):
    """Yields GGUF's name, the values, and whether they are a matrix to quantise."""
    values = {name: value.numpy() for name, value in state.items()}
    gain = (0.5 / state["aim"].sigmoid()).item()
    yield "token_embd.weight", values["embedding"], True
    yield "output_norm.weight", values["output_norm"], False
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    for layer in range(shape.layers):
        part, block = f"layers.{layer}.", f"blk.{layer}."
        yield f"{block}attn_norm.weight", values[f"{part}attn_norm"], False
        for name, rows in zip("qkv", np.split(values[f"{part}qkv"], [q, q + kv])):
            yield f"{block}attn_{name}.weight", rows, True
        yield f"{block}attn_output.weight", values[f"{part}output"], True
        yield f"{block}ffn_norm.weight", values[f"{part}ffn_norm"], False
        stacks = [("", "")]
        if shape.is_moe(layer):
            yield f"{block}ffn_gate_inp.weight", values[f"{part}router"], False
            stacks = [("expert_", "_exps"), ("", "_shexp")]
        for prefix, suffix in stacks:
            inner = values[f"{part}{prefix}inner"] * (gain if prefix else 1)
            gate, up = np.split(inner, 2, axis=-2)
            yield f"{block}ffn_gate{suffix}.weight", gate, True
            yield f"{block}ffn_up{suffix}.weight", up, True
            yield f"{block}ffn_down{suffix}.weight", values[f"{part}{prefix}down"], True


def write(path, state, ranks, shape: Shape, kind, through=None):
    writer = gguf.GGUFWriter(path, "llama4")
    writer.add_name("moegate demo")
    writer.add_description("Small talk, small sums and questions about moegate; trained on generated text.")
    writer.add_license("MIT OR Apache-2.0")
    writer.add_languages(["en"])
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.dense_ff)
    writer.add_expert_feed_forward_length(shape.expert_ff)
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(1)
    writer.add_interleave_moe_layer_step(shape.moe_step)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_vocab_size(shape.vocab)
    writer.add_file_type(int(getattr(gguf.LlamaFileType, "ALL_F32" if kind.name == "F32" else f"MOSTLY_{kind.name}")))
    text.add_tokenizer(writer, ranks, text.SPECIALS)
    writer.add_chat_template(TEMPLATE.read_text(encoding="utf-8"))
    for name, values, is_matrix in tensors(state, shape):
        values = np.ascontiguousarray(values, np.float32)
        if not is_matrix:
            writer.add_tensor(name, values)
            continue
        if through:
            values = gguf.quants.dequantize(gguf.quants.quantize(values, through), through)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("shards", type=pathlib.Path)
    arguments.add_argument("checkpoint", type=pathlib.Path)
    arguments.add_argument("out", type=pathlib.Path)
    kinds = gguf.GGMLQuantizationType
    arguments.add_argument("--type", type=kinds.__getitem__, default=kinds.Q8_0)
    arguments.add_argument("--through", type=kinds.__getitem__)
    arguments = arguments.parse_args()
    state = torch.load(arguments.checkpoint, map_location="cpu")["model"]
    write(arguments.out, state, vocabulary(arguments.shards), DEMO, arguments.type, arguments.through)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
