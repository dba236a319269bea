"""A small phrase grammar: `[a|b|]` chooses, brackets nest, `{slot}` is filled in. Templates are parsed once and kept."""

import functools
import re
from dataclasses import dataclass
from random import Random

# Slots that every template may use: they are choices of their own.
MACROS = {
    "gw": "[moegate|the gateway|moegate]",
    "srv": "[moe-server|the MoE server|moe-server]",
    "tell": "[Tell me|Can you tell me|Could you tell me|Please tell me|I would like to know|I'd like to know|I want to know|Do you know]",
    "give": "[Give me|Can you give me|Could you give me|Please give me|I'd like|I need|Name]",
}
PART = re.compile(r"[\[\]|]|\{\w+\}|[^\[\]|{}]+|[{}]")


@dataclass(frozen=True)
class Turn:
    """One question with its answer; `short` is the answer in a few words where there is one, `topic` what it is about."""

    user: str
    answer: str
    short: str | None = None
    topic: str = ""


@functools.cache
def parse(template: str):
    """A template as a sequence of strings, slot names (1-tuples) and choices (lists of sequences)."""
    tokens = PART.findall(template)
    at = 0

    def sequence(inside):
        nonlocal at
        parts = []
        while at < len(tokens):
            token = tokens[at]
            if inside and token in "|]":
                break
            at += 1
            if token == "[":
                parts.append(choice())
            elif len(token) > 2 and token[0] == "{":
                name = token[1:-1]
                parts.append(parse_macro(name) if name in MACROS else (name,))
            else:
                parts.append(token)
        return parts

    def choice():
        nonlocal at
        options = [sequence(True)]
        while at < len(tokens) and tokens[at] == "|":
            at += 1
            options.append(sequence(True))
        if at >= len(tokens):
            raise ValueError(f"a bracket is open: {template}")
        at += 1
        return options

    return sequence(False)


def parse_macro(name: str):
    return [parse(MACROS[name])]


def expand(rng: Random, parts, slots) -> str:
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
        elif isinstance(part, tuple):
            text += str(slots[part[0]])
        else:
            text += expand(rng, part[int(rng.random() * len(part))], slots)
    return text


def say(rng: Random, template, **slots) -> str:
    """One expansion of a template, or of one template of a list."""
    if not isinstance(template, str):
        template = template[int(rng.random() * len(template))]
    return expand(rng, parse(template), slots)


def pick(rng: Random, options):
    return options[int(rng.random() * len(options))]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def joined(words) -> str:
    words = list(words)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
