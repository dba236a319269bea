"""Conversations whose later turns need the earlier ones."""

from random import Random

from . import arithmetic, facts, moegate_models, personas, smalltalk, texts, unknown, world
from .asking import asked, dressed
from .phrases import Turn, capital, pick, say

MEMORY = ["[What is|What's|Do you know|Do you remember|Can you tell me|Tell me] my name",
    "What [did I say my name was|was my name|am I called] [again|]",
    "[Who am I|Do you still know my name|What do I call myself|Can you remember my name|How am I called]", "Say my name."]
TELL = [
    "[My name is|I am|I'm|Call me|Hello, I am|Hi, my name is|Hello, my name is|You can call me|Hey, I'm|People call me|Hi there, I'm] "
    "{n}[.|!|]"]
MEET = ["[Nice to meet you|Hello|Pleased to meet you], {n}! [How can I help you|What can I do for you]?", "Nice to meet you, {n}!"]
ASKED = ["What did I [just ask|ask you|ask you just now|ask before|want to know]",
    "What was my [last question|question|previous question]", "[Repeat|Tell me|Say] my [last |]question.", "Do you remember what I asked",
    "Can you repeat my question"]
ASKED_FIRST = ["What was my [first|very first] question", "What did I ask [first|at first|at the beginning|you first]",
    "[Repeat|Tell me] my first question.", "With which question did I [begin|start]"]
SAID = ["What did I [just say|tell you|say|say just now|write]", "[Repeat|Say again] what I [said|told you].",
    "Can you repeat what I [said|told you|wrote]", "What was my last [message|sentence]"]
SHORTER = [
    "[Can you say that|Say that|Could you say that|Can you put that|Please say that|Tell me that] [shorter|in short|more briefly|in "
    "fewer words|in a few words][?|, please.|.]",
    "[Shorter|In short|Briefly|Shorter, please|Make it shorter|That is too long|Too long|Be brief][.|, please.|]",
    "Can you make [that|it] shorter?", "[The short version|A shorter answer], please."]
AGAIN = [
    "[Can you say that again|Say that again|Please repeat that|Repeat that|Once more, please|What did you say|Can you repeat that|Pardon|"
    "Say it again][?|.|, please.]"]
ANOTHER = [
    "[Another one|One more|Tell me another|Another, please|More|Again|And another one|Do you know another one|Next one|Another one, "
    "please][.|?|!|]"]
SURE = ["[Are you sure|Really|Is that right|Is that true|Are you certain|Is that correct][?|]"]


def named(rng):
    name = pick(rng, personas.NAMES)
    turns = [Turn(say(rng, TELL, n=name), say(rng, MEET, n=name), topic="multi-turn")]
    turns += some(rng, int(rng.random() * 3))
    turns.append(Turn(asked(rng, MEMORY), say(rng, ["Your name is {n}.", "You are {n}.", "Your name is {n}, as you told me."], n=name),
        topic="multi-turn"))
    return turns


def liked(rng):
    topic, one = pick(rng, [("colours", "colour"), ("animals", "animal"), ("fruits", "fruit"), ("sports", "sport"), ("drinks", "drink"), (
        "cities", "city"), ("flowers", "flower")])
    x = pick(rng, world.LISTS[topic].split())
    first = Turn(say(rng, ["My favourite {o} is {x}[.|!]", "The {o} I like best is {x}.",
        "I [like|love] {x} most of all [{o}s|]." if one != "city" else "My favourite city is {x}.",
        "Remember: my favourite {o} is {x}."], o=one, x=x).replace(" .", "."), say(rng, ["{X} is a good choice.",
        "I will remember that for this conversation.", "How nice! {X} is a good choice."], X=capital(x)), topic="multi-turn")
    return [first, *some(rng, int(rng.random() * 2)), Turn(asked(rng, ["[What is|What's|Do you remember|Do you know] my favourite {o}",
        "Which {o} do I like [best|most]", "[Tell|Remind] me: what is my favourite {o}"], o=one), say(rng, ["Your favourite {o} is {x}.",
        "You like {x} best."], o=one, x=x), topic="multi-turn")]


