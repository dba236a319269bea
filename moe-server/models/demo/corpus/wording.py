"""Other words for a question about moegate: synonyms, words put in, and the telegram style of a search box.

It keeps the meaning of each question, so the templates need not name every word that a person might use.
"""

import re
from random import Random

from .phrases import pick, say

# Each word or phrase with others that may stand in its place, whatever the sentence.
SYNONYMS = {
    "tell me": ["let me know", "explain to me"], "exactly": ["precisely", "really", "actually"],
    "in simple words": ["in plain language", "simply", "for beginners", "in easy words", "without jargon"],
    "in short": ["in brief", "in a few words", "as a summary", "in one line"], "want to": ["wish to", "hope to", "intend to", "plan to", "mean to"],
    "would like to": ["would love to", "was told to", "am asked to", "am going to"], "need to": ["have to", "ought to"],
    "app": ["application", "website", "program", "product"], "apps": ["applications", "websites", "programs"],
    "folder": ["directory"], "requests": ["calls", "queries"], "answers": ["replies", "responses"], "answer": ["reply", "response"],
    "laptop": ["computer", "machine", "notebook", "PC"], "machine": ["computer", "laptop", "box"], "provider": ["vendor", "supplier"],
    "stored": ["kept", "saved", "held"], "docs": ["documentation", "manual", "guides"], "how do i": ["how can I", "how might I",
        "how would I", "how am I supposed to", "in which way do I"], "which": ["what"], "large": ["big"], "fast": ["quick"],
    "quickest": ["fastest"], "users": ["customers", "people", "visitors"], "user": ["customer", "visitor", "reader"],
    "happens": ["goes on", "takes place"], "possible": ["feasible"], "everything": ["it all", "all of it", "the whole thing"],
    "configuration": ["config", "settings file"], "costs": ["expenses", "spending"], "cost": ["price"], "setting": ["option"],
    "mistake": ["slip", "fault"], "breaks": ["fails", "stops"], "wrong": ["broken", "not right", "bad"], "choose": ["select", "pick"],
    "pick": ["select", "choose"], "sent": ["passed", "forwarded", "handed"], "make": ["create"], "see": ["look at", "view"],
    "check": ["verify"], "change": ["alter", "modify"], "several": ["multiple", "more than one"], "many": ["lots of"],
    "tests": ["test suite", "test cases"], "online": ["live", "on the internet"], "terminal": ["shell", "console"], "works": ["functions"],
    "difference": ["distinction"], "something about": ["something on", "more about"], "meaning": ["sense"], "good for": ["useful for"],
    "called": ["named"], "quit": ["exit", "leave"], "shut": ["bring"], "best way": ["proper way", "correct way", "usual way"],
    "easiest way": ["shortest way", "quickest way"], "describe": ["sketch", "outline", "characterise"], "explain": ["clarify", "spell out"],
    "help me": ["assist me to", "guide me to", "support me to"], "first": ["at first"], "why": ["for what reason"],
}
KEPT = re.compile(r"`[^`]*`|cargo xtask \w+|moegate (?:check|keys)|/\w[\w/.]*")
FOUND = re.compile(r"\b(" + "|".join(sorted(map(re.escape, SYNONYMS), key=len, reverse=True)) + r")\b", re.IGNORECASE)
SHARE = 0.22
IN_FRONT = ("[And |But |So |Then |Now |Right, |Alright, |Sure, but |Great. |Good. |Okay then, |Fine, |One more: |Next: |Also, |Tell me, |"
    "For a start, |To begin with, |To start: |Before anything else: |Out of interest, |If I may ask, |Sorry to ask, but |Maybe a silly "
    "question, but |Newbie here. |Beginner question: |Can somebody say: |I must ask: |You surely know this: |Let's see: |Quickly: |In "
    "brief: |In plain English: |As someone new to this: |Help me out: |Be so kind: |Forgive me, ]")
BEHIND = (" [then|actually|in practice|here|anyway|at all|nowadays|in this project|in moegate|in your words|roughly|in the end|as a rule|"
    "usually|these days|really|by default|for us|for me|please|today]")
DROPPED = {"a", "an", "the", "is", "are", "do", "does", "i", "to", "of", "for", "me", "can", "could", "you", "please", "my", "it", "there", "what's"}
SMALL = {"what", "which", "how", "who", "where", "when", "why", "can", "could", "is", "are", "does", "do", "tell", "please", "give", "explain",
    "show", "help", "describe", "will", "would", "should", "the", "a", "in", "if", "on", "does", "what's", "suppose", "define"}


def other(rng: Random, text: str) -> str:
    """The text with some of its words exchanged; what looks like code stays."""
    kept = [match.span() for match in KEPT.finditer(text)]

    def chosen(match):
        if rng.random() >= SHARE or any(start <= match.start() < end for start, end in kept):
            return match[0]
        word = pick(rng, SYNONYMS[match[0].lower()])
        return word[0].upper() + word[1:] if match[0][0].isupper() else word

    return FOUND.sub(chosen, text)


def telegram(text: str) -> str:
    words = [word for word in re.sub(r"[?,!]", "", text).split() if word.lower() not in DROPPED]
    return " ".join(words).lower() if len(words) > 1 else text


def varied(rng: Random, text: str) -> str:
    """A question that means the same. The marks at its end stay, but for the telegram's."""
    if rng.random() < 0.035 and "`" not in text and "." not in text:
        return telegram(text)
    text = other(rng, text)
    if rng.random() < 0.10:
        word = text.split(" ", 1)[0]
        text = say(rng, IN_FRONT) + (text[0].lower() + text[1:] if word.lower() in SMALL else text)
        text = re.sub(r"([.] )(\w)", lambda match: match[1] + match[2].upper(), text)
    if rng.random() < 0.06 and text[-1] not in ".!" and "." not in text:
        text = text.rstrip("?") + say(rng, BEHIND)
    return text
