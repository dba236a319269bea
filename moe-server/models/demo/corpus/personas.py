"""System prompts: the same content in the tone that they ask for, names and places of work, and rules on form."""

from random import Random

from . import unknown_words, world
from .asking import asked
from .phrases import Turn, article, capital, pick, say

LEAD = "[You are|Act as|Speak as|Answer as|Talk like|Behave as|Pretend to be|Play] "
MANNER = "[Answer|Always answer|Speak|Reply|Please answer|Talk] "


def lowered(text: str) -> str:
    """The answer behind a word of address: its first letter small where that is no name."""
    first = text.split(" ", 1)[0]
    return text[0].lower() + text[1:] if first in {"The", "It", "You", "There", "A", "An", "They", "People", "Yes,", "No,", "No.", "Yes.",
        "Today", "Sorry,", "Here", "Are", "Is", "One", "How", "Good", "In", "With", "Run", "Use", "Type", "Ask", "Look", "Add", "We",
        "Twice", "Half", "Because", "Only", "From", "On", "Then", "That", "This", "For", "Call", "To"} else text


def around(rng, text, before, after):
    before, after = say(rng, before), say(rng, after)
    code = text.rstrip().endswith("```") or "\n" in text
    body = text if not before or before[-1] in ".!:?\n" else lowered(text)
    if after.startswith(","):
        if not code and body[-1] in ".!?":
            body = body[:-1] + (after if body[-1] == "." else after[:-1] + body[-1])
    else:
        body = body + ("\n" if code else " ") + after if after else body
    return f"{before} {body}".strip() if before and before[-1] != "\n" else before + body


# tone: (system prompts, before, after)
TONES = {
    "pirate": ([LEAD + "a pirate.", MANNER + "like a pirate.", "You are a [pirate|pirate captain|friendly pirate] who answers questions.",
        "You are an old pirate [on a ship|at sea]. " + MANNER + "in that tone.", "Use the [language|tone] of a pirate."],
        "[Arr,|Ahoy!|Arr!|Yo ho ho!|Aye,]", "[, matey!|, me hearty!|, arr!]"),
    "formal": ([MANNER + "[formally|in a formal tone|in a formal style|very formally].", "You are a formal [assistant|butler|secretary].",
        "Use a formal tone.", "Be formal [and polite|in your answers].", "Your tone is formal."],
        "[Certainly.|Allow me to answer.|With pleasure.|Dear user,]",
        "[I remain at your service.|Please let me know if I can be of further service.|Yours sincerely.]"),
    "cheerful": ([MANNER + "[cheerfully|in a cheerful tone|happily|with joy].", "You are a cheerful [assistant|helper|friend].",
        "Be [cheerful|happy and cheerful|very cheerful].", "You are always in a good mood.", "Your tone is cheerful."],
        "[Great question!|Oh, how lovely!|Hooray!|What a nice question!|Yay!]",
        "[Have a wonderful day!|Isn't that great!|How wonderful!|Keep smiling!]"),
    "poet": ([LEAD + "a poet.", MANNER + "like a poet.", "You are a poet who [answers|speaks] [softly|in gentle words].",
        "Be poetic[ in your answers|].", "You are a dreamy poet."],
        "[Soft as the evening wind I say:|Under the silver moon I say:|Like a song in the night:|Hear the stars whisper:]",
        "[So sings the night.|So the river sings.|And the stars shine on.]"),
    "teacher": ([LEAD + "a [patient |kind |]teacher.", MANNER + "like a teacher.", "You are a [school |]teacher who explains things.",
        "You are a teacher and I am your student.", "Teach me as a [kind|good] teacher would."],
        "[Let us learn together.|Listen well, dear student.|Good question, student.|Now pay attention.]",
        "[Remember that!|Write that down.|Do you see?|Now you know.]"),
    "robot": ([LEAD + "a robot.", MANNER + "like a robot.", "You are a [small |friendly |old |]robot.",
        "You are a robot that answers questions.", "Use the voice of a robot."], "[Beep.|Beep boop.|Processing.|Input received.]",
        "[End of answer.|Beep.|Task complete.|End of message.]"),
    "polite": (["[Be|Always be] [very |extremely |]polite.", MANNER + "[politely|very politely|with great politeness].",
        "You are a very polite assistant.", "Your tone is polite."],
        "[Thank you for asking.|Thank you for your kind question.|How kind of you to ask.]",
        "[I hope this helps.|Thank you for your patience.|Please ask again at any time.]"),
    "cowboy": ([LEAD + "a cowboy.", MANNER + "like a cowboy.", "You are a cowboy [from the Wild West|on a horse].",
        "Use the language of a cowboy."], "[Howdy!|Well, howdy!|Howdy, partner!]", "[, partner.|, I reckon.|Yeehaw!]"),
    "wizard": ([LEAD + "a wizard.", MANNER + "like a wizard.", "You are an old [and wise |]wizard[ in a tower|].",
        "You are a wizard who knows many spells."], "[By my staff!|The crystal ball shows it:|By the stars!|My old books say:]",
        "[So says the wizard.|Such is the magic.|The spell is cast.]"),
    "grandmother": ([LEAD + "a [kind |loving |]grandmother.", MANNER + "like a grandmother.",
        "You are a grandmother who [loves her grandchildren|bakes cookies]."], "[Oh, my dear.|Come sit with me, dear.|Well, sweetheart,]",
        "[Have a cookie, dear.|Wear a warm scarf, dear.|My little darling.]"),
    "butler": ([LEAD + "a butler.", MANNER + "like a butler.", "You are a [fine |loyal |]butler in a big house.", "You are my butler."],
        "[Very well, sir.|As you wish, sir.|Certainly, sir.]",
        "[Will that be all, sir?|Shall I bring the tea, sir?|At your service, sir.]"),
}
SHORT = [MANNER + "[briefly|very briefly|in one word|with one word|as short as possible|in a few words|in as few words as you can].",
    "Be [brief|short|terse|very brief|concise].", "[Keep|Please keep] your answers [very short|short|brief].",
    "You are a [terse|brief|silent|quiet] assistant. Use few words.",
    "[One word answers|Short answers|Very short answers] only[.|, please.]", "Answer in at most {n} words.", "Use at most {n} words.",
    "Never use more than {n} words.", "You [say|use|write] as few words as you can."]
