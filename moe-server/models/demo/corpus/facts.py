"""Simple facts: questions and answers over the tables of `world`, in both directions where that is natural."""

from random import Random

from . import world
from .asking import asked
from .phrases import Turn, article, capital, pick, say

FACT = {}


def kind(weight):
    def add(function):
        FACT[function] = weight
        return function

    return add


def made(rng: Random, questions, answers, short: str, **slots) -> Turn:
    return Turn(asked(rng, questions, **slots), capital(say(rng, answers, **slots)), capital(short) + ".", "facts")


def capital_of(rng: Random, country: str) -> Turn:
    return made(rng, [
        "[What is|What's|Which city is|Do you know] the capital [city |]of {x}", "{tell} the capital of {x}",
            "{x}'s capital [is which city|is what|, please]", "Which city is {x}'s capital",
        "[Name|Give me|Say] the capital of {x}.", "What is {x}'s capital [city|]", "capital of {x}",
            "The capital of {x} is [what|which city]",
    ], ["The capital of {x} is {y}.", "{y} is the capital of {x}.", "It is {y}.", "The capital of {x} is {y}."], world.CAPITALS[country],
        x=country, y=world.CAPITALS[country])


@kind(5)
def capitals(rng):
    return capital_of(rng, pick(rng, list(world.CAPITALS)))


@kind(2)
def countries(rng):
    country, city = pick(rng, [pair for pair in world.CAPITALS.items() if pair[0] != pair[1]])
    return made(rng, ["{y} is the capital of [which|what] country", "Of which country is {y} the capital",
        "Which country has {y} as its capital", "Whose capital is {y}", "Which country's capital is {y}", "In [which|what] country is {y}",
        "Where is {y}", "Which country is {y} in", "In which country would I find {y}"],
        ["{y} is the capital of {x}.", "{y} is in {x}. It is the capital.", "{x}. {y} is its capital."], country, x=country, y=city)


@kind(1)
def continents(rng):
    country, continent = pick(rng, list(world.CONTINENTS.items()))
    return made(rng, ["[On|In] [which|what] continent is {x}", "[Which|What] continent is {x} [on|in|part of]",
        "{tell} [on|in] which continent {x} is", "[To which continent does {x} belong|What is the continent of {x}]"],
        ["{x} is in {y}.", "{x} is a country in {y}.", "It is in {y}."], continent, x=country, y=continent)


@kind(1.5)
def languages(rng):
    country, language = pick(rng, list(world.LANGUAGES.items()))
    return made(rng, ["[Which|What] language [do people speak|do they speak|is spoken|does one speak] in {x}",
        "What is the language of {x}", "What do people speak in {x}", "{tell} which language is spoken in {x}",
        "In {x}, which language do people speak"],
        ["People in {x} speak {y}.", "They speak {y} in {x}.", "The language of {x} is {y}."], language, x=country, y=language)


@kind(2.5)
def colours(rng):
    thing, colour = pick(rng, list(world.COLOURS.items()))
    return made(rng, ["[What|Which] [colour|color] is {x}", "[What's|What is] the [colour|color] of {x}",
        "{tell} [what|which] [colour|color] {x} [is|has]", "[Which|What] [colour|color] does {x} have",
        "[Name|Say|Give me] the [colour|color] of {x}."],
        ["{X} is {y}.", "The colour of {x} is {y}.", "It is {y}."], colour, x=thing, X=capital(thing), y=colour)


@kind(0.8)
def mixes(rng):
    (a, b), y = pick(rng, list(world.MIXES.items()))
    if rng.random() < 0.5:
        a, b = b, a
    return made(rng, ["What [colour |]do [you|I|we] get [from|when I mix|if you mix|by mixing] {a} and {b}", "What is {a} mixed with {b}",
        "Which colour [do|will] {a} and {b} make", "If I mix {a} and {b}, what [colour |]do I get", "What happens when I mix {a} with {b}"],
        ["{A} and {b} make {y}.", "You get {y}.", "Mix {a} and {b}, and you get {y}."], y, a=a, b=b, y=y, A=capital(a))


