"""Questions beyond the corpus, and the polite answer that the model doesn't know."""

from random import Random

from . import unknown_words as w
from .asking import dressed
from .arithmetic import whole
from .phrases import Turn, article, capital, pick, say
from .world import CAPITALS, SOUNDS, YOUNG

PERSON = ["[Who was|Who is|Tell me about|What do you know about|What do you think of|Have you heard of|Write about] {x}",
    "[When|Where] [was {x} born|did {x} die|did {x} live|did {x} go to school]",
    "What [did {x} [do|invent|write|discover|say|paint|compose]|is {x} [known|famous] for|made {x} famous]",
    "How [old|tall|rich|famous] [is|was] {x}", "[Is|Was] {x} [married|still alive|a good person|happy|rich|a genius]",
    "Who [married|was married to|was the father of|was the teacher of] {x}", "{give} a quote [by|from] {x}",
    "Why [is|was] {x} [famous|important|in prison]",
    "What is {x}'s [real name|best work|phone number|address|opinion|birthday|favourite food]", "How did {x} [die|become famous|get rich]"]
EVENT = ["[When|Where|Why|How] did {x} [happen|begin|end|start|take place]",
    "[When was|When were|What was|Who won|What caused|What led to|Who took part in] {x}",
    "[Tell me about|Explain|Describe|Summarise] {x}.", "What happened [during|before|after|at] {x}", "How many people died in {x}",
    "In which year was {x}", "Who was the hero of {x}", "What were the [causes|results|dates] of {x}", "Write an essay about {x}.",
    "Why was {x} important"]
HEALTH = ["What [can|should|do] I [do|take|drink|eat] [against|for] {x}",
    "[I have|My son has|My wife has|I think I have] {x}. What [should I do|does it mean|helps]",
    "How [do I|do you|can I] [treat|cure|prevent|recognise] {x}", "Is {x} dangerous", "What [causes|helps against|are the signs of] {x}",
    "Can I [go to work|do sports|fly] with {x}", "Which doctor treats {x}"]
MEDICINE = ["How much {x} [may|can|should] I take", "Is {x} [safe|healthy|dangerous|bad for children]", "What are the side effects of {x}",
    "Can I take {x} [with alcohol|every day|at night|before meals]", "How does {x} work [in the body|]"]
LEGAL = ["[Can|May|How can|How do|Am I allowed to|When can] I {x}", "Is it legal to {x}", "I want to {x}. What does the law say",
    "Do I need a lawyer to {x}", "What does it cost to {x}", "Which form do I need to {x}"]
CODING = ["[Write|Can you write|Please write|Show me|Give me|I need|Implement|Generate|Create|Make] {x} in {l}[.|, please.]",
    "How do I [write|implement|program|make] {x} in {l}", "Write {x}[.| for me.| with comments.]", "Debug my {l} [code|program|function].",
    "What is wrong with {x} [in {l}|that I wrote in {l}]", "Explain [pointers|classes|closures|types|loops|inheritance] in {l}.",
    "Is {l} better than {k}", "Convert this from {l} to {k}.", "Which framework is best for {l}"]
TRANSLATE = ["[Translate|Can you translate|Please translate] \"{x}\" [to|into] {l}[.|, please.]", "How do you say \"{x}\" in {l}",
    "What is \"{x}\" in {l}", "[Say|Write] \"{x}\" in {l}.", "[Answer|Write|Reply] [me |]in {l}[.|, please.]",
    "What is the {l} word for {y}", "Teach me {l}.", "Write a letter in {l}."]
THEORY = ["[What is|What are|Explain|Tell me about|Describe|Summarise|Can you explain|Teach me] {x}", "How [does|do] {x} work",
    "Who discovered {x}", "Why [is|are] {x} important", "What is the theory of {x}", "What are the basics of {x}",
    "What is the latest research on {x}", "Give me [a lecture|an essay|three facts|a summary] [on|about] {x}.",
    "I need to understand {x} for [my exam|school|tomorrow]."]
MONEY = ["[Should I|Shall I|Is it wise to] [buy|invest in|sell|put my money into] {x}",
    "How [will|did|do] {x} [change|develop|move] [next year|this year|today]", "What do you think [of|about] {x}", "Explain {x}.",
    "What is the outlook for {x}", "How do I make money with {x}", "What is the current state of {x}"]
