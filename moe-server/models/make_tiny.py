"""Makes the checked-in models of Llama 4's architecture: random weights, a vocabulary trained on text made here.

    python make_tiny.py                             writes tiny.gguf and nano-{f32,bf16,f16}.gguf beside this file
    python make_tiny.py --tokenizer FILE --out OUT  writes a file with the tokenizer of FILE (Meta's tokenizer.model)
                                                    and no weights, to compare with; it is not to be checked in

The same versions of the packages (requirements.txt) write the same bytes.
"""

import argparse
import pathlib
import random

import gguf
import numpy as np

import text

HERE = pathlib.Path(__file__).parent
SEED = 4


def corpus() -> list[str]:
    """Plain sentences of a few languages, code and numbers."""
    rng = random.Random(SEED)
    subjects = "The gateway|A router|The model|An expert|My server|Your key|This token|The cache|Nobody|Everyone".split("|")
    verbs = "answers|forwards|wakes|counts|forgets|writes|reads|can't find|doesn't hold|won't refuse|sends".split("|")
    objects = "the request|a long prompt|every stream|two tokens|the price|an error|its own ledger|the edge".split("|")
    ends = "when it sleeps.|at once!|before the end.|without a word?|in the morning.|, then stops.".split("|")
    phrases = [
        "Hello, world! How are you today?", "What is the capital of France? Paris.", "I'm fine; you've said it, we'll see.",
        "Der Fluss fließt über die Brücke nach Süden.", "Où est la bibliothèque, s'il vous plaît ?", "¿Qué hora es, señor?",
        "Привет, как дела?", "こんにちは世界", "你好，世界", "안녕하세요", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "🙂 👍🏽 👩‍👩‍👧 🇫🇷",
        "fn main() {\n    println!(\"{}\", 1 + 2);\n}\n", "def f(x):\n\treturn x ** 2\n", '{"name": "f", "parameters": {"a": 1}}',
        "for (let i = 0; i < 10; i++) { sum += i; }\r\n", "https://example.com/a/b?c=d&e=f", "3.14159 2718 1,000,000 0xff",
        "Please explain briefly why the sky is blue, which colours sunsets have, and what makes rain fall on mountains.",
        "A small model learns patterns; larger ones remember facts, follow instructions and translate between languages.",
        "Once upon a time there lived an old woman near the river, who knew all the birds by their different songs.",
    ]  # fmt: skip
    lines = []
    for _ in range(4000):
        line = f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(objects)} {rng.choice(ends)}"
        lines.append(line if rng.random() < 0.8 else line.upper())
        if rng.random() < 0.3:
            lines.append(rng.choice(phrases))
    return lines


def write(path, name, vocab, hidden, layers, experts, heads, kv_heads, head_dim, ff, weights, context, tied=False):
    """Writes a model whose matrices are of the type `weights`."""
    rng = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(path, "llama4")
    writer.add_name(name)
    writer.add_license("MIT OR Apache-2.0")
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(2 * ff)
    writer.add_expert_feed_forward_length(ff)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(1)
    writer.add_interleave_moe_layer_step(1)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(5e5)
    writer.add_rope_dimension_count(head_dim)
    writer.add_vocab_size(vocab)
    ranks = text.train(vocab - len(text.SPECIALS), corpus())
    text.add_tokenizer(writer, ranks, text.SPECIALS)
    template = HERE.parent / "src/model/template/llama4.jinja"
    writer.add_chat_template(template.read_text(encoding="utf-8"))

    def add(tensor, *shape, kind=weights):
        values = rng.normal(0, 1.5 / np.sqrt(shape[-1]), shape).astype(np.float32)
        quantised = gguf.quants.quantize(values, kind)
        writer.add_tensor(tensor, quantised, raw_dtype=kind)

    def add_norm(tensor):
        writer.add_tensor(tensor, rng.uniform(0.8, 1.2, hidden).astype(np.float32))

    add("token_embd.weight", vocab, hidden)
    add_norm("output_norm.weight")
    if not tied:
        add("output.weight", vocab, hidden)
    # Scout's `rope_scaling`: llama3, factor 16, low = high frequency factor 1, original context 8192.
    wavelengths = 2 * np.pi * 5e5 ** (np.arange(0, head_dim, 2) / head_dim)
    writer.add_tensor("rope_freqs.weight", np.where(wavelengths > 8192, 16, 1).astype(np.float32))
    for layer in range(layers):
        block = f"blk.{layer}."
        add_norm(f"{block}attn_norm.weight")
        add(f"{block}attn_q.weight", heads * head_dim, hidden)
        add(f"{block}attn_k.weight", kv_heads * head_dim, hidden)
        add(f"{block}attn_v.weight", kv_heads * head_dim, hidden)
        add(f"{block}attn_output.weight", hidden, heads * head_dim)
        add_norm(f"{block}ffn_norm.weight")
        add(f"{block}ffn_gate_inp.weight", experts, hidden, kind=gguf.GGMLQuantizationType.F32)
        for part, rows, columns in [("gate", ff, hidden), ("up", ff, hidden), ("down", hidden, ff)]:
            add(f"{block}ffn_{part}_exps.weight", experts, rows, columns)
            add(f"{block}ffn_{part}_shexp.weight", rows, columns)
    close(writer)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tokenizer", type=pathlib.Path)
    arguments.add_argument("--out", type=pathlib.Path)
    arguments = arguments.parse_args()
    if arguments.tokenizer:
        writer = gguf.GGUFWriter(arguments.out, "llama4")
        text.add_tokenizer(writer, text.read_tiktoken(arguments.tokenizer), text.SPECIALS)
        close(writer)
        return
    q8, kinds = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType
    write(HERE / "tiny.gguf", "tiny", vocab=1024, hidden=64, layers=4, experts=4, heads=4, kv_heads=2, head_dim=32,
          ff=64, weights=q8, context=4096)  # fmt: skip
    for kind, tied in [(kinds.F32, False), (kinds.BF16, False), (kinds.F16, True)]:
        name = f"nano-{kind.name.lower()}"
        write(HERE / f"{name}.gguf", name, vocab=320, hidden=32, layers=2, experts=2, heads=2, kv_heads=1, head_dim=16,
              ff=32, weights=kind, context=2048, tied=tied)  # fmt: skip


if __name__ == "__main__":
    main()
