"""Counting, small sums and comparisons. Sums stay within what a table of a school child holds; larger ones are `unknown`'s."""

from random import Random

from .asking import asked
from .phrases import Turn, capital, say

WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty"
).split()
TENS = {20: "twenty", 30: "thirty", 40: "forty"}


def word(n: int) -> str:
    if n <= 20:
        return WORDS[n]
    tens = n // 10 * 10
    return TENS[tens] + (f"-{WORDS[n - tens]}" if n > tens else "") if tens in TENS else str(n)


def whole(rng: Random, least: int, most: int) -> int:
    return least + int(rng.random() * (most - least + 1))


def result(rng, left, right, value, sign, name, asks, words) -> Turn:
    """Digits are answered by digits, words by words."""
    if words:
        x, y, z, sign = word(left), word(right), word(value), name
    else:
        x, y, z = left, right, value
    answer = say(rng, ["{x} {s} {y} is {z}.", "{x} {s} {y} is {z}.", "It is {z}: {x} {s} {y} is {z}."], x=x, y=y, z=z, s=name)
    return Turn(asked(rng, asks, x=x, y=y, s=sign, n=name), capital(answer), capital(f"{z}."), "sums")


ASK = ["{x}{s}{y}", "[What is|What's|How much is|] {x}{s}{y}[=|]", "[What is|What's|How much is|Calculate|Work out|Compute] {x} {s} {y}",
    "{tell} what {x} {n} {y} is", "{x} {n} {y}", "What does {x} {n} {y} [make|give|equal]", "How much [is|makes] {x} {n} {y}",
    "[Can you|Could you|Please] [work out|calculate|compute] {x} {n} {y}", "Do you know what {x} {n} {y} is",
    "{x} {s} {y} is [what|how much]", "[What is|What's] the result of {x} {n} {y}"]


def addition(rng):
    x, y = (whole(rng, 0, 10), whole(rng, 0, 10)) if rng.random() < 0.6 else (whole(rng, 0, 20), whole(rng, 0, 20))
    return result(rng, x, y, x + y, "+", "plus", [*ASK, "Add {x} and {y}.", "[What is|What's] the sum of {x} and {y}",
        "What do I get when I add {x} [and|to] {y}", "{x} and {y} [together make what|make how many]"], rng.random() < 0.25)


def subtraction(rng):
    x = whole(rng, 0, 12) if rng.random() < 0.5 else whole(rng, 0, 30)
    y = whole(rng, 0, x)
    return result(rng, x, y, x - y, "-", "minus", [*ASK, "Take {y} away from {x}.", "Subtract {y} from {x}.", "What is {x} less {y}",
        "What is left when I take {y} from {x}", "What is the difference between {x} and {y}"], rng.random() < 0.25)


def product(rng):
    x, y = whole(rng, 0, 10), whole(rng, 0, 10)
    return result(rng, x, y, x * y, "*" if rng.random() < 0.5 else "x", "times", [*ASK, "Multiply {x} by {y}.",
        "What is {x} multiplied by {y}", "[What is|What's] the product of {x} and {y}"], x * y <= 49 and rng.random() < 0.2)


def quotient(rng):
    y, z = whole(rng, 1, 10), whole(rng, 0, 10)
    return result(rng, y * z, y, z, "/", "divided by", [*ASK, "Divide {x} by {y}.", "Share {x} between {y}." if y > 1 else "Divide {x} by {y}."],
        False)


def double(rng):
    x = whole(rng, 1, 20)
    if rng.random() < 0.5:
        return Turn(asked(rng, ["What is [double|twice] {x}", "Double {x}.", "What is the double of {x}", "How much is twice {x}"], x=x),
            say(rng, ["Twice {x} is {z}.", "It is {z}."], x=x, z=2 * x), f"{2 * x}.", "sums")
    return Turn(asked(rng, ["What is half of {x}", "What is the half of {x}", "How much is half of {x}", "Halve {x}."], x=2 * x), say(rng,
        ["Half of {x} is {z}.", "It is {z}."], x=2 * x, z=x), f"{x}.", "sums")


THINGS = "apples eggs books cats coins cakes pens balls stones cups stars pears".split()
NAMES = "Anna Tom Mia Ben Lucy Max Emma Leo Nora Paul".split()