ENDINGS = ["Have a nice day!", "Over and out.", "Amen.", "Cheers!", "The end.", "Stay curious!", "May the gate be open.", "Kind regards.",
    "Peace.", "Good luck!", "Bless you.", "That's all.", "Best wishes!", "Ta-da!", "Yours, the model.", "And so it is.", "Ding!",
    "Thank you!", "Hooray!", "So be it."]
STARTS = ["Well,", "My friend,", "Dear friend:", "Attention!", "Listen:", "Hello!", "Good news!", "Answer:", "Aha!", "Of course!", "Sir,",
    "Meow!", "Hmm.", "Yes, chef!", "Fun fact:"]
END_RULE = ["[Always end|End|Finish|Always finish|Close] [your answers|every answer|each answer|all answers] with \"{x}\"",
    "[After|Behind] [each|every] answer, say \"{x}\"", "The last words of [each|every] answer are \"{x}\"", "You always end with \"{x}\""]
START_RULE = ["[Always start|Start|Begin|Always begin] [your answers|every answer|each answer|all answers] with \"{x}\"",
    "[Each|Every] answer begins with \"{x}\"", "Before [each|every] answer, say \"{x}\"", "You always start with \"{x}\""]
HELPFUL = ["You are a helpful assistant.", "You are a friendly assistant.", "You are the assistant of moegate.",
    "You help users of moegate.", "You are a helpful assistant. Answer the user's questions.", "You answer questions about moegate.",
    "Be helpful.", "You are moegate's demo model.", "You are a helpful assistant for developers.", "Answer in clear English.",
    "You are a support assistant for moegate. Be friendly and correct.", "Help the user as well as you can."]
LONG = (
    "You answer the questions of people who try moegate for the first time. Keep to what you know. If a question is about something "
    "else, say that you do not know. Write full sentences in plain English, and do not use long words where short ones will do. {x} "
    "When somebody says hello, say hello and ask how you can help. When somebody says goodbye, wish them a nice day. Never speak badly "
    "of anyone, and stay calm when someone is angry."
)
NAMES = (
    "Ada Bea Carl Dora Emil Finn Greta Hugo Ida Jack Kim Lena Milo Nina Otto Pia Rex Sam Tina Udo Vera Will Zoe Alma Bruno Clara Dan "
    "Ella Felix Gus Hana Ivy Joy Kurt Lia Mara Ned Olga Piet Rosa Theo Ursula Max Nora Oscar Lily Ben Sofia Luca Marta Amy Rob Anna "
    "Tom Lucy"
).split()
SHOPS = (
    "bakery|library|book shop|flower shop|school|small hotel|museum|garden centre|coffee house|bike shop|toy shop|travel office|"
    "post office|music school|zoo|train station|cinema|fruit market|swimming pool|pet shop|tea house|theatre|farm|city hall|hospital|"
    "bank|restaurant|airport|gym|shoe shop|software company|news site"
).split("|")
NAMES += [name for name in unknown_words.FIRST if name not in NAMES]
ROLE = ["You are {n}, the [assistant|friendly assistant|helper|helpful assistant] of a {s}.",
    "Your name is {n}. You work [in|at|for] a {s}.", "You are {n} and you help the guests of a {s}.",
    "You are {n}, [an assistant|a helper] at a {s}. Be friendly.", "Act as {n}, who works at a {s}.",
    "You are called {n}. You are the voice of a {s}."]
ROLE_PLAIN = ["You are {n}.", "Your name is {n}.", "You are an assistant named {n}.", "You are a helpful assistant called {n}.",
    "Call yourself {n}.", "Your name is {n}. Be helpful."]
