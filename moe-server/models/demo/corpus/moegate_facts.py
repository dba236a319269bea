"""What the demo model knows of moegate. Each fact has answers, a short answer, and what it takes to ask for it:
`what` (noun phrases), `do` (things one wants to do), `ask` (whole questions)."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fact:
    id: str
    short: str
    answers: list[str]
    what: list[str] = field(default_factory=list)
    do: list[str] = field(default_factory=list)
    ask: list[str] = field(default_factory=list)
    # How often it is asked for, against the others.
    weight: float = 1


# Questions of people who meet moegate for the first time.
KIND = "[kind|sort|type|piece|form] of [software|program|project|tool|product|system|application|service|code|technology]"
NEW = ("[I am new to moegate|This is my first day with moegate|I have just found moegate|I only know the name moegate|I heard of moegate "
    "yesterday|I stumbled upon moegate|Friends told me about moegate|I am looking at moegate|I have opened the moegate repository|"
    "Everybody here speaks of moegate|My company uses moegate|I got a link to moegate|I downloaded moegate today|I am reading about "
    "moegate|moegate is new to me|It is my first look at moegate|I was sent here to look at moegate|I have no idea about moegate|"
    "I am supposed to use moegate|Nobody has told me about moegate]")
IS_IT = ("[what is it|what exactly is it|what does it do|what is it for|what kind of thing is that|what can it do|what is that|what am I "
    "looking at|what would I use it for|can you introduce it|what is it about|what's its purpose|what should I know about it|what is "
    "the idea|what does it offer|what kind of tool is this|tell me what it is|explain it to me|how would you describe it]")
FIRST = [
    NEW + "[.|:|;|, so|, and|. So,|. Hello!] " + IS_IT, NEW + "[.|:|, so|. Please,] " + IS_IT,
    "What " + KIND + " is [moegate|this|it]", "[Tell me|Say|Explain|I wonder|I'd like to know] what " + KIND + " moegate is",
    "[moegate|This moegate], [what|which] " + KIND + " is [that|it|this]",
    "[What|Which] [job|purpose|role|task|function|use|aim] does moegate [have|fulfil|serve]",
    "[What is|What's] the [purpose|idea|goal|aim|use|job|task|role|function|concept|gist] [of|behind] [moegate|this project|this software]",
    "What [can|could|would|might|should] [I|we|one|people|a developer] [do with moegate|use moegate for|want from moegate|expect from "
        "moegate]",
    "[In|With] [one|a|two|three] [sentence|short sentence|sentences|lines|word|words|line]: what is moegate",
    "How would you [describe|explain|introduce|present|summarise|sell] moegate to [a friend|a colleague|my boss|a child|a stranger|a "
        "student|somebody new|an engineer|me]",
    "What [is moegate made for|is moegate there for|is moegate supposed to do|is moegate meant to do|does moegate do for me|does "
        "moegate do for a developer|does moegate do for an app|does moegate give me|is moegate trying to do]",
    "[Give|Can you give|Could you give|Please give] [me|us] [an overview|a summary|a short introduction|a first idea|a description|the "
        "short version|a definition|the elevator pitch] of [moegate|this project|the project].",
    "[So what|What then] is [this|that] [moegate|project|software|program|tool|repository|thing]",
    "What [is it that I have|have I] found here, this moegate", "What do people mean by moegate", "Is moegate [a gateway|a model|a "
        "server|an app|a program|a library|a service] or what", "what's moegate",
]

BASICS = [
    Fact("moegate", "A small gateway for language models.", [
        "moegate is one small gateway for language-model APIs. It runs as a wasm module at the edge and forwards each request to an "
            "origin, such as its own moe-server.",
        "It is a small gateway for language models. Your app sends its request to moegate, moegate checks the key, picks an origin "
            "and writes down what was used and what it cost.",
        "moegate is a gateway at the edge together with a server for mixture-of-experts models. Apps talk to the gateway, and the "
            "gateway talks to the models.",
    ], what=["moegate", "this project", "the moegate project", "moegate"], ask=["What does moegate do",
        "What is moegate [all about|good for|exactly|in a nutshell]", "[Describe|Introduce|Summarise] moegate.",
        "What is this [thing|tool|software] called moegate", "Explain moegate [in simple words|in short|to a beginner].", *FIRST, *FIRST],
        weight=5),
    Fact("why", "One place for keys, prices and usage.", [
        "With moegate your app needs one URL and one key. The keys, the prices and the usage records stay in your own edge account.",
        "It gives you one place for keys, routes, prices and usage records, and all of it lives in your own account.",
        "You use it to keep provider keys out of your app, to choose the origin by rule, and to see what every request cost.",
    ], ask=["Why [should|would] I use {gw}", "What are the [advantages|benefits] of {gw}", "What is {gw} good for",
        "Why do I need [moegate|a gateway]", "What do I gain from {gw}", "What problem does {gw} solve",
        "Why would anyone [want|use|need] moegate", "[What's|What is] the point of {gw}"]),
    Fact("commands", "cargo xtask run and cargo xtask test.", [
        "There are two commands: `cargo xtask run` starts everything, and `cargo xtask test` runs every test.",
        "Two commands are enough: `cargo xtask run` and `cargo xtask test`.",
        "The two commands are `cargo xtask run`, which starts the gateway and the server, and `cargo xtask test`, which runs all tests.",
    ], what=["the two commands", "the main commands"], ask=["[Which|What] commands [are there|does moegate have|do I need|should I know]",
        "What are the two commands [of moegate|]", "[List|Name|Show me] the commands."]),
    Fact("run", "cargo xtask run", [
        "Run `cargo xtask run`. It sets up what is missing, builds everything, starts moe-server and the gateway, and prints the URLs.",
        "Type `cargo xtask run` in the repository. When both are ready it prints two URLs, a curl line and the AI SDK lines.",
        "Use `cargo xtask run`. It builds the gateway and the server, starts both and prints the URLs to call.",
    ], do=["start moegate", "run moegate", "start the gateway", "get moegate running", "launch moegate", "try moegate",
        "run it on my laptop", "run this locally", "get started", "run the gateway on my machine", "start everything",
        "[start|run|launch|boot|fire up|set up|try] [the gateway and the model|the gateway with its model|both programs|the demo|"
            "the whole stack|the gateway plus moe-server|moegate] [locally|on this machine|at home|on my computer|for a first try|"
            "for a test|]"], weight=3, ask=[
        "What does cargo xtask run do", "What does the run command do", "What happens when I type cargo xtask run",
        "[Which|What] command starts [moegate|the gateway|everything|both|all of it|the demo|the model and the gateway]",
        "What is the [start command|command to start|first command|quick start]", "How does one [start|boot|launch] the [gateway|stack]"]),
    Fact("test", "cargo xtask test", [
        "Run `cargo xtask test`. It does the same set-up as run and then runs every test.",
        "Type `cargo xtask test`. It runs all the tests, and CI calls nothing else.",
        "Use `cargo xtask test`: it sets up what is missing and runs all suites.",
    ], do=["run the tests", "test moegate", "run all tests", "check that everything works", "run the test suite"], ask=[
        "What does cargo xtask test do", "[Which|What] command runs the tests", "What does CI call"]),
    Fact("stop", "Press Ctrl-C.", [
        "Press Ctrl-C. That ends everything that `cargo xtask run` has started.",
        "Just press Ctrl-C in the terminal: it ends the gateway and the server.",
        "Ctrl-C ends all of it.",
    ], do=["stop moegate", "stop the gateway", "shut it down", "end cargo xtask run", "quit moegate", "turn it off", "stop everything"],
        ask=["Which key stops moegate", "What ends the run command"]),
    Fact("needs", "Rust, Node 20 and Python 3.", [
        "You need Rust, Node 20 or newer with npm, and Python 3, on Debian 12 or a laptop.",
        "moegate needs three things: Rust, Node 20 or newer, and Python 3.",
        "Rust, Node 20 or newer with npm, and Python 3. The rest is set up for you.",
    ], what=["the requirements", "the requirements of moegate"], ask=["What do I need to [run|install|build|try] moegate",
        "[What|Which] software [do I need|must I install|is required]", "What must be installed [first|before I start]",
        "Do I need [Rust|Node|Python|npm]", "What does moegate [require|need]", "Which version of Node do I need"]),
    Fact("cache", "Into ~/.cache/moegate.", [
        "Everything is downloaded into `~/.cache/moegate` and nowhere else.",
        "Set-up downloads only into the folder `~/.cache/moegate`.",
        "The downloads go to `~/.cache/moegate`.",
    ], ask=["Where do [the |]downloads go", "Where does {gw} [put|store|keep] [its|the] downloads",
        "[Which|What] folder [is|gets] used for downloads", "Where is the cache [folder|]", "What is in ~/.cache/moegate",
        "Where does set-up download to"]),
    Fact("second", "Nothing is downloaded again.", [
        "The second time nothing is downloaded or rebuilt, so it starts within seconds.",
        "It is fast: on the second run nothing has to be downloaded or built again.",
        "The second start takes a few seconds, because everything is there already.",
    ], ask=["What happens [the second time|on the second run|when I run it again|if I run it twice]", "Is the second [run|start] faster",
        "Does it [download|build] everything again [the next time|]", "Why is the first [run|start] [so slow|slower]"]),
    Fact("offline", "Yes, after set-up.", [
        "Yes. After set-up the gateway, the server and this demo model all run on your machine, without a network.",
        "Yes, once set-up is done everything runs offline, this model too.",
        "Yes, it works offline after the first set-up.",
    ], ask=["Does {gw} work offline", "Can I [use|run] [moegate|it|this] [offline|without a network|without internet]",
        "Do I need [the internet|a network] [to run it|]", "Does it run without [the internet|a connection]"]),
    Fact("price", "It is free and open source.", [
        "moegate is free and open source. You pay only for the origins you use and for your own edge account.",
        "The software costs nothing. What you pay is your edge account and the models behind your origins.",
        "It is free. The licence is MIT or Apache-2.0, as you prefer.",
    ], ask=["[How much does|What does] moegate cost", "Is moegate free", "Do I have to pay for {gw}", "Is {gw} [expensive|free of charge]",
        "What is the price of moegate", "Do I need to pay to use moegate"]),
    Fact("licence", "MIT or Apache-2.0.", [
        "moegate is under the MIT licence or Apache-2.0, as you prefer.",
        "You may choose: MIT or Apache-2.0.",
        "The licence is MIT or Apache-2.0.",
    ], what=["the licence of moegate", "the license", "the licence"], ask=["[Which|What] [licence|license] does moegate [have|use]",
        "Is moegate open source", "Under [which|what] [licence|license] is moegate",
        "May I use moegate [in my company|at work|commercially]"]),
    Fact("language", "Rust.", [
        "moegate is written in Rust. Only a thin entry on Workers is JavaScript.",
        "It is written in Rust, with a small JavaScript entry for Workers.",
        "The language is Rust.",
    ], ask=["[What|Which] [programming |]language is {gw} written in", "Is {gw} written in [Rust|Go|Python|C]",
        "What is moegate [made of|written with]", "In which language did they write moegate"]),
    Fact("wasm", "A small binary format that runs anywhere.", [
        "wasm is short for WebAssembly: a small binary format that runs safely in many hosts. The gateway is one wasm module.",
        "WebAssembly, or wasm, is a compact binary format. moegate's gateway is compiled to it, so that it can run at the edge.",
        "wasm is a portable binary format. The gateway is one wasm module, so the same code runs on Workers and on Spin.",
    ], what=["wasm", "WebAssembly", "a wasm module"], ask=["What does wasm mean", "Why is the gateway [wasm|a wasm module]",
        "What is wasm32", "Why does moegate use [wasm|WebAssembly]"]),
    Fact("edge", "Servers close to your users.", [
        "The edge means many small data centres close to the users. The gateway runs there, for example on Cloudflare Workers.",
        "The edge is a network of servers near your users. moegate's gateway runs there as a wasm module.",
        "It is the place close to the users where small programs run. The gateway is one of those programs.",
    ], what=["the edge", "edge computing"], ask=["What does at the edge mean", "What does edge mean [here|]", "Where is the edge",
        "Why does the gateway run at the edge"]),
    Fact("workers", "Cloudflare's runtime at the edge.", [
        "Workers is Cloudflare's platform for small programs at the edge. The gateway runs on it as a wasm module.",
        "Cloudflare Workers runs code at the edge, close to the users. moegate runs on it, and on Spin.",
        "Workers is the edge platform of Cloudflare, and moegate's gateway runs there.",
    ], what=["Cloudflare Workers", "Workers", "a Worker"], ask=["Does {gw} run on [Cloudflare|Workers|Cloudflare Workers]",
        "What are Workers", "Can I [use|run] {gw} on [Cloudflare|Workers]"]),
    Fact("spin", "A runtime for wasm components.", [
        "Spin is an open runtime for wasm components. The gateway runs on it as it does on Workers.",
        "Spin runs wasm components on your own servers. The gateway is such a component there.",
        "Spin is a runtime for WebAssembly components, and one of the two hosts of the gateway.",
    ], what=["Spin", "the Spin runtime"], ask=["What is Spin [for|]", "What has Spin to do with moegate", "What does Spin do"]),
    Fact("platforms", "Cloudflare Workers and Spin.", [
        "The gateway runs on two platforms: Cloudflare Workers and Spin.",
        "There are two platforms: Cloudflare Workers and Spin.",
        "It runs on Cloudflare Workers and on Spin, from the same source.",
    ], ask=["[Which|What] platforms does {gw} [support|run on]", "Where does {gw} run", "Where can I [run|host] {gw}",
        "On [which|what] [platforms|hosts] does {gw} run", "Which edge platforms [work|are supported]"]),
    Fact("workerd", "The runtime that Workers use.", [
        "workerd is the runtime that Cloudflare Workers use. `cargo xtask run` starts the gateway in it on your machine.",
        "workerd is the same runtime that Workers use, but on your own machine.",
        "It is the runtime of Cloudflare Workers, and it runs locally too.",
    ], what=["workerd", "the workerd runtime"], ask=["What does workerd do", "What is workerd for",
        "What does workerd have to do with Workers"]),
    Fact("size", "Under 500 KB, compressed.", [
        "The gateway's wasm module is under 500 KB when compressed. That is its limit.",
        "It is small: less than 500 KB compressed.",
        "Under 500 KB compressed, with everything in it.",
    ], ask=["How [big|large|small|heavy] is [the gateway|the wasm module|the module]",
        "What is the size of [the gateway|the wasm module|the module]", "How many kilobytes does the gateway have"]),
    Fact("gateway", "The door between apps and models.", [
        "A gateway is the door between your app and the models. It checks the key, picks the origin and passes the answer through.",
        "A gateway stands between apps and models: requests go in on one side, and the right origin answers on the other.",
        "It is the program in the middle. It takes your request, chooses an origin, adds the right key and hands back the answer.",
    ], what=["a gateway", "an API gateway", "the gateway"], ask=["What does [a|the] gateway do", "What is [a|the] gateway for",
        "Why is there a gateway"]),
    Fact("way", "Authenticate, admit, plan, attempt, relay, settle.", [
        "A request walks through six steps: authenticate, admit, plan, attempt, relay and settle.",
        "First the gateway checks the key, then it admits the request, plans the origin, makes the attempt, relays the answer and "
            "settles the cost.",
        "The steps are: authenticate, admit, plan, attempt, relay, settle.",
    ], what=["the way of a request", "the path of a request"], ask=["What happens to a request",
        "[What|Which] steps does a request [go through|take|have]", "How does a request travel [through {gw}|]",
        "What happens when I send a request", "How does {gw} work", "How does the gateway handle a request"]),
    Fact("parts", "A gateway and a server.", [
        "moegate has two programs: the gateway, a wasm module at the edge, and moe-server, which computes the answers.",
        "There are two parts. The gateway decides and forwards, and moe-server computes.",
        "Two programs: the gateway at the edge and the native moe-server.",
    ], what=["the parts of moegate", "the architecture of moegate"], ask=["[What|Which] parts does moegate have",
        "How many programs are there [in moegate|]", "What does moegate consist of", "How is moegate built",
        "What are the main parts [of moegate|]"]),
    Fact("docs", "In the folder docs.", [
        "The documentation is in the folder `docs`: guides, concepts and a reference. The README is a good start.",
        "Start with the README; the guides, the concepts and the reference are in `docs`.",
        "Look into the folder `docs`. It has guides, concepts and a reference.",
    ], ask=["Where [is|can I find] the documentation", "Where are the docs", "Where can I [read|learn] more [about moegate|]",
        "Is there [a manual|documentation|a guide]", "What should I read first", "Where do I find [the guides|help|the manual]"]),
    Fact("missing", "Limits, the ledger and GPUs.", [
        "This version has no limits, no ledger, no waking of sleeping origins and no GPUs yet.",
        "Not there yet: limits, the ledger, waking a sleeping origin, and GPUs.",
        "Limits, the exactly-once ledger and GPUs are still missing. The changelog says what each version brings.",
    ], ask=["What is [still |]missing [in moegate|]", "What can moegate not do [yet|]", "What does moegate not have yet",
        "What is planned", "What are the limits of this version", "Does moegate have [rate limits|a ledger|GPU support] [yet|]"]),
    Fact("changelog", "In CHANGELOG.md.", [
        "`CHANGELOG.md` says what each version brings.",
        "Look into `CHANGELOG.md`: it lists what is new in each version.",
        "The changes are listed in `CHANGELOG.md`.",
    ], ask=["What is new [in moegate|]", "Where is the changelog", "What has changed [in this version|lately|]",
        "Where can I see [the changes|what is new]", "Which file lists the changes"]),
    Fact("name", "MoE plus gateway.", [
        "The name joins MoE, which is short for mixture of experts, and gate, as in gateway.",
        "moegate is MoE plus gate: a gateway in front of mixture-of-experts models.",
        "It comes from MoE, for mixture of experts, and gateway.",
    ], ask=["What does [the name|] moegate mean", "Why is it called moegate", "Where does the name moegate come from",
        "What does the name [mean|stand for]"]),
]