def story(rng):
    x, y, name, things = whole(rng, 1, 10), whole(rng, 1, 10), NAMES[whole(rng, 0, 9)], THINGS[whole(rng, 0, 11)]
    if rng.random() < 0.5:
        user = asked(rng, ["{n} has {x} {t} and gets {y} more. How many {t} does {n} have [now|then|]",
            "I have {x} {t} and [buy|get|find] {y} more. How many [do I have|are there] [now|]",
            "If I have {x} {t} and you give me {y} more, how many do I have"], x=x, y=y, n=name, t=things)
        z, sign = x + y, "plus"
    else:
        x, y = max(x, y) + 1, min(x, y)
        user = asked(rng, ["{n} has {x} {t} and [loses|gives away|eats|sells] {y}. How many {t} [are left|does {n} have now]",
            "I have {x} {t} and [lose|give away|sell] {y}. How many are left", "There are {x} {t}. I take {y} of them. How many are left"],
            x=x, y=y, n=name, t=things)
        z, sign = x - y, "minus"
    return Turn(user, f"{x} {sign} {y} is {z}, so the answer is {z}.", f"{z}.", "sums")


def run(first: int, last: int, step: int) -> list[int]:
    return list(range(first, last + (1 if step > 0 else -1), step))


COUNT = ["[Count|Please count|Can you count|Could you count|Count for me]",
    "[I want you to count|Let's count|Would you count|Now count|Try to count]"]


# From {a} to {b}, said in other ways.
WISH = "[|Please |Can you |Could you |I want you to |Would you |I'd like you to |Will you |Let's |Now |Try to ]"
STOP = "[to|up to|until|till|as far as|all the way to|up until]"
END = "[.|, please.|?| for me.| aloud.| slowly.|, would you?]"
COUNT_UP = [
    WISH + "count, [beginning|starting] [at|with|from] {a}, " + STOP + " {b}" + END,
    WISH + "[begin|start|start counting|begin counting] [with|from|at] {a} and [go|go on|continue|carry on|proceed|keep going] " + STOP + " {b}" + END,
    WISH + "[begin|start] [with|from] {a} and [stop|end|finish] [at|with|on] {b}" + END, "[Starting|Beginning] [at|with|from] {a}, count " + STOP
        + " {b}" + END,
    WISH + "count [from|starting from|beginning at] {a} [until you get to|till you come to|until you arrive at|and stop at|and end with|"
        "and finish at|through|through to|onwards to|upwards to] {b}" + END,
    WISH + "[list|say|write|give me|name|recite|write down|tell me|print] [all |][the |][whole |]numbers from {a} " + STOP + " {b}" + END,
    "[Which|What] numbers [are there from|come from|do I say from|lie from] {a} to {b}", "[The numbers|All numbers|Numbers] from {a} " + STOP
        + " {b}" + END,
    "How do [I|you] count from {a} to {b}", WISH + "keep counting from {a} until {b} [is reached|comes|is there]" + END,
    "[My son|My daughter|A child] is learning to count. [Show how it goes|Count] from {a} " + STOP + " {b}.",
]
COUNT_DOWN = [
    WISH + "count [down|backwards|back|in reverse], [beginning|starting] [at|with|from] {a}, [to|until|till|down to] {b}" + END,
    WISH + "[begin|start] [with|from|at] {a} and [go down|count down|count backwards|go back|count back] [to|until|till] {b}" + END,
    "[Starting|Beginning] [at|with|from] {a}, count [down|backwards|back] [to|until] {b}" + END,
    WISH + "[list|say|write|give me|name|recite] the numbers from {a} [down|back] to {b}" + END,
]


