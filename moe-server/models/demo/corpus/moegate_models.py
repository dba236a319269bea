"""Facts on moe-server and on mixtures of experts, and the questions about moegate put together."""

from random import Random

from .asking import asked
from .moegate_depth import DEPTH
from .moegate_facts import BASICS, Fact
from .moegate_routing import ROUTING
from .moegate_use import CODE, USE
from .phrases import Turn, pick, say
from .wording import varied

MODELS = [
    Fact("server", "The program that computes the answers.", [
        "moe-server is moegate's native server. It loads a GGUF file of Llama 4 and computes answers on the processor.",
        "It is the server behind the gateway: it runs open mixture-of-experts models and speaks OpenAI's API.",
        "moe-server is the half that computes. It serves mixture-of-experts models on your own machine.",
    ], what=["moe-server", "the MoE server", "the server behind the gateway"], ask=["What does {srv} do", "What is {srv} for",
        "Why is there a server"]),
    Fact("start_server", "moe-server serve model.gguf", [
        "Run `moe-server serve model.gguf --api-key-file key --port 8788`.",
        "Build it with `cargo build --release -p moe-server`, then run `moe-server serve model.gguf --api-key-file key --port 8788`.",
        "Type `moe-server serve model.gguf --api-key-file key --port 8788`, with your own file.",
    ], do=["start moe-server", "run moe-server alone", "run the server by itself", "start the MoE server", "serve a GGUF file"], ask=[
        "Which command starts moe-server", "Can I run the server without the gateway"]),
    Fact("gguf", "A file format for models.", [
        "GGUF is a file format for language models. One file holds the weights, the vocabulary and the settings.",
        "It is a file format: weights, vocabulary and settings of a model in one file.",
        "GGUF is the format in which moe-server reads its models.",
    ], what=["GGUF", "a GGUF file", "the GGUF format"], ask=["What does GGUF mean", "What is in a GGUF file",
        "[Which|What] [file format|format] does {srv} read", "What kind of file is a model"]),
    Fact("formats", "F32, BF16, F16 and Q8_0.", [
        "moe-server reads GGUF files with weights in F32, BF16, F16 and Q8_0.",
        "Four: F32, BF16, F16 and Q8_0.",
        "It takes F32, BF16, F16 and Q8_0.",
    ], ask=["[Which|What] [weight formats|quantisations|types] does {srv} [read|support|take]", "[Which|What] number formats work",
        "Does {srv} read Q8_0", "Can I load a BF16 file"]),
    Fact("quantised", "Stored with fewer bits.", [
        "A quantised model stores its weights with fewer bits, so that the file is smaller. Q8_0 uses about eight bits a weight.",
        "Quantised weights take fewer bits each. That makes the file smaller and a little less exact.",
        "It means that the weights are stored with fewer bits, such as eight in Q8_0.",
    ], what=["quantisation", "a quantised model", "Q8_0"], ask=["What does quantised mean", "What does Q8_0 mean",
        "Why are models quantised"]),
    Fact("moe", "A model of many experts.", [
        "A mixture of experts is a model with several small networks, called experts. For each token a router picks which of them works.",
        "MoE means mixture of experts: only one or a few of many experts work on each token, so the model is large but fast.",
        "In a mixture of experts, a router sends each token to one expert, so only a part of the model has to work.",
    ], what=["a mixture of experts", "MoE", "a mixture-of-experts model", "an MoE model"], ask=["What does MoE [mean|stand for]",
        "How does a mixture of experts work", "What does mixture of experts mean", "Explain MoE [in simple words|in short]."]),
    Fact("expert", "A small network inside the model.", [
        "An expert is a small network inside the model. It works only on the tokens that the router sends to it.",
        "Experts are small networks in a layer. Each token is worked on by the expert that the router picks.",
        "It is one of several small networks in a layer; the router chooses among them.",
    ], what=["an expert", "experts in a model", "an expert in a mixture of experts"], ask=["What does an expert do",
        "What are experts [in a model|]", "What are the experts for"]),
    Fact("router", "It picks the expert for each token.", [
        "The router is a small part of the model that picks the expert for each token.",
        "For every token the router decides which expert works on it.",
        "It looks at a token and picks the expert that should work on it.",
    ], what=["a router", "the router", "the router in a model"], ask=["What does the router do", "What is the router for",
        "Who picks the expert", "How is the expert chosen"]),
    Fact("shared", "An expert for every token.", [
        "The shared expert works on every token, next to the expert that the router has picked.",
        "It is an expert that always works, whatever the router decides.",
        "Every token goes through the shared expert, and through one routed expert too.",
    ], what=["the shared expert", "a shared expert"], ask=["What does the shared expert do", "Why is there a shared expert"]),
    Fact("why_moe", "Less work for each token.", [
        "Because only a part of the model works on each token, a mixture of experts is fast for its size.",
        "It needs less work for each token: the model is big, but only some experts are used at a time.",
        "They are cheaper to run, since only a few experts work on each token.",
    ], ask=["Why [use|are] [a mixture of experts|experts] [good|useful|]", "What is the advantage of [MoE|a mixture of experts]",
        "Why are MoE models fast", "What is good about a mixture of experts", "Why do people use MoE models"]),
    Fact("llama4", "A family of MoE models.", [
        "Llama 4 is a family of open mixture-of-experts models from Meta. moe-server computes its text model.",
        "It is Meta's family of mixture-of-experts models, and the architecture that this demo model has.",
        "Llama 4 is an open family of models. I have the same architecture, but I am much smaller.",
    ], what=["Llama 4", "the Llama 4 architecture"], ask=["[Which|What] architecture does {srv} [support|run|compute]",
        "[Which|What] models can {srv} run", "What does Llama 4 have to do with moegate"]),
    Fact("gpu", "No, it runs on the processor.", [
        "No. moe-server runs on the processor; GPUs are planned for later.",
        "No, you do not need a GPU. The server computes on the processor.",
        "No GPU is needed: this version runs on the processor alone.",
    ], ask=["Do I need a [GPU|graphics card]", "Does {srv} [use|need|support] [a GPU|GPUs]", "Can it run on a GPU",
        "Does it run without a GPU", "Is a GPU required"]),
    Fact("batch", "Yes, in one batch.", [
        "Yes. Several requests run in one batch, and a token's result does not depend on what else is in it.",
        "Yes, moe-server works on several requests at once, in one batch.",
        "Yes. Requests are put together in a batch.",
    ], ask=["Can {srv} handle [several|many|two] requests at once", "Does {srv} batch [requests|]", "Can many users use {srv}",
        "How many requests can {srv} do at the same time"]),
    Fact("ready", "/health says alive, /ready able to compute.", [
        "`/health` says that the server is alive, and `/ready` says that it is able to compute.",
        "Ask `/ready`: it answers 200 when the server can compute, and 503 when it cannot.",
        "`/ready` tells whether moe-server can compute, `/health` only that it is alive.",
    ], ask=["What does /ready [do|mean|say]", "What is the difference between /health and /ready", "How do I know that {srv} is ready",
        "When does /ready answer 503"]),
    Fact("metrics", "Call /metrics.", [
        "moe-server has `/metrics` in the format of Prometheus. It wants the key.",
        "Call `GET /metrics` at moe-server: it speaks Prometheus.",
        "There is `/metrics`, for Prometheus.",
    ], do=["see the metrics", "monitor moe-server", "use Prometheus"], ask=["Are there metrics", "What does /metrics do",
        "Does {srv} [support|have] Prometheus"]),
    Fact("temperature", "How much chance is in the answer.", [
        "The temperature says how much chance is in an answer. At zero the model always takes the most likely token.",
        "It sets how freely the model chooses. Zero means always the most likely token.",
        "A low temperature makes answers steady, and a high one makes them varied.",
    ], what=["temperature", "the temperature of a model", "sampling temperature"], ask=[
        "What does the temperature [do|mean] [in a request|for a model|]", "Which temperature should I use", "What is temperature zero"]),
    Fact("max_tokens", "The longest answer, in tokens.", [
        "`max_tokens` limits the length of an answer, counted in tokens.",
        "It is the largest number of tokens that the answer may have.",
        "Set `max_tokens` to limit how long the answer gets.",
    ], what=["max_tokens", "the field max_tokens"], do=["limit the length of an answer", "make the answer shorter with a setting",
        "set a maximum length"], ask=["What does max_tokens [do|mean]", "How do I limit the tokens"]),
    Fact("system", "It tells the model how to answer.", [
        "A system prompt is the first message. It tells the model how to answer, for example in which tone.",
        "It is a message of role `system` that says how the model should behave.",
        "With a system prompt you tell the model who it is and how to answer.",
    ], what=["a system prompt", "the system prompt", "a system message"], do=["set the tone of the answers", "use a system prompt",
        "give the model a role"], ask=["What does a system prompt do", "What is the system message for"]),
    Fact("model_short", "A program that writes text.", [
        "A language model is a program that has learned from text and writes an answer token by token.",
        "It is a program that predicts the next piece of text, again and again.",
        "A language model reads your text and writes the next token, then the next.",
    ], what=["a language model", "language models", "an LLM"], ask=["How does a language model work", "What does a language model do",
        "What does LLM mean"]),
    Fact("context", "How much text fits.", [
        "The context length is the number of tokens that a model can read at once, prompt and answer together.",
        "It says how many tokens fit into one conversation.",
        "It is the longest text, in tokens, that the model can work with.",
    ], what=["the context length", "context length", "a context window"], ask=["What does context length mean",
        "What happens if my prompt is too long", "What does context_length_exceeded mean"]),
]
FACTS = {fact.id: fact for fact in [*BASICS, *USE, *ROUTING, *DEPTH, *MODELS]}
ALL = list(FACTS.values())
WEIGHTS = [fact.weight for fact in ALL]