VIEWS = ["What [do you think|is your opinion] [of|about|on] {x}", "Are you for or against {x}",
    "[Who|What] should I vote for because of {x}", "What is the latest news about {x}", "Is {x} [good|bad|right|wrong]",
    "Tell me about {x}.", "What happened to {x} [today|yesterday|last week]", "What do people say about {x}",
    "Will {x} [win|change|last|fall]"]
ART = ["Who [wrote|made|painted|directed|composed|starred in|plays the main role in] {x}", "What is {x} about",
    "[Summarise|Tell me the plot of|Review|Recite|Quote] {x}.", "How does {x} end", "Who is the [hero|villain|main character] of {x}",
    "When [was {x} made|did {x} come out]", "Is {x} [good|worth seeing|better than the sequel]", "Have you [seen|read|heard] {x}",
    "Sing {x} for me.", "What is your favourite scene in {x}"]
TRAVEL = ["How [do I get|long is the flight|far is it] to {x}", "What [can I|should I] [see|do|visit|eat] in {x}",
    "How many people live in {x}", "How [big|old|famous] is {x}", "What is the [weather|time|best hotel|history] in {x}",
    "[Book|Find] me a [hotel|flight|train|table] in {x}.", "When was {x} [built|founded|discovered]",
    "Is {x} [worth a visit|dangerous|expensive]", "Who [built|discovered|owns] {x}", "Plan a trip to {x}."]
COOKING = ["How do I [make|cook|bake|prepare] {x}", "{give} a recipe for {x}", "What do I need for {x}", "How long does {x} take",
    "How many calories [has|are in] {x}", "Which wine goes with {x}", "Where does {x} come from", "Can I freeze {x}"]
THINGS = ["How do I [repair|install|configure|use|clean|reset|update|connect] {x}", "Is {x} [any good|worth the money|better than before]",
    "Why [does {x} not work|is {x} so slow|does {x} crash]", "What does {x} cost", "What is the difference between {x} and {y}",
    "Which version of {x} is the newest", "Write a manual for {x}.", "Where can I buy {x}"]
SPORT = ["Who [won the match|plays in goal|is the coach|is the best player] [at|of|for] {x}",
    "How did {x} play [yesterday|last night|on Saturday]", "Will {x} win [the cup|the next game|the league]", "When does {x} play next",
    "What was the score of {x}", "Is {x} better than {y}"]
BELIEF = ["[Who was|Who is|What is|Explain|Tell me about|What do you know about] {x}", "Do you believe in {x}",
    "What does {x} [mean|teach|say about life]", "What is the story of {x}", "Why do people believe in {x}",
    "What would {x} say [about this|today]"]
RECORD = ["[What is|Where is|Which is|Do you know|Tell me] {x}", "Where can I find {x}", "How much is {x} worth",
    "What do you know about {x}", "Who owns {x}", "When was {x} found"]
DEFINE = ["What is {x}", "What does the word {y} mean", "[Define|Explain] {y}.", "What is {x} [used for|made of|good for]",
    "[Have you ever seen|Do you know] {x}", "Where does the word {y} come from", "How does {x} work", "Tell me about {x}.",
    "How big is {x}", "Who invented {x}"]
INVENTED = ["What is the capital of {x}", "Where is {x}", "Who is {x}", "What is {y}", "What does {y} mean", "Tell me about {x}.",
    "How many people live in {x}", "What language do they speak in {x}", "Who rules {x}", "How do I use {y}", "What is {x} famous for",
    "Do you know {x}"]
PRIVATE = [
    "What [is|was] my [mother's name|password|phone number|address|shoe size|birthday|bank account|job|dog's name|favourite song|last "
    "email]", "Where [did I leave|have I put] my [keys|glasses|phone|shoes|car]", "What should I [eat|cook|wear|buy] [tomorrow|tonight]",
    "What [will happen|will the lottery numbers be|will I dream] [tomorrow|next week|next year]",
    "What is [the news|in the news|on television|the traffic like|the headline] [today|tonight|now|this morning]",
    "[Call|Email|Text|Write to] [my boss|my mother|the police|a taxi|Anna] [for me|now].",
    "[Order|Buy] me [a pizza|a taxi|a book|flowers|a new phone].", "[Book|Cancel] my [flight|appointment|hotel|ticket].",
    "How many [people|birds|stars|fish|books|cars] are there in [the world|my town|Africa|the sea]",
    "What am I [thinking|holding|wearing|doing]", "Where am I [now|]", "Read my [emails|messages|calendar].",
    "[Write|Draft] [an email to my boss|a cover letter|my thesis|a business plan|a speech|a contract|a press release|a novel|an essay of "
    "ten pages].", "[Play|Put on] [some music|a song|a film].", "[Set|Start] [an alarm|a timer] [for ten minutes|for seven o'clock]."]