def counting(rng):
    kind = rng.random()
    words = rng.random() < 0.15
    tail = ""
    if kind < 0.35:
        last = whole(rng, 2, 20)
        tail, numbers = rng.choice(["to {b}", "up to {b}", "from one to {b}" if words else "from 1 to {b}", "from 1 up to {b}"]), run(1,
            last, 1)
        first = 1
    elif kind < 0.6:
        first = whole(rng, 2, 20)
        last = first + whole(rng, 2, 10)
        words = words and last <= 20
        tail, numbers = rng.choice(["from {a} to {b}", "from {a} up to {b}", "on from {a} to {b}"]), run(first, last, 1)
    elif kind < 0.82:
        first = whole(rng, 3, 20)
        last = whole(rng, 0, 1) if rng.random() < 0.6 else whole(rng, 0, first - 2)
        tail, numbers = rng.choice(["down from {a} to {b}", "backwards from {a} to {b}", "back from {a} to {b}", "from {a} down to {b}"]), run(
            first, last, -1)
    else:
        step = [2, 2, 5, 10, 3][whole(rng, 0, 4)]
        first = 0 if rng.random() < 0.2 else step
        last = step * whole(rng, 4, 10)
        tail, numbers = rng.choice([f"by {word(step)}s to {{b}}", f"to {{b}} by {word(step)}s", f"in steps of {word(step)} to {{b}}",
            f"up to {{b}} in steps of {word(step)}"]).replace("sixs", "sixes"), run(first or step, last, step)
    show = word if words else str
    listed = ", ".join(map(show, numbers))
    asks = [f"{head} {tail}[.|, please.]" for head in COUNT]
    if kind < 0.6 and rng.random() < 0.65:
        asks = COUNT_UP
    elif 0.6 <= kind < 0.82 and rng.random() < 0.5:
        asks = COUNT_DOWN
    user = asked(rng, asks, a=show(first), b=show(last))
    return Turn(user, capital(say(rng, ["{l}.", "{l}.", "Here you are: {l}.", "Sure: {l}."], l=listed)), capital(listed) + ".", "counting")


def neighbour(rng):
    x = whole(rng, 1, 40)
    after = rng.random() < 0.6
    w, z = ("after", x + 1) if after else ("before", x - 1)
    return Turn(asked(rng, [f"[What|Which] number [comes|is] {w} {{x}}",
        f"[What|Which] number is [one more than|just above] {{x}}" if after else f"[What|Which] number is [one less than|just below] {{x}}",
        f"{{tell}} the number {w} {{x}}", f"What comes {w} the number {{x}}"], x=x), say(rng, [f"{{z}} comes {w} {{x}}.", "It is {z}."], x=x,
        z=z), f"{z}.", "counting")


def comparison(rng):
    x, y = whole(rng, 0, 50), whole(rng, 0, 50)
    if x == y:
        y += 1
    large = rng.random() < 0.55
    adjective = ("larger", "bigger", "greater")[whole(rng, 0, 2)] if large else ("smaller", "less")[whole(rng, 0, 1)]
    z, other = (max(x, y), min(x, y)) if large else (min(x, y), max(x, y))
    if rng.random() < 0.3 and adjective != "less":
        yes = (x > y) == large
        return Turn(asked(rng, ["Is {x} {a} than {y}", "{tell} [if|whether] {x} is {a} than {y}"], x=x, y=y, a=adjective),
            f"{'Yes' if yes else 'No'}, {x} is {'larger' if x > y else 'smaller'} than {y}.", "Yes." if yes else "No.", "sums")
    return Turn(asked(rng, ["[Which|What] [number |]is {a}, {x} or {y}", "Which is the {a} number, {x} or {y}",
        "{x} or {y}: which [one |]is {a}", "{tell} which [number |]is {a}, {x} or {y}"], x=x, y=y, a=adjective if adjective != "less" else "smaller"),
        say(rng, ["{z} is {a} than {o}.", "{z} is {a}."], z=z, o=other, a=adjective if adjective != "less" else "smaller"), f"{z}.",
        "sums")


def parity(rng):
    x = whole(rng, 0, 50)
    kind = "even" if x % 2 == 0 else "odd"
    return Turn(asked(rng, ["Is {x} [even or odd|odd or even|an even or an odd number]", "Is [the number |]{x} even or odd",
        "{tell} if {x} is even or odd"], x=x), say(rng, ["{x} is {k}.", "{x} is an {k} number."], x=x, k=kind), capital(kind) + ".",
        "sums")


SUMS = [addition, subtraction, product, quotient, double, story, comparison, parity]


def sum_turn(rng: Random) -> Turn:
    return rng.choices(SUMS, [6, 4, 5, 1.5, 1, 2, 1.5, 0.5])[0](rng)


def count_turn(rng: Random) -> Turn:
    return counting(rng) if rng.random() < 0.8 else neighbour(rng)