WHAT = [
    "[What is|What's|What is|What exactly is] {x}", "[What is|What's] {x} [exactly|in simple words|in short|then|again]",
        "{tell} what {x} is",
    "[Tell me|Can you tell me|I'd like to hear] [about|something about|more about|a bit about] {x}.",
        "[Explain|Please explain|Can you explain|Could you explain] {x} [|to me|briefly|in simple words].",
    "What [is meant by|do you know about|can you say about|should I know about] {x}",
        "I [don't understand|don't know|have never heard of] {x}. [What is it|Can you explain it]",
    "[How would you describe|How do you explain] {x}", "[Describe|Define] {x}.", "What do you mean by {x}",
        "I keep reading about {x}. What is [it|that]", "{x}", "[What about|And] {x}", "{x}, [please explain|what is that|what is it]",
    "[There is|The docs mention|Somebody mentioned|I came across|I see] {x} [here|in the docs|in the code|]. What [is that|does it "
        "mean|is it for|is it]", "[I want|I need|I'd like] to understand {x}.", "A question about {x}: what is it",
]
PLURAL = {"relay and pump", "client keys", "origins", "routes", "secrets", "tokens", "receipts", "usage records", "nano-dollars",
    "language models", "experts in a model", "the two commands", "the main commands", "the requirements", "the requirements of moegate",
    "Workers", "Cloudflare Workers", "the parts of moegate"}