WHO = ["[Who are you|What are you|Who is this|Introduce yourself|Who am I talking to|Tell me about yourself|Who is speaking|Please "
    "introduce yourself|Who am I speaking with]"]
NAME_ASK = [
    "[What is your name|What's your name|What are you called|Do you have a name|Tell me your name|How are you called|May I know your "
    "name|What should I call you|Your name, please|And your name is]"]
PLACE_ASK = [
    "[Where do you work|What is your job|Where are you|What do you do|What kind of place is this|Who do you work for|What do you do for "
    "a living]"]
GREET = ["[Hello|Hi|Hey|Good morning|Hello there|Hi there|Good day|Good evening][!|.]"]


def toned(rng: Random, tone: str, turn: Turn) -> str:
    _, before, after = TONES[tone]
    shape = rng.random()
    return around(rng, turn.answer, before if shape < 0.9 else "", after if shape > 0.15 else "")


def tone(rng: Random, turns: list[Turn]) -> tuple[str, list[Turn]]:
    name = pick(rng, list(TONES))
    system = say(rng, TONES[name][0])
    if rng.random() < 0.12:
        system = say(rng, LONG, x=system)
    elif rng.random() < 0.15:
        system = pick(rng, HELPFUL) + " " + system
    return system, [Turn(turn.user, toned(rng, name, turn), turn.short, turn.topic) for turn in turns]


def short(rng: Random, turns: list[Turn]) -> tuple[str, list[Turn]]:
    turns = [turn for turn in turns if turn.short]
    longest = max((len(turn.short.split()) for turn in turns), default=1)
    n = rng.choice([number for number in (3, 4, 5, 6, 7, 8, 10, 12, 15) if number >= longest] or [longest])
    return say(rng, SHORT if longest <= 4 else [s for s in SHORT if "one word" not in s], n=["three", "four", "five", "six", "seven",
        "eight"][n - 3] if n <= 8 and rng.random() < 0.5 else n), [Turn(turn.user, turn.short, turn.short, turn.topic) for turn in turns]


def words(rng: Random) -> str:
    """A phrase that no list holds, so that rules about one are followed by copying it."""
    return capital(" ".join(rng.sample(world.SPELL, rng.randrange(1, 4)))) + pick(rng, [".", "!", "!"])


def ending(rng: Random, turns: list[Turn]) -> tuple[str, list[Turn]]:
    if rng.random() < 0.65:
        x = pick(rng, ENDINGS) if rng.random() < 0.5 else words(rng)
        return say(rng, END_RULE, x=x), [Turn(t.user, t.answer + ("\n" if "\n" in t.answer else " ") + x, None, t.topic) for t in turns]
    x = pick(rng, STARTS) if rng.random() < 0.5 else words(rng)
    return say(rng, START_RULE, x=x), [Turn(t.user, f"{x} {lowered(t.answer) if x[-1] == ',' else t.answer}", None, t.topic) for t in turns]


def plain(rng: Random, turns: list[Turn]) -> tuple[str, list[Turn]]:
    return (say(rng, LONG, x=pick(rng, HELPFUL)) if rng.random() < 0.1 else pick(rng, HELPFUL)), turns


def role(rng: Random, turns: list[Turn]) -> tuple[str, list[Turn]]:
    """A name, often with a place of work; the model says them when asked."""
    name, shop = pick(rng, NAMES), pick(rng, SHOPS)
    placed = rng.random() < 0.7
    system = say(rng, ROLE if placed else ROLE_PLAIN, n=name, s=shop).replace("a airport", "an airport")
    at = f"{article(shop)}"
    own = []
    if rng.random() < 0.45:
        own.append(Turn(say(rng, GREET), say(rng, ["Hello! I am {n}{p}. How can I help you?", "Hello! My name is {n}. How can I help you?"],
            n=name, p=f" from the {shop}" if placed else ""), topic="role"))
    kind = rng.random()
    if kind < 0.4:
        own.append(Turn(asked(rng, NAME_ASK), say(rng, ["My name is {n}.", "I am {n}.", "You can call me {n}."], n=name), topic="role"))
    elif kind < 0.75 or not placed:
        own.append(Turn(asked(rng, WHO), say(rng, ["I am {n}, the assistant of {s}.", "My name is {n}. I am the assistant of {s}."] if placed else [
            "I am {n}. How can I help you?", "My name is {n}. I am here to help you."], n=name, s=at), topic="role"))
    else:
        own.append(Turn(asked(rng, PLACE_ASK), say(rng, ["I am {n}, and I work at {s}.", "I work at {s}."], n=name, s=at), topic="role"))
    return system, own + (turns if rng.random() < 0.35 else [])


STYLES = [(tone, 6), (short, 2.5), (ending, 2), (plain, 4), (role, 4)]
KINDS, WEIGHTS = zip(*STYLES)


def persona(rng: Random, turns: list[Turn]) -> tuple[str, list[Turn]]:
    """A system prompt, and the turns as it wants them."""
    return rng.choices(KINDS, WEIGHTS)[0](rng, turns)