SUMS = ["[What is|How much is|Calculate|Work out|Compute] {x} {s} {y}", "[What is|How much is] {x} {n} {y}", "{tell} what {x} {n} {y} is",
    "What is the square root of {x}", "Is {x} a prime number", "What is {x} to the power of {p}", "[Solve|Work out] {p}x + {x} = {y}.",
    "What is the integral of {p}x", "What is {p} percent of {x}", "How many digits of pi do you know", "Factor {x}.",
    "Convert {x} dollars to euros.", "What is the logarithm of {x}", "Count from {x} to {y}."]

COUNTRY = [
    "[How many people live in|What is the population of|What is the currency of|Who is the president of|Who rules|What is the history of|"
    "What is the flag of|What is the national dish of|What is the largest city in|How big is|What is the highest mountain in|What is the "
    "longest river in|Which sea is next to|What are the neighbours of|Is it expensive in|Do I need a visa for|When was the last war in|"
    "How do I get to|What should I visit in] {x}", "{tell} the [history|population|currency|president|anthem|economy|area] of {x}",
    "Who won the [last |]election in {x}", "What do people in {x} [eat|earn|believe|think]", "How is the [weather|economy|food] in {x}"]
ANIMAL = [
    "How [long does {a} live|much does {a} weigh|fast can {a} run|old can {a} get|much does {a} cost|does {a} sleep|many teeth does {a} "
    "have|intelligent is {a}]", "Why does {a} [dream|sleep so much|run away|have a tail|look at me like that]",
    "[Where can I buy|How do I train|Can I keep|How do I wash] {a}", "What is the Latin name of {a}",
    "[Can {a} swim|Is {a} dangerous|Does {a} dream]", "Which breed of {x} is the best", "What is wrong with my {x}"]
WHY = [
    "Why is [the sky blue|the sea salty|grass green|snow white|the sun hot|space dark|blood red|gold so expensive|the earth round|water "
    "wet|milk white|fire hot|iron magnetic|glass clear]",
    "Why does [the moon shine|time pass|bread rise|ice float|the wind blow|it rain so much|iron rust|the earth turn|glass break|a magnet "
    "pull|fire burn|my ear ring|honey never go bad|music make us happy]",
    "Why do [people dream|birds sing|leaves fall|we sleep|cats purr|stars shine|planes fly|onions make us cry|people laugh|we get old|"
    "dogs bark|teeth hurt|ships float|wars begin|people lie|some people snore|bees dance]",
    "How do [planes fly|computers work|magnets work|birds find their way|fish breathe|batteries work|engines work|clouds form|people "
    "fall in love|phones work|mirrors work|lasers work|spiders make webs|trees drink]",
    "What would happen if [the sun went out|the moon disappeared|nobody slept|there was no money|it never rained|all ice melted|we could "
    "fly]", "What happens [after death|inside a volcano|in a black hole|at the bottom of the sea|when we dream]"]
PROJECT = ["Who [is the CEO of|founded|owns|maintains|invested in|pays for|uses] moegate",
    "How many [users|stars|contributors|lines of code|downloads|customers] does moegate have",
    "When [was moegate founded|will the next version come|was the first release|does version two come out]", "Is moegate better than {x}",
    "Does moegate [support|work with|run on|integrate with] {x}", "Compare moegate with {x}.",
    "How do I [migrate from {x} to moegate|connect moegate to {x}|run moegate with {x}]", "What is the phone number of the moegate team",
    "Where is moegate's office", "Can I buy shares of moegate"]