WHAT_PLURAL = [template.replace("What is", "What are").replace("What's", "What are").replace("{x} is", "{x} are").replace("exactly is",
    "exactly are") for template in WHAT]
INTENT = ("[I want|I would like|I'd like|I plan|I have|I am supposed|I was told|We want|We plan|We have|My boss wants me|I am trying|It is my "
    "job|The next step is|My task is|I hope|I'm about|I am going|The plan is|The customer asks us|I decided|Today I want|Tomorrow I have|We "
    "are ready|It is time] to")
HOW_NOW = ("[How|How do I do that|How does that go|What do I type|Which command is it|What's the command|What is the command for that|What do I "
    "enter|What is the way|Which steps|How do I go about it|What should I do|What must I do|How is that done|What comes first|Tell me how|"
    "Show me how|Which command does that|What would you type|Any hints|Please help|Can you help|How is it done]")
# For one and for many.
MET = ("[I read|I hear|I heard|People speak|The README speaks|My colleague talks|My team talks|Everybody talks|The guide speaks|I keep hearing|"
    "My boss talks|I have read a lot|We spoke] [of|about]")
EXPLAIN = ("[explain|describe|define|sketch|clarify|summarise|outline|introduce|illustrate|teach me|tell me about|tell me something about|go "
    "over|talk about|say a few words about|shed light on|give me an idea of|give me a definition of|give me a short explanation of|help "
    "me understand|make me understand]")
