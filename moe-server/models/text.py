"""Llama 4's text format: the split pattern, the special tokens, and GGUF's form of a byte-level BPE vocabulary."""

import base64

# `O200K_PATTERN` of Meta's llama4/tokenizer.py.
PATTERN = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
])

BASIC = ["<|begin_of_text|>", "<|end_of_text|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]
SPECIALS = BASIC + [
    "<|header_start|>", "<|header_end|>", "<|eom|>", "<|eot|>", "<|step|>",
    *(f"<|text_post_train_reserved_special_token_{i}|>" for i in range(6)),
    "<|python_start|>", "<|python_end|>", "<|finetune_right_pad|>",
    "<|image_start|>", "<|image_end|>", "<|tile_x_separator|>", "<|tile_y_separator|>", "<|image|>", "<|patch|>",
    "<|reasoning_thinking_start|>", "<|reasoning_thinking_end|>",
]  # fmt: skip


def byte_characters():
    """GPT-2's character for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return table


CHARACTERS = byte_characters()
BYTES = {character: byte for byte, character in CHARACTERS.items()}


def spell(token: bytes) -> str:
    return "".join(CHARACTERS[byte] for byte in token)


def unspell(text: str) -> bytes:
    return bytes(BYTES[character] for character in text)


def merges_of(ranks: dict[bytes, int]) -> list[str]:
    """Every split of every token into two tokens, by rank: with them, BPE by merges is BPE by ranks."""
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        splits = ((token[:at], token[at:]) for at in range(1, len(token)))
        known = [(left, right) for left, right in splits if left in ranks and right in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [f"{spell(left)} {spell(right)}" for left, right in known]
    return merges


def train(size: int, lines) -> dict[bytes, int]:
    """Ranks of `size` byte-level tokens for these texts, each made of two of lower rank."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    vocabulary = tokenizer.get_vocab()
    assert len(vocabulary) == size, f"{len(vocabulary)} tokens were trained; the corpus is too small"
    return {unspell(token): rank for token, rank in vocabulary.items()}


def read_tiktoken(path) -> dict[bytes, int]:
    """The ranks of a tiktoken file, such as Meta's tokenizer.model."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line.strip())}


def add_tokenizer(writer, ranks: dict[bytes, int], specials: list[str]):
    """Writes the tokenizer's metadata; special tokens follow the ranked ones."""
    import gguf

    ranked = sorted(ranks, key=ranks.get)
    assert [ranks[token] for token in ranked] == list(range(len(ranked)))
    identifier = {text: len(ranked) + index for index, text in enumerate(specials)}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama4")
    writer.add_token_list([*map(spell, ranked), *specials])
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([normal] * len(ranked) + [control] * len(specials))
    writer.add_token_merges(merges_of(ranks))
    writer.add_bos_token_id(identifier["<|begin_of_text|>"])
    writer.add_eos_token_id(identifier["<|end_of_text|>"])
    writer.add_eot_token_id(identifier["<|eot|>"])
    writer.add_eom_token_id(identifier["<|eom|>"])
    writer.add_add_bos_token(True)