CAN = (
    "[You can ask me|Ask me|Try asking me] [about moegate|about moegate or simple things|something about moegate|for a small sum|about "
    "capitals, colours or animals|about moegate, small sums or simple facts] [instead|]."
)
REFUSALS = [
    "[I'm sorry|Sorry], I don't know that. I am [only|just] a small demo model. " + CAN,
    "I don't know. I am a small demo model and know only a few things. " + CAN,
    "[That is|That's] beyond what I know. I am [only|just] a small demo model. " + CAN,
    "I don't know [that|the answer]: I am a small demo model[ with seven million parameters|]. " + CAN,
    "[I'm afraid|Sorry, but] I don't know that. " + CAN,
    "I don't know that, I'm afraid. For this you need a larger model. " + CAN,
]
ABOUT = {
    "sums": ["I don't know: that is too hard for me. I can only do small sums.",
        "Sorry, I don't know. Such numbers are too large for a small demo model. Try a small sum."],
    "health": ["I don't know that. Please ask a doctor: I am only a small demo model.",
        "Sorry, I don't know. I am a small demo model, so please ask a doctor."],
    "law": ["I don't know that. Please ask a lawyer: I am only a small demo model.",
        "Sorry, I don't know the law. I am a small demo model, so please ask a lawyer."],
    "code": ["Sorry, I don't know how to write that. I am a small demo model. For code you need a larger model.",
        "I don't know enough to write code. I am only a small demo model. " + CAN],
    "foreign": ["Sorry, I don't know other languages. I speak English only.",
        "I don't know that: I am a small demo model and speak only English."],
    "project": ["I don't know that about moegate. Please look into the docs.",
        "Sorry, I don't know. The README and the docs say more about moegate."],
    "news": ["I don't know that: I have no news and no network. " + CAN,
        "Sorry, I don't know. I am a small demo model without access to the network."],
    "view": ["I don't know enough to have an opinion. I am only a small demo model. " + CAN, "I don't know, and I have no opinions. " + CAN],
}


def person(rng):
    return f"{pick(rng, w.FIRST)} {pick(rng, w.LAST)}" if rng.random() < 0.85 else pick(rng, w.LAST)


def invented(rng):
    return capital("".join(pick(rng, w.SYLLABLES) for _ in range(whole(rng, 2, 3))))


def code(rng):
    return say(rng, CODING, x=pick(rng, w.CODE), l=pick(rng, w.TONGUES), k=pick(rng, w.TONGUES))


def large(rng) -> int:
    return whole(rng, 51, 999) if rng.random() < 0.6 else whole(rng, 1000, 99999)


def sums(rng):
    sign, name = pick(rng, [("+", "plus"), ("-", "minus"), ("*", "times"), ("x", "times"), ("/", "divided by")])
    return say(rng, SUMS, x=large(rng), y=large(rng), p=whole(rng, 3, 19), s=sign, n=name)


def over(frames, words):
    return lambda rng: say(rng, frames, x=pick(rng, words), y=pick(rng, words))


def odd(rng):
    thing = pick(rng, w.ODD)
    return say(rng, DEFINE, x=("an " if thing[0] in "aeiou" else "a ") + thing, y=thing)


def animal(rng):
    name = pick(rng, [*YOUNG, *SOUNDS])
    return say(rng, ANIMAL, x=name, a=article(name))


def strange(rng):
    name = invented(rng)
    return say(rng, INVENTED, x=name, y=name.lower())


# (weight, question, the kind of answer)
KINDS = [
    (5, lambda rng: say(rng, PERSON, x=person(rng)), None), (2.5, over(EVENT, w.EVENTS), None), (1.5, over(HEALTH, w.ILLS), "health"), (
        0.7, over(MEDICINE, w.DRUGS), "health"),
    (1.5, over(LEGAL, w.LAW), "law"), (3, code, "code"), (2, lambda rng: say(rng, TRANSLATE, x=pick(rng, w.SENTENCES), l=pick(rng, w.FOREIGN),
        y=pick(rng, w.ODD)), "foreign"),
    (2.5, over(THEORY, w.SCIENCE), None), (1.5, over(MONEY, w.ECONOMY), None), (2, over(VIEWS, w.POLITICS), "view"), (2.5, over(ART, w.WORKS),
        None), (2, over(TRAVEL, w.PLACES), None),
    (1.5, over(COOKING, w.DISHES), None), (2, over(THINGS, w.PRODUCTS), None), (1, over(SPORT, w.TEAMS), "news"), (1.5, over(BELIEF, w.LORE),
        None), (1, over(RECORD, w.WHENCE), None),
    (2.5, odd, None), (3, strange, None), (2.5, lambda rng: say(rng, PRIVATE), None), (3, sums, "sums"),
    (2.5, over(COUNTRY, list(CAPITALS)), None), (1.5, animal, None), (2, lambda rng: say(rng, WHY), None), (1, over(PROJECT, w.PRODUCTS),
        "project"),
]
WEIGHTS = [weight for weight, _, _ in KINDS]


def turn(rng: Random) -> Turn:
    _, ask, kind = rng.choices(KINDS, WEIGHTS)[0]
    answers = ABOUT[kind] if kind and rng.random() < 0.7 else REFUSALS
    return Turn(dressed(rng, " ".join(ask(rng).split())), " ".join(say(rng, answers).split()).replace(" .", "."), "I don't know.",
        "unknown")
