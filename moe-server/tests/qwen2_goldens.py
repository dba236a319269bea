"""Writes qwen2_goldens.json: a small vocabulary in GGUF's form, and texts with their tokens by Hugging Face's tokenizers,
set up as transformers' `tokenization_qwen2.py` does it.

    python qwen2_goldens.py                          with the packages of ../models/requirements.txt
"""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizer_goldens import TEXTS, make_tiny, random_texts

HERE = pathlib.Path(__file__).parent
PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# As llama.cpp's converter sorts them: control tokens, and those that are shown.
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>"]
SHOWN = ["<tool_call>", "</tool_call>", "<think>", "</think>"]
# A merge without which a token of the vocabulary is out of reach: merges alone count.
LEFT_OUT = "Ġt he"
OWN_TEXTS = [
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", "<|im_end|", "a <|im_end|>b", "<tool_call>\n{}\n</tool_call>",
    "<|endoftext|><|endoftext|>", " the the  the", "the 'S'LL 're'VE", "A\u030angstro\u0308m \u1100\u1161\u11a8 \u0928\u093c \u2126 \ufb01", "q\u0307\u0323 q\u0323\u0307",
]  # fmt: skip


def configured(model):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def main():
    trained = configured(models.BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator(make_tiny.corpus(), trainer)
    model = json.loads(trained.to_str())["model"]
    vocabulary = model["vocab"]
    merges = [tuple(merge) for merge in model["merges"] if " ".join(merge) != LEFT_OUT]
    assert len(merges) + 1 == len(model["merges"])

    plain, parsing = (configured(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=False)) for _ in range(2))
    special = [AddedToken(text, special=text in CONTROL, normalized=False) for text in CONTROL + SHOWN]
    parsing.add_tokens(special)
    rows = []
    for text in TEXTS + OWN_TEXTS + random_texts(240):
        tokens, parsed = plain.encode(text).ids, parsing.encode(text).ids
        rows.append({"text": text, "tokens": tokens} | ({"parsed": parsed} if parsed != tokens else {}))
    ranked = sorted(vocabulary, key=vocabulary.get)
    assert [vocabulary[token] for token in ranked] == list(range(len(ranked)))
    head = {
        "tokens": ranked + CONTROL + SHOWN,
        "types": [1] * len(ranked) + [3] * len(CONTROL) + [4] * len(SHOWN),
        "merges": [" ".join(merge) for merge in merges],
    }
    dump = lambda value: json.dumps(value, separators=(",", ":"))  # noqa: E731
    keys = "".join(f"{dump(key)}:{dump(value)},\n" for key, value in head.items())
    lines = ",\n".join(map(dump, rows))
    (HERE / "qwen2_goldens.json").write_text(f"{{{keys}\"texts\":[\n{lines}\n]}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