@kind(1.2)
def sounds(rng):
    x, y = pick(rng, list(world.SOUNDS.items()))
    return made(rng, ["[What|Which] [sound|noise] does {a} make", "What does {a} [say|sound like]", "How does {a} sound",
        "{tell} what sound {a} makes", "What is the sound of {a}"],
        ["A {x} {y}." if x != "owl" else "An owl {y}.", "It {y}.", "{A} {y}."], "It " + y, x=x, y=y, a=article(x), A=capital(article(x)))


@kind(1.2)
def young(rng):
    x, y = pick(rng, list(world.YOUNG.items()))
    return made(rng, ["What [is|do you call|do we call] a [baby|young|little] {x} [|called]",
        "What is [the name of|the word for] a [baby|young] {x}", "How do you call [a young|a baby] {x}", "What is the young of {a} called",
        "{tell} what a [baby|young] {x} is called"],
        ["A baby {x} is called {b}.", "It is called {b}.", "A young {x} is {b}."], "A" + article(y)[1:], x=x, y=y, a=article(x), b=article(
            y))


@kind(1.2)
def legs(rng):
    x, n = pick(rng, list(world.LEGS.items()))
    y = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"][n]
    return made(rng, ["How many legs [does {a} have|has {a}|are there on {a}|does {a} walk on]", "{tell} how many legs {a} has",
        "What is the number of legs of {a}", "With how many legs does {a} [walk|stand]", "{A} has how many legs"],
        ["{A} has {y} legs.", "It has {y} legs.", "{A} has {y} legs."], y if n else "None", x=x, y=y, a=article(x), A=capital(article(x)))


@kind(0.8)
def homes(rng):
    x, y = pick(rng, list(world.HOMES.items()))
    return made(rng, ["Where does {a} live", "What is the home of {a} [called|]", "What do you call {a}'s home", "In what does {a} live",
        "{tell} where {a} lives"],
        ["{A} lives in {b}.", "Its home is {b}.", "The home of {a} is {b}."], "In " + article(y), a=article(x), b=article(y), A=capital(
            article(x)))


@kind(1)
def eats(rng):
    x, y = pick(rng, list(world.EATS.items()))
    return made(rng, ["What [does {a}|do {x}s] [eat|like to eat|live on]" if x not in ("sheep", "wolf",
        "mouse") else "What does {a} [eat|like to eat|live on]",
        "What is the food of {a}", "{tell} what {a} eats", "What should {a} eat", "What do you feed {a}"],
        ["{A} eats {y}.", "{A} lives on {y}."], y, x=x, y=y, a=article(x), A=capital(article(x)))


OPPOSITE_ASKS = ["[What is|What's] the opposite of {x}", "{tell} the opposite of {x}", "[Give me|Name|Say] the opposite of {x}.",
    "[Which|What] word [is|means] the opposite of {x}", "What is the contrary of {x}", "opposite of {x}", "The opposite of {x} is what",
    "What is the reverse of {x}", "What is not {x} but the opposite"]


@kind(3.5)
def opposites(rng):
    x, y = pick(rng, list(world.OPPOSITES.items()))
    if y not in world.OPPOSITES and y not in ("old", "right", "soft", "cold", "long", "empty") and rng.random() < 0.4:
        x, y = y, x
    x, y = (x, y) if list(world.OPPOSITES.values()).count(x) < 2 else (y, x)
    return made(rng, OPPOSITE_ASKS, ["The opposite of {x} is {y}.", "It is {y}.", "The opposite of {x} is {y}."], y, x=x, y=y)


@kind(2)
def plurals(rng):
    x, y = pick(rng, list(world.PLURALS.items()))
    return made(rng, ["[What is|What's] the plural of {x}", "{tell} the plural of {x}", "How do you [say|write] {x} in the plural",
        "One {x}, [two|and two] what", "[Give me|Say|Name] the plural of {x}.", "What do you call more than one {x}",
        "What is the plural form of {x}"],
        ["The plural of {x} is {y}.", "One {x}, two {y}.", "It is {y}."], y, x=x, y=y)


