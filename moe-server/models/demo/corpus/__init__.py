"""The text that the demo model learns from: an endless, deterministic stream of conversations.

Of the conversations, 49 % are one question without a system prompt, 20 % have a system prompt (tones, short answers,
endings, names; one to three questions), 12 % are several unrelated questions, 14 % are dialogues whose later turns need
the earlier ones, 5 % are long mixtures. The shares of the topics are in `dialogues.TOPICS`.
"""

from collections.abc import Iterator
from random import Random

from .dialogues import dialogue, one, some
from .personas import persona
from .phrases import Turn

# Content plus markup stays within 1,024 tokens: at a vocabulary of 2,048, a token is about 3.2 characters, of code fewer.
MOST_CHARACTERS = 2_700
TURN_CHARACTERS = 20


def rendered_length(messages: list[dict]) -> int:
    return sum(len(message["content"]) + TURN_CHARACTERS for message in messages)


def messages_of(system: str | None, turns: list[Turn]) -> list[dict]:
    """The conversation, cut where it would grow too long."""
    messages = [{"role": "system", "content": system}] if system else []
    length = rendered_length(messages)
    for turn in turns:
        pair = [{"role": "user", "content": turn.user}, {"role": "assistant", "content": turn.answer}]
        length += rendered_length(pair)
        if length > MOST_CHARACTERS:
            break
        messages += pair
    return messages


def drawn(rng: Random) -> tuple[str | None, list[Turn]]:
    kind = rng.random()
    if kind < 0.49:
        return None, [one(rng)]
    if kind < 0.69:
        return persona(rng, some(rng, rng.choice([1, 1, 1, 2, 2, 3])))
    if kind < 0.81:
        return None, some(rng, rng.choice([2, 2, 3, 3, 4]))
    if kind < 0.95:
        return None, dialogue(rng)
    turns = []
    for _ in range(rng.randrange(2, 6)):
        turns += dialogue(rng) if rng.random() < 0.5 else some(rng, rng.randrange(2, 5))
    return persona(rng, turns) if rng.random() < 0.3 else (None, turns)


def conversations(seed: int) -> Iterator[list[dict]]:
    """An endless stream; the same seed gives the same conversations."""
    rng = Random(seed)
    while True:
        messages = messages_of(*drawn(rng))
        if messages and messages[-1]["role"] == "assistant":
            yield messages
