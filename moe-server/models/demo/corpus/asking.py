"""How people type: openers, politeness, small letters, missing question marks, and a typing mistake now and then."""

from random import Random

from .phrases import pick, say

OPENERS = [
    "Quick question: ", "Hi! ", "Hey, ", "Hello, ", "Please tell me, ", "I have a question. ", "I have a question: ", "So, ", "OK, ",
    "Just curious: ", "Hi there, ", "Hello! ", "One question: ", "Excuse me, ", "Well, ", "Now, ", "Question: ", "Say, ", "Hi, ",
    "Good day! ", "A small question: ", "I was wondering, ", "Let me ask you: ", "Could you help me? ", "Hey! ", "Okay, ", "Hmm, ",
]
# A sentence or two on why someone asks; it does not change the answer.
SCENES = [
    "[I am|I'm] [new here|a beginner|in a hurry|writing a report|preparing a talk|reading the docs|working on my app|learning|"
        "curious|a bit lost|back again|on my laptop|at work|at school|playing a quiz]. ",
    "[My boss|A colleague|My team|My sister|A friend|My brother|Someone|My son|My daughter|My neighbour|The new girl|Our developer|"
        "My uncle] [asks|wants to know|asked me|would like to know|keeps asking]: ",
    "[I have been thinking|We were talking at lunch|I read a lot today|I looked everywhere|I searched the web|There is one thing I "
        "want to know|One thing is not clear to me|It is late, but one more question|I can't remember this|I always forget this]. ",
    "[We are|I am] [building an app|testing a few tools|setting things up|trying this for the first time|planning our next step]. ",
        "[For my notes|For a talk|For my report|For a quiz|For school|For a friend|In your own words|In one sentence|Just so I "
        "understand|To be sure|Before I go on|First of all|Let me see|Honestly|By the way], ",
]
# Openers put together from parts.
OPENING = (
    "[[Hello|Hi|Hey|Good morning|Good evening|Good afternoon|Hi again|Hello again|Greetings|Dear model|Hey model|Hello my friend][.|!] |][[I "
    "have|There is|I've got|Here comes|Here is|Next comes|Now for|I come with] [a|one more|another|an easy|a short|a quick|a new|a little] "
    "[question|thing|riddle|request][: |. |! |, |, please: ]|[May|Can|Could] I ask [you |][something|this|one thing|a thing|a question][? |: ]|"
    "[Quick|Easy|Simple|Next|Another|Serious|Short|New|Tiny|Last|First|Random] [one|question|thing|request][: |. |, |! ]|[Listen|Look|Tell me|Be "
    "honest|Help me|Think|Guess|Wait|Right|Alright|Great|Good|Fine|Oh|Ah|Yes|Hm|And|But|So|Also|Anyway|Actually][, |: ]|[You know|I guess you "
    "know|You surely know|You may know|I bet you know] this: |[For once|Once and for all|If you can|If you know|If you don't mind|When you have "
    "time|While you are here|Since you are here], |[It is for|I ask for|This is for] [my homework|a test|my child|work|a crossword|a bet|our "
    "docs|a friend|class]. ]"
)
CLOSERS = [" Thanks.", " Thank you.", " Thanks!", " Please.", " Thanks in advance.", " I'm curious.", " I forgot.", " I'm not sure."]
# Words that lose their capital behind an opener.
SMALL = {
    "what", "what's", "how", "how's", "who", "who's", "where", "where's", "when", "which", "why", "can", "could", "is", "are", "does",
    "do", "did", "tell", "please", "give", "name", "explain", "show", "help", "describe", "will", "would", "should", "the", "a", "an",
        "in", "if",
    "list", "say", "count", "add", "spell", "write", "on", "of", "as", "my", "repeat", "define", "calculate", "compute", "work", "take",
        "subtract", "multiply", "divide", "share", "find", "make", "try", "let's",
    "has", "was", "were", "with", "from", "one", "today", "think", "double", "halve", "whose", "to", "at", "your", "this", "there",
    "and", "suppose", "imagine", "assume", "when", "begin", "start",
}
TYPO_SHARE = 0.02


def small_start(text: str) -> str:
    word = text.split(" ", 1)[0]
    return text[0].lower() + text[1:] if word.lower() in SMALL else text


def mistyped(rng: Random, text: str) -> str:
    """One letter lost, doubled or swapped with the next, inside a word of five letters or more."""
    places = [at for at in range(1, len(text) - 2) if text[at - 1 : at + 3].isalpha()]
    if not places:
        return text
    at = pick(rng, places)
    kind = rng.random()
    if kind < 0.4:
        return text[:at] + text[at + 1 :]
    if kind < 0.6:
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def dressed(rng: Random, text: str, *, exact: bool = False, opener: bool = True) -> str:
    """A question as someone might type it. `exact` keeps its letters, for texts whose words matter."""
    text = " ".join(text.split())
    for mark in ".,?!":
        text = text.replace(" " + mark + " ", mark + " ").removesuffix(" " + mark) + mark * text.endswith(" " + mark)
    text = text[0].upper() + text[1:]
    if text[-1] not in ".?!":
        text += "?"
    if opener and rng.random() < 0.16:
        text = pick(rng, OPENERS) + small_start(text)
    elif opener and rng.random() < 0.07:
        opening = say(rng, OPENING)
        text = opening + (small_start(text) if opening[-2] in ",:" else text)
    elif opener and rng.random() < 0.10:
        scene = say(rng, SCENES)
        text = scene + (small_start(text) if scene[-2] in ",:" else text)
    elif opener and rng.random() < 0.03:
        text += say(rng, [" I need [it|this] for [a talk|my app|school|work|my notes|a friend].",
            " [I have no idea|I can't find it|It is important|My boss wants to know|I keep forgetting it|Nobody could tell me]."])
    closer = rng.random()
    if closer < 0.05 and text[-1] == "?":
        text = text[:-1] + ", please?"
    elif closer < 0.09:
        text += pick(rng, CLOSERS)
    if exact:
        return text
    style = rng.random()
    if style < 0.14:
        text = text.lower()
    if rng.random() < 0.16 and text[-1] in "?.":
        text = text[:-1]
    if rng.random() < TYPO_SHARE:
        text = mistyped(rng, text)
    return text


def asked(rng: Random, templates, *, change=None, **slots) -> str:
    """A question by a template; `change` may put it into other words first."""
    text = " ".join(say(rng, templates, **slots).split())
    return dressed(rng, change(rng, text) if change else text)
