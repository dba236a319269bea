"""Small tasks on text: spelling, letters, repeating, rhymes and lists."""

from random import Random

from . import world
from .asking import asked, dressed
from .phrases import Turn, capital, joined, pick, say

ECHO = ["hello world", "good morning", "the sky is blue", "I like apples", "the gate is open", "all is well", "one two three",
    "the cat sleeps", "we are friends", "the tea is hot", "green grass", "a red house", "I am here", "the sun is warm", "good night moon",
    "bread and butter", "the key is lost", "keep calm", "the train is late", "we love music", "my dog barks", "snow is white",
    "time is money", "the river is deep", "let us begin", "open the window", "the router decides", "the stream ends", "tokens are cheap",
    "yes we can"]
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5}


def spell(rng):
    w = pick(rng, world.SPELL)
    letters = "-".join(w.upper())
    return Turn(asked(rng, ["[Spell|Please spell|Can you spell|Could you spell] [the word |]{w}", "How do you spell [the word |]{w}",
        "How is {w} spelled", "{tell} how to spell {w}", "What is the spelling of {w}"], w=w), say(rng, ["{l}.", "{W} is spelled {l}.",
        "It is spelled {l}."], l=letters, W=capital(w)), letters + ".", "text tasks")


def letter(rng):
    w = pick(rng, world.SPELL)
    place, z = pick(rng, [("first", w[0]), ("last", w[-1]), ("first", w[0]), ("last", w[-1])])
    extra = ["With which letter does {w} begin", "[Which|What] letter does {w} [start|begin] with"] if place == "first" else [
        "With which letter does {w} end", "[Which|What] letter does {w} end with"]
    return Turn(asked(rng, ["[What is|What's] the {p} letter of [the word |]{w}", "{tell} the {p} letter of {w}",
        "[Name|Give me] the {p} letter of {w}.", "[Which|What] is the {p} letter in {w}", *extra], w=w, p=place), say(rng, [
        "The {p} letter of {w} is {z}.", "It is {z}."], p=place, w=w, z=z.upper()), z.upper() + ".", "text tasks")


def length(rng):
    w = pick(rng, [word for word in world.SPELL if len(word) <= 6])
    n = ["", "", "two", "three", "four", "five", "six"][len(w)]
    return Turn(asked(rng, ["How many letters [does {w} have|has {w}|are in {w}|are there in the word {w}]",
        "{tell} how many letters {w} has", "Count the letters of {w}."], w=w), say(rng, ["{W} has {n} letters.", "It has {n} letters."], W=capital(
        w), n=n), capital(n) + ".", "text tasks")


def echo(rng):
    text = pick(rng, ECHO) if rng.random() < 0.5 else " ".join(rng.sample(world.SPELL, rng.randrange(1, 5)))
    user = say(rng, [
        "[Repeat after me|Please repeat after me|Say after me|Repeat this|Say this|Please repeat|Say|Repeat|Please say|Echo this|Write "
        "this]: {t}", "[Say|Repeat|Write|Please say] \"{t}\"", "Can you [say|repeat|write] \"{t}\"?",
        "[Say|Repeat] the words \"{t}\"[.|, please.]"], t=text)
    return Turn(dressed(rng, user, exact=True) if user[-1] in "?." else user, capital(text) + ".", None, "text tasks")


def rhyme(rng):
    group = pick(rng, world.RHYMES)
    w = pick(rng, group)
    z = group[0] if w != group[0] else group[1]
    return Turn(asked(rng, ["[What|Which word] rhymes with {w}", "{give} a rhyme for {w}", "{tell} a word that rhymes with {w}",
        "Find a rhyme for {w}.", "[Name|Say] a word that rhymes with {w}.", "What is a rhyme for {w}"], w=w), say(rng, [
        "{Z} rhymes with {w}.", "A rhyme for {w} is {z}."], z=z, Z=capital(z), w=w), capital(z) + ".", "text tasks")


def listing(rng):
    topic = pick(rng, list(world.LISTS))
    words = world.LISTS[topic].split()
    name = pick(rng, [n for n, count in NUMBERS.items() if count <= len(words)])
    count = NUMBERS[name]
    start = int(rng.random() * min(3, len(words) - count + 1))
    chosen = words[start : start + count]
    user = asked(rng, ["[Name|List|Tell me|Give me|Write|Say] {n} {t}.", "{give} {n} {t}[.|, please.]",
        "Can you [name|list|tell me|think of] {n} {t}", "[I need|I want|I'd like] {n} {t}.", "What are {n} {t} [that you know|]",
        "[Name|List] {n} [different |]{t}, please.", "Do you know {n} {t}", "Which {n} {t} can you name",
        "[Make|Write] a list of {n} {t}."], n=name if rng.random() < 0.7 else count, t=topic)
    if rng.random() < 0.3 or "list of" in user.lower():
        answer = f"{capital(name)} {topic}:\n\n" + "\n".join(f"- {capital(word)}" for word in chosen)
    else:
        answer = say(rng, ["{L}.", "{N} {t} are {l}.", "Here are {n} {t}: {l}."], L=capital(joined(chosen)), l=joined(chosen), n=name, N=capital(
            name), t=topic)
    return Turn(user, answer, capital(joined(chosen)) + ".", "lists")


def member(rng):
    topic = pick(rng, [t for t in world.LISTS if t not in ("farm animals", "sea animals", "pets", "weekdays")])
    one = {"countries": "country", "cities": "city", "days": "day", "clothes": "piece of clothing"}.get(topic, topic[:-1])
    w = world.LISTS[topic].split()[int(rng.random() * min(4, len(world.LISTS[topic].split())))]
    article = "an" if one[0] in "aeiou" else "a"
    return Turn(asked(rng, ["{give} {a} {o}[.|, please.]", "[Name|Tell me|Say|Think of] {a} {o}.",
        "Can you [name|think of|tell me] {a} {o}", "What is {a} {o}, for example", "{give} an example of {a} {o}"], a=article, o=one), say(
        rng, ["{w} is {a} {o}.", "For example: {x}.", "How about {x}?"], w=capital(w), x=w, a=article, o=one), capital(w) + ".", "lists")


def whole(rng):
    names, user = pick(rng, [(world.DAYS, "days of the week"), (world.MONTHS, "months of the year"), (world.PLANETS, "planets"), (world.SEASONS,
        "seasons")])
    question = asked(rng, ["[Name|List|Tell me|Say|Write] [all |]the {t}.", "What are the {t}", "[Which|What] {t} are there",
        "Can you [name|list] the {t}"], t=user)
    return Turn(question, say(rng, ["The {t} are {l}.", "{L}."], t=user, l=joined(names), L=capital(joined(names))), capital(joined(names)) + ".",
        "lists")


def list_turn(rng: Random) -> Turn:
    return rng.choices([listing, member, whole], [6, 2, 1])[0](rng)


def task_turn(rng: Random) -> Turn:
    return rng.choices([spell, letter, length, echo, rhyme], [2, 1.5, 1, 3, 1.5])[0](rng)