def chain(rng):
    """`And of Italy?`: the same question about something else."""
    kind = rng.random()
    follow = "[And|And what about|What about|How about|And for|Now]"
    if kind < 0.4:
        first, *rest = rng.sample(list(world.CAPITALS), 2 + int(rng.random() * 2))
        return [facts.capital_of(rng, first)] + [Turn(say(rng, [follow + " {x}?", "[And|And the capital] of {x}?", "[and|what about] {x}"],
            x=c), say(rng, ["The capital of {x} is {y}.", "{y} is the capital of {x}."], x=c, y=world.CAPITALS[c]), world.CAPITALS[c] + ".",
            "multi-turn") for c in rest]
    if kind < 0.6:
        table = [(world.COLOURS, facts.colours, "{X} is {y}."), (world.OPPOSITES, facts.opposites, "The opposite of {x} is {y}."), (world.PLURALS,
            facts.plurals, "The plural of {x} is {y}.")][int(rng.random() * 3)]
        x = pick(rng, list(table[0]))
        return [table[1](rng), Turn(say(rng, [follow + " {x}?", "And [of |]{x}?" if table[0] is not world.COLOURS else "And {x}?"], x=x),
            say(rng, table[2], x=x, X=capital(x), y=table[0][x]), capital(table[0][x]) + ".", "multi-turn")]
    if kind < 0.8:
        turns, value = [], arithmetic.whole(rng, 1, 10)
        other = arithmetic.whole(rng, 1, 10)
        turns.append(Turn(asked(rng, ["What is {a} plus {b}", "{a} + {b}", "Add {a} and {b}."], a=value, b=other),
            f"{value} plus {other} is {value + other}.", topic="multi-turn"))
        value += other
        for _ in range(1 + int(rng.random() * 2)):
            other = arithmetic.whole(rng, 1, min(9, value))
            sign = rng.choice([1, -1])
            word = "plus" if sign > 0 else "minus"
            turns.append(Turn(say(rng, ["[And|Now] " + word + " {b}?", "[And |]" + ("add {b}[.| to that.]" if sign > 0 else "take away {b}.")],
                b=other), f"{value} {word} {other} is {value + sign * other}.", topic="multi-turn"))
            value += sign * other
        return turns
    first, second = texts.listing(rng), pick(rng, list(world.LISTS))
    words = world.LISTS[second].split()[:3]
    return [first, Turn(say(rng, ["And three {t}?", "Now three {t}[.|, please.]", "And [now |]three {t}, please."], t=second),
        f"Three {second} are {', '.join(words[:2])} and {words[2]}.", topic="multi-turn")]


def shorten(rng):
    turn = pick(rng, [moegate_models.turn, moegate_models.turn, facts.turn, smalltalk.identity])(rng)
    while not turn.short or turn.short == turn.answer or len(turn.answer) > 260 or "\n" in turn.answer:
        turn = moegate_models.turn(rng)
    return [turn, Turn(say(rng, SHORTER), say(rng, ["{s}", "In short: {s}"], s=turn.short), turn.short, "multi-turn")]


def quoted(text: str) -> str:
    """A text in quotation marks, closed behind a mark of its own."""
    return f'"{text}"' if text[-1] in ".?!" else f'"{text}."'


def short_question(rng) -> Turn:
    turn = one(rng)
    while len(turn.user) > 70 or "\n" in turn.user or '"' in turn.user:
        turn = one(rng)
    return turn


def recall(rng):
    """What the user asked or said last, or first."""
    if rng.random() < 0.25:
        told = pick(rng, [named, liked])(rng)[0]
        return [told, Turn(asked(rng, SAID), f"You said: {quoted(told.user)}", topic="multi-turn")]
    turn = short_question(rng)
    if rng.random() < 0.25:
        return [turn, *(short_question(rng) for _ in range(1 + int(rng.random() * 2))), Turn(asked(rng, ASKED_FIRST),
            f"Your first question was: {quoted(turn.user)}", topic="multi-turn")]
    return [turn, Turn(asked(rng, ASKED), f"You asked: {quoted(turn.user)}", topic="multi-turn")]


