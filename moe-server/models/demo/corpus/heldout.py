"""Writes `heldout.jsonl`: 300 conversations for perplexity, in phrasings that the stream does not hold."""

import json
import sys
from pathlib import Path
from random import Random

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from corpus import arithmetic, heldout_phrasings as held, messages_of, personas, smalltalk, unknown, world  # noqa: E402
from corpus.moegate_models import FACTS  # noqa: E402
from corpus.moegate_use import CODE  # noqa: E402
from corpus.phrases import Turn, article, capital, pick, say  # noqa: E402

SEED = 2026
CONVERSATIONS = 300
FOLDER = Path(__file__).resolve().parent


def of_table(rng, asks, answers, table, count):
    """One turn for each of `count` entries of a table."""
    for x in rng.sample(sorted(table), count):
        y = table[x]
        yield Turn(say(rng, asks, x=x), capital(say(rng, answers, x=x, y=y, b=article(y))), capital(y) + ".", "facts")


def arithmetic_turns(rng):
    for _ in range(10):
        x, y = arithmetic.whole(rng, 1, 10), arithmetic.whole(rng, 1, 10)
        yield Turn(say(rng, held.SUM, x=x, y=y), f"{x} plus {y} is {x + y}.", f"{x + y}.", "sums")
        yield Turn(say(rng, held.PRODUCT, x=x, y=y), f"{x} times {y} is {x * y}.", f"{x * y}.", "sums")
    for last in (5, 8, 10, 12):
        up, down = (", ".join(map(str, numbers)) for numbers in (range(1, last + 1), range(last, -1, -1)))
        yield Turn(say(rng, held.COUNT[0], x=last), up + ".", None, "counting")
        yield Turn(say(rng, held.COUNT[1], x=last), down + ".", None, "counting")


def turns(rng: Random) -> list[Turn]:
    """Every reserved phrasing, with an answer as the stream has it."""
    made = [Turn(user, say(rng, FACTS[name].answers, **CODE), FACTS[name].short, "moegate") for name, users in held.MOEGATE.items() for user in users]
    made += of_table(rng, held.CAPITAL, ["The capital of {x} is {y}.", "{y} is the capital of {x}."], world.CAPITALS, 24)
    made += of_table(rng, held.COLOUR, ["{x} is {y}.", "The colour of {x} is {y}."], world.COLOURS, 8)
    made += of_table(rng, held.OPPOSITE, "The opposite of {x} is {y}.", world.OPPOSITES, 12)
    made += of_table(rng, held.PLURAL, "The plural of {x} is {y}.", world.PLURALS, 8)
    made += of_table(rng, held.YOUNG, ["A baby {x} is called {b}.", "A young {x} is {b}."], world.YOUNG, 6)
    made += of_table(rng, held.DAY, ["{y} comes after {x}.", "The day after {x} is {y}."], dict(zip(world.DAYS, world.DAYS[1:] + world.DAYS[
        :1])), 6)
    made += arithmetic_turns(rng)
    for topic in rng.sample(sorted(world.LISTS), 8):
        words = world.LISTS[topic].split()[:3]
        made.append(Turn(say(rng, held.LIST, t=topic), f"Three {topic} are {words[0]}, {words[1]} and {words[2]}.", None, "lists"))
    made += [Turn(say(rng, held.SPELL, x=word), "-".join(word.upper()) + ".", None, "text tasks") for word in rng.sample(world.SPELL, 6)]
    pairs = [*smalltalk.GREETINGS, *smalltalk.MANNERS, *smalltalk.MOODS, *smalltalk.SELF]
    for short, users in held.CHAT.items():
        answer = next(pair[1] for pair in pairs if pair[2] == short)
        made += [Turn(user, say(rng, answer), short, "small talk") for user in users]
    made += [Turn(user, pick(rng, smalltalk.JOKES), None, "small talk") for user in held.JOKE]
    for kind, users in held.UNKNOWN.items():
        for user in users:
            answer = " ".join(say(rng, unknown.ABOUT[kind] if kind else unknown.REFUSALS).split()).replace(" .", ".")
            made.append(Turn(user, answer, "I don't know.", "unknown"))
    return made


def conversations() -> list[list[dict]]:
    rng = Random(SEED)
    every = turns(rng)
    rng.shuffle(every)
    singles = [messages_of(None, [turn]) for turn in every]
    others = []
    while len(singles) + len(others) < CONVERSATIONS:
        if rng.random() < 0.5:
            kind = pick(rng, [personas.tone, personas.ending, personas.plain, personas.short])
            system, told = kind(rng, [pick(rng, [turn for turn in every if turn.short])])
            others.append(messages_of(system, told))
        else:
            others.append(messages_of(None, rng.sample(every, rng.randrange(2, 5))))
    return (singles + others)[:CONVERSATIONS]


def main():
    lines = [json.dumps(conversation, ensure_ascii=False) + "\n" for conversation in conversations()]
    (FOLDER / "heldout.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