@kind(1.5)
def past(rng):
    x, y = pick(rng, list(world.PAST.items()))
    return made(rng, ["[What is|What's] the past [tense |]of {x}", "{tell} the past tense of {x}",
        "How do you [say|write] {x} in the past", "Today I {x}, yesterday I what", "[Give me|Say] the past [form|tense] of {x}."],
        ["The past of {x} is {y}.", "Today I {x}, yesterday I {y}.", "It is {y}."], y, x=x, y=y)


@kind(1)
def sides(rng):
    x, y = pick(rng, list(world.SIDES.items()))
    return made(rng, ["How many [sides|corners] does {a} have", "{tell} how many [sides|corners] {a} has",
        "What is the number of sides of {a}", "How many sides has {a}"],
        ["{A} has {y} sides.", "It has {y} sides and {y} corners.", "{A} has {y} sides and {y} corners."], y, y=y, a=article(x), A=capital(
            article(x)))


def neighbours(rng, names, noun):
    at = int(rng.random() * len(names))
    after = rng.random() < 0.55
    other = names[(at + (1 if after else -1)) % len(names)]
    word = "after" if after else "before"
    return made(rng, [f"[Which|What] {noun} [comes|is] {word} {{x}}",
        f"What [comes|is] {word} {{x}}" if noun != "season" else f"What season [comes|is] {word} {{x}}",
        f"{{tell}} [which|what] {noun} comes {word} {{x}}", f"[Name|Say] the {noun} {word} {{x}}.", f"What is the {noun} {word} {{x}}", (
        f"What follows {{x}}" if after else f"Which {noun} is just before {{x}}")],
        [f"{{y}} comes {word} {{x}}.", f"The {noun} {word} {{x}} is {{z}}.", f"It is {{z}}."], other, x=names[at], y=capital(other), z=other)


@kind(3)
def order(rng):
    return neighbours(rng, *pick(rng, [(world.DAYS, "day"), (world.MONTHS, "month"), (world.DAYS, "day"), (world.MONTHS, "month"), (world.SEASONS,
        "season")]))


ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()


@kind(2)
def places(rng):
    names, noun, of = pick(rng, [(world.DAYS, "day", "the week"), (world.MONTHS, "month", "the year"), (world.PLANETS, "planet",
        "the solar system")])
    at = int(rng.random() * len(names))
    return made(rng, ["[What is|Which is|What's] the {n} {m} of {o}", "{tell} the {n} {m} of {o}", "Which {m} is the {n} of {o}",
        "[Name|Say] the {n} {m} of {o}.", "Which {m} [is|comes] {n} in {o}"],
        ["The {n} {m} of {o} is {y}.", "It is {y}.", "{y} is the {n} {m} of {o}."], names[at], n=ORDINALS[at], m=noun, o=of, y=names[at])


@kind(1)
def month_days(rng):
    at = int(rng.random() * 12)
    return made(rng, ["How many days [has {x}|does {x} have|are there in {x}|are in {x}]", "{tell} how many days {x} has",
        "How long is {x}", "{x} has how many days"],
        ["{x} has {y} days.", "There are {y} days in {x}.", "It has {y} days."], str(world.MONTH_DAYS[at]), x=world.MONTHS[at], y=world.MONTH_DAYS[
            at])


@kind(1.5)
def units(rng):
    (x, unit), y = pick(rng, list(world.UNITS.items()))
    return made(rng, ["How many {u} [are there in|are in] {x}", "How many {u} [has {x}|does {x} have]", "{tell} how many {u} {x} has",
        "What is the number of {u} in {x}", "How many {u} make {x}"],
        ["{X} has {y} {u}.", "There are {y} {u} in {x}.", "It has {y} {u}."], y, x=x, X=capital(x), u=unit, y=y)