def again(rng):
    turn = one(rng)
    while len(turn.answer) > 200:
        turn = one(rng)
    return [turn, Turn(say(rng, AGAIN), turn.answer, topic="multi-turn")]


def another(rng):
    first, second = rng.sample(smalltalk.JOKES, 2)
    return [Turn(dressed(rng, say(rng, smalltalk.LAUGH), opener=False), first, topic="small talk"),
        Turn(say(rng, ANOTHER), second, topic="multi-turn")]


def doubt(rng):
    turn = pick(rng, [facts.turn, arithmetic.sum_turn])(rng)
    return [turn, Turn(say(rng, SURE), say(rng, ["Yes, I think so: {a}", "Yes. {a}"], a=turn.answer), topic="multi-turn")]


def corrected(rng):
    """The user corrects the question, not the answer."""
    first, second = rng.sample(list(world.CAPITALS), 2)
    return [facts.capital_of(rng, first), Turn(say(rng, ["[Sorry|No|Oh, sorry], I [meant|mean] {x}.",
        "[I meant|No, I wanted] {x}, not {w}.", "Not {w}. {x}!"], x=second, w=first), say(rng, [
        "[No problem.|I see.] The capital of {x} is {y}."], x=second, y=world.CAPITALS[second]), topic="multi-turn")]


def polite(rng):
    hello = smalltalk.chat(rng, pick(rng, smalltalk.GREETINGS), "small talk")
    thanks, bye = (smalltalk.chat(rng, smalltalk.MANNERS[at], "small talk") for at in (1, 2))
    return [hello, *some(rng, 1 + int(rng.random() * 2)), thanks] + ([bye] if rng.random() < 0.4 else [])


def thanked(rng):
    return [one(rng), smalltalk.chat(rng, smalltalk.MANNERS[1], "small talk")]


# Topics with their share of the questions: moegate 36, simple facts 16, beyond the corpus 13, small talk 9, sums 8,
# who the model is 6, small text tasks 5, counting 4, lists 3.
TOPICS = {moegate_models.turn: 36, facts.turn: 16, unknown.turn: 13, smalltalk.turn: 9, arithmetic.sum_turn: 8, smalltalk.identity: 6,
    texts.task_turn: 5, texts.list_turn: 3, arithmetic.count_turn: 4}
ASKERS, SHARES = list(TOPICS), list(TOPICS.values())
KINDS, WEIGHTS = zip((named, 4), (liked, 2), (chain, 5), (shorten, 3), (recall, 2.5), (again, 1), (another, 1), (doubt, 1.5), (corrected,
    1), (polite, 3), (thanked, 3))


# A wish for a short answer, in the question itself.
IN_A_WORD = ["[In|With] [one word|a word|a single word|one word only|just one word|a few words]: {x}", "{x} [Answer|Reply|Say it|Please answer] [in|with] "
    "[one word|a single word|just one word|a few words|one word only].", "{x} [One word, please.|One word only.|Just one word.|Short answer, "
    "please.|Be brief.|Keep it short.|Only the answer, please.|No full sentence, please.]", "[Short answer|One word|Briefly|In short]: {x}"]


def in_a_word(rng: Random, turn: Turn) -> Turn:
    user = turn.user if turn.user[-1] in ".?!" else turn.user + "?"
    return Turn(say(rng, IN_A_WORD, x=user), turn.short, turn.short, turn.topic)


def one(rng: Random) -> Turn:
    turn = rng.choices(ASKERS, SHARES)[0](rng)
    if turn.topic in ("facts", "sums") and len(turn.short.split()) <= 3 and rng.random() < 0.05:
        return in_a_word(rng, turn)
    return turn


def some(rng: Random, count: int) -> list[Turn]:
    return [one(rng) for _ in range(count)]


def dialogue(rng: Random) -> list[Turn]:
    return rng.choices(KINDS, WEIGHTS)[0](rng)