ABOUT = [
    "[Please |Can you |Could you |Would you |Will you |Kindly |I'd like you to |You should |Just |]" + EXPLAIN + " {x}[.|, please.|?| for me.| in "
        "simple words.| in a sentence.| to a newbie.| as if I were five.| in short.|]",
    MET + " {x}[.|, but I don't get it.|, whatever that is.| and I am lost.] [What is meant|What does it mean|Please explain|What's behind it|"
        "Can you help|Explain, please|What is that about]",
    "[The word|The term|The expression|This] \"{x}\"[ here|]: [what does it mean|what is meant|what is it|explain it]",
    "[How should I|How can I|How do I|How would I] [picture|understand|imagine|think of|read] {x}",
    "What [sort of thing|kind of thing|thing|concept|idea] is meant by {x}", "What is [the meaning|the idea|the point|the role|the purpose|the "
        "job|the definition|the use] of {x}",
    "[I am not sure|It is unclear to me|Nobody told me|I forgot|I never understood|I can't remember] what {x} [means|is about|is for|does]",
    "What [role|part|job|task|function] does {x} [play|have] [here|in moegate|in all this|]", "[Meaning|Definition|Explanation] of {x}",
    "[What|What on earth|What the heck|What in the world] is {x} [good for|about|for|used for]",
]
DO = [
    "How [do|can|could|should|would] I {x}", "[What do I|What must I|What should I] [do|type|run|use] to {x}",
        "I [want|would like|need|am trying|have|'d like] to {x}. How [do I do that|does that work|do I do it|can I do that]",
    "[Show me|Tell me|Can you show me|Please tell me|Explain|Could you explain] how to {x}.",
        "[What is|What's] the [way|best way|right way|easiest way|simplest way] to {x}",
    "Help me {x}.", "[Can you help me|Could you help me|Please help me] {x}", "[Is there a way|Is it possible] to {x}",
        "I [want|need|would like] to {x}.", "What are the steps to {x}",
    "How [does one|do you|do people] {x}", "[Where do I start|What do I do] if I want to {x}", "how to {x}", "Can I {x}",
        "I don't know how to {x}.", "{x}", "I'd like to {x}[ now| today|]. [What do I type|Which command|What is the command|What now]",
        "My [team|boss|friend] wants to {x}. How", "[What|Which command|What exactly] [do I type|do I enter|do I use|does it take] to {x}",
        "[I can't|I don't manage to] {x}. What do I do",
    INTENT + " {x}[.|:|, so] " + HOW_NOW, INTENT + " {x}. " + HOW_NOW, INTENT + " {x}. " + HOW_NOW,
    "[Which|What] [command|step|tool|call] [lets me|lets one|is used to|is needed to|do you use to|would you use to|is right to] {x}",
    "[To|In order to] {x}, [what do I do|what is needed|which command is it|what should I type|what must be done|how do I begin]",
    "[Guide|Walk|Lead|Take] me through [how to {x}|the way to {x}|the steps to {x}].", "[Any idea|Do you know|Can you say|Who knows] how [to|I can|one "
        "can|we could] {x}",
    "[How|In what way] [is it possible|would it be possible|am I able|do we manage|would one manage] to {x}", "[If|When] I [want|wish|decide|have] to "
        "{x}, [how do I do it|what do I do|what's the command|what do I type|which command do I need]",
    "[What|How much] does it take to {x}", "[Instructions|Commands|Steps|The command|A recipe|A guide], please, to {x}",
]


def question(rng: Random, fact: Fact) -> str:
    kinds = [kind for kind, weight in (("what", 3 if fact.what else 0), ("do", 3 if fact.do else 0), ("ask", min(4, len(fact.ask)))) for _ in range(
        weight)]
    kind = pick(rng, kinds)
    if kind == "what":
        phrase = pick(rng, fact.what)
        templates = WHAT_PLURAL if phrase in PLURAL else WHAT
        return asked(rng, templates if rng.random() < 0.6 else ABOUT, change=varied, x=phrase)
    if kind == "do":
        return asked(rng, DO, change=varied, x=say(rng, pick(rng, fact.do)))
    return asked(rng, fact.ask, change=varied)


def turn_about(rng: Random, fact: Fact) -> Turn:
    return Turn(question(rng, fact), say(rng, fact.answers, **CODE), fact.short, "moegate")


def turn(rng: Random) -> Turn:
    return turn_about(rng, rng.choices(ALL, WEIGHTS)[0])