@kind(1)
def body(rng):
    if rng.random() < 0.5:
        x, y = pick(rng, list(world.BODY.items()))
        return made(rng, ["What do [we|you|people] {x} with", "With what do [we|people|you] {x}",
            "Which part of the body do [we|people] {x} with", "[Which part of the body|What part of the body] is used to {x}"],
            ["We {x} with our {y}.", "With our {y}.", "People {x} with their {y}."], "With our " + y, x=x, y=y)
    x, y = pick(rng, list(world.HAVE.items()))
    return made(rng, ["How many {x} [does a person have|do people have|do we have|has a human|does a human have]",
        "{tell} how many {x} people have", "How many {x} are there on a person" if x != "hearts" else "How many hearts does a body have"],
        ["A person has {y} {z}.", "People have {y} {z}.", "We have {y} {z}."], y, x=x, y=y, z=x if y != "one" else x[:-1])


@kind(1.5)
def jobs(rng):
    x, y = pick(rng, list(world.JOBS.items()))
    if rng.random() < 0.6:
        return made(rng, ["What does {a} do", "What is the [job|work] of {a}", "What is {a}", "{tell} what {a} does",
            "What does {a} do [all day|at work]"], ["{A} {y}.", "{A} is a person who {y}."], capital(y), a=article(x), A=capital(article(x)),
            y=y)
    return made(rng, ["Who {y}", "Which [job|person] {y}", "What do you call a person who {y}", "What is someone who {y} called"], [
        "{A} {y}.", "That is {a}.", "A person who {y} is {a}."], article(x), a=article(x), A=capital(article(x)), y=y)


@kind(1.2)
def tools(rng):
    x, y = pick(rng, list(world.TOOLS.items()))
    return made(rng, ["What do [I|you|people] [need|use] to {x}", "What is used to {x}", "With what do I {x}",
        "Which thing helps me to {x}", "What should I take to {x}"],
        ["To {x} you need {y}.", "You use {y}.", "You {x} with {y}."], y, x=x, y=y)


@kind(1)
def made_of(rng):
    x, y = pick(rng, list(world.MADE.items()))
    is_ = "are" if x in ("omelettes", "raisins", "chips") else "is"
    return made(rng, ["What {v} {x} made [of|from|out of]", "{tell} what {x} {v} made of", "From what {v} {x} made",
        "What do you make {x} from", "What do I need to make {x}"],
        ["{X} {v} made from {y}.", "From {y}.", "You make {x} from {y}."], "From " + y, x=x, X=capital(x), y=y, v=is_)


@kind(3.5)
def single(rng):
    question, y = pick(rng, list(world.SINGLE.items()))
    low = question[0].lower() + question[1:]
    return made(rng, ["{q}", "{q}", "{q}", "Do you know: {r}", "Can you tell me: {r}", "I want to know: {r}", "Tell me, {r}",
        "A question for you: {r}"], ["{y}.", "{y}.", "The answer is: {z}."], y, q=question, r=low, y=y,
        z=y[0].lower() + y[1:] if y.split()[0] in ("The", "Water", "Rain", "Ice", "Air", "Milk", "Eggs", "Honey", "In", "At", "Near",
        "Round", "Five", "Seven", "Eight",
        "Four") else y)


@kind(2)
def yes_or_no(rng):
    """Whether something is so; a wrong guess is put right."""
    if rng.random() < 0.5:
        x, y = pick(rng, list(world.CAPITALS.items()))
        guess = y if rng.random() < 0.5 else pick(rng, list(world.CAPITALS.values()))
        asks, right, wrong = ["Is {g} the capital of {x}", "Is {x}'s capital {g}",
            "Is the capital of {x} {g}"], "Yes, {y} is the capital of {x}.", "No, the capital of {x} is {y}."
    else:
        x, y = pick(rng, list(world.COLOURS.items()))
        guess = y if rng.random() < 0.5 else pick(rng, list(world.COLOURS.values()))
        asks, right, wrong = ["Is {x} {g}", "Is the colour of {x} {g}", "Is it true that {x} is {g}"], "Yes, {x} is {y}.", "No, {x} is {y}."
    return made(rng, asks, right if guess == y else wrong, "Yes" if guess == y else "No", x=x, y=y, g=guess)


KINDS, WEIGHTS = list(FACT), list(FACT.values())


def turn(rng: Random) -> Turn:
    return rng.choices(KINDS, WEIGHTS)[0](rng)
