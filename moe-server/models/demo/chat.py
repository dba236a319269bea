"""Conversations as moe-server renders and encodes them, and which tokens the assistant wrote."""

import pathlib
import re

import numpy as np
import text
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

TEMPLATE = pathlib.Path(__file__).parents[2] / "src/model/template/llama4.jinja"
SPECIAL = re.compile("(" + "|".join(map(re.escape, text.SPECIALS)) + ")")


class Chat:
    """The template and the vocabulary together."""

    def __init__(self, ranks: dict[bytes, int]):
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        self.template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        self.specials = {token: len(ranks) + index for index, token in enumerate(text.SPECIALS)}
        merges = [tuple(merge.split(" ")) for merge in text.merges_of(ranks)]
        self.bpe = Tokenizer(models.BPE(vocab={text.spell(t): rank for t, rank in ranks.items()}, merges=merges))
        self.bpe.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(text.PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ])
        self.known: dict[str, list[int]] = {}
        self.blank = self.ids("\n\n")

    def ids(self, words: str) -> list[int]:
        """The tokens of a text without special ones."""
        if (found := self.known.get(words)) is None:
            found = self.bpe.encode(words).ids
            if len(words) < 200:
                self.known[words] = found
        return found

    def render(self, messages: list[dict], answer: bool = False) -> str:
        """The chat as the template writes it; with the header of an answer to come."""
        return self.template.render(
            messages=messages, tools=None, bos_token="<|begin_of_text|>", add_generation_prompt=answer
        )

    def encode(self, messages: list[dict], answer: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The tokens, and true for those that an assistant writes: its words and the end of its turn."""
        tokens, own, role, expect_role = [], [], None, False
        for part in SPECIAL.split(self.render(messages, answer)):
            if not part:
                continue
            if part in self.specials:
                tokens.append(self.specials[part])
                own.append(part == "<|eot|>" and role == "assistant")
                expect_role = part == "<|header_start|>"
                continue
            ids = self.ids(part)
            writes = role == "assistant" and not expect_role
            if expect_role:
                role = part
                writes = False
            if writes:
                assert ids[: len(self.blank)] == self.blank, f"an answer begins with a blank: {part!r}"
            tokens += ids
            own += [False] * len(self.blank) + [True] * (len(ids) - len(self.blank)) if writes else [False] * len(ids)
        return np.array(tokens, np.uint16), np.array(own, bool)
