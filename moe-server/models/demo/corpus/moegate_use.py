"""Facts on using moegate: calls, keys, origins, routes, money, streams, deploying. The code in them is exact."""

from .moegate_facts import Fact

CURL = """```console
curl -s $GATEWAY/v1/chat/completions -H "authorization: Bearer $CLIENT_KEY" -H 'content-type: application/json' -d '{"model":"demo","messages":[{"role":"user","content":"Hello"}]}'
```"""
AI_SDK = """```ts
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';

const moegate = createOpenAICompatible({
  name: 'moegate',
  baseURL: 'http://127.0.0.1:8787/v1',
  apiKey: process.env.MOEGATE_KEY,
});
```"""
PYTHON = """```python
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8787/v1", api_key="YOUR_KEY")
```"""
ORIGIN = """```toml
[[origins]]
name = "groq"
kind = "openai"
url = "https://api.groq.com/openai/v1"
secret = "GROQ_KEY"
```"""
ROUTE = """```toml
[[routes]]
model = "scout"
origin = "groq"
```"""
CODE = {"CURL": CURL, "AI_SDK": AI_SDK, "PYTHON": PYTHON, "ORIGIN": ORIGIN, "ROUTE": ROUTE}

# Ways to say that the gateway goes to Cloudflare.
ONLINE = (
    "[[put|get|bring|install|publish|host|run|have|set up|release|launch] [moegate|the gateway|my gateway|it|this|our gateway|the project|"
    "the wasm module] [on|at] [Cloudflare|Cloudflare Workers|Workers|the edge|Cloudflare's edge|a Worker|my Cloudflare account|our "
    "Cloudflare account]|[bring|ship|move|upload|push|deploy|release|roll out|transfer|send|take] [moegate|the gateway|my gateway|it|this|"
    "our gateway|the project|the wasm module] [to|over to|up to] [Cloudflare|Cloudflare Workers|Workers|the edge|production|the cloud|"
    "my Cloudflare account|the internet]|[make|get|bring|put] [moegate|the gateway|it|this] [live|online|into production|in production|"
    "on the internet]]"
)

USE = [
    Fact("curl", "Use the curl line that run prints.", [
        "Send it with curl:\n\n{CURL}",
        "This curl line works:\n\n{CURL}",
        "Here is the curl line:\n\n{CURL}",
    ], do=["call the gateway with curl", "use curl", "send a request with curl", "make a request from the terminal",
        "send a first request", "talk to the model with curl"], ask=["[What is|Show me|Give me] the curl [line|command]",
        "What does a request look like", "Show me [an example request|a request with curl]."]),
    Fact("ai_sdk", "Use @ai-sdk/openai-compatible.", [
        "Use `@ai-sdk/openai-compatible`:\n\n{AI_SDK}",
        "With the AI SDK it takes these lines:\n\n{AI_SDK}",
        "Point the AI SDK at the gateway:\n\n{AI_SDK}",
    ], do=["use the AI SDK", "connect the AI SDK", "use the Vercel AI SDK", "call moegate from the AI SDK", "set up the AI SDK",
        "use moegate in a Next.js app", "connect my JavaScript app"], ask=["Does {gw} work with the [AI SDK|Vercel AI SDK]",
        "Show me the AI SDK [lines|code|example].", "Which package do I need for the AI SDK"]),
    Fact("python", "Use the openai package.", [
        "Use the `openai` package with the gateway's URL:\n\n{PYTHON}",
        "In Python it takes two lines:\n\n{PYTHON}",
        "Give the Python client the gateway's URL and your key:\n\n{PYTHON}",
    ], do=["use moegate from Python", "call the gateway from Python", "use the Python client", "connect my Python app",
        "use the openai package", "call it in Python"], ask=["Does {gw} work with Python", "Show me the Python [code|lines|example].",
        "Is there a Python client"]),
    Fact("sdks", "The AI SDK and OpenAI's clients.", [
        "Any OpenAI client works: the Vercel AI SDK, and the `openai` packages for Node and Python.",
        "You can use the AI SDK, `openai` for Node, or `openai` for Python. Give them the gateway's URL and a client key.",
        "Tested are the AI SDK and the `openai` packages for Node and Python.",
    ], ask=["[Which|What] [SDKs|clients|libraries] [work|can I use|are supported|does moegate support]",
        "[Which|What] client [libraries|packages] work with {gw}", "Can I use the OpenAI client",
        "Does it work with OpenAI's [SDK|client]", "Is {gw} compatible with OpenAI"]),
    Fact("base_url", "The gateway's URL with /v1.", [
        "Use the gateway's URL with `/v1` at the end. Locally that is `http://127.0.0.1:8787/v1`.",
        "The base URL is `http://127.0.0.1:8787/v1` on your machine, or your Worker's URL with `/v1`.",
        "It is the gateway's address plus `/v1`, for example `http://127.0.0.1:8787/v1`.",
    ], what=["the base URL", "the URL of the gateway"], ask=["[Which|What] URL [should I use|do I call|do I need]",
        "Where do I send my requests", "[Which|What] base URL does my app need", "On [which|what] address is the gateway"]),
    Fact("ports", "8787 and 8788.", [
        "Locally the gateway listens on port 8787 and moe-server on port 8788.",
        "The gateway uses port 8787; moe-server uses port 8788.",
        "Port 8787 is the gateway and port 8788 is the server.",
    ], ask=["[Which|What] port [does {gw} use|is the gateway on|does it listen on]", "[Which|What] ports are used",
        "On which port does the gateway listen", "What is the port of [the gateway|moe-server|the server]"]),
    Fact("paths", "/v1/chat/completions, /v1/models and more.", [
        "The gateway has these paths:\n\n- `POST /v1/chat/completions`\n- `POST /v1/completions`\n- `GET /v1/models`\n- `GET "
            "/usage`\n- `GET /health`",
        "There are five: `/v1/chat/completions`, `/v1/completions`, `/v1/models`, `/usage` and `/health`.",
        "You can call `/v1/chat/completions`, `/v1/completions` and `/v1/models`, and also `/usage` and `/health`.",
    ], ask=["[Which|What] [paths|endpoints] [are there|does {gw} have|can I call]", "[List|Show me] the [paths|endpoints].",
        "What can I call [on the gateway|]", "Which API does the gateway speak"]),
    Fact("health", "Call /health.", [
        "Call `GET /health`. It answers `ok` and needs no key.",
        "Ask `/health`: it says `ok` without a key.",
        "`/health` tells you that the gateway is alive.",
    ], do=["check that the gateway is alive", "see if the gateway is up", "check the health of the gateway", "know that it is running"],
        ask=["What does /health do", "[Is there|What is] a health [check|path]", "Is there a path without a key"]),
    Fact("models_list", "Call /v1/models.", [
        "Call `GET /v1/models` with your key. It lists the models that this key may use.",
        "`/v1/models` lists the models that your key may use.",
        "Ask the gateway at `/v1/models`; the answer depends on your key.",
    ], do=["list the models", "see which models there are", "find out which models I can use", "get a list of models"], ask=[
        "What does /v1/models do", "[Which|What] models [can I use|are there|does the gateway have]", "Where is the list of models"]),
    Fact("origin", "A place that serves models.", [
        "An origin is a place that serves models, such as moe-server or any API in the style of OpenAI.",
        "Origins are the places where models live. The gateway forwards each request to one of them.",
        "It is a server behind the gateway that answers for a model: your own moe-server or a provider.",
    ], what=["an origin", "origins", "an origin in moegate"], ask=["What does origin mean", "What are origins [for|]",
        "What does an origin do"]),
    Fact("kinds", "moegate and openai.", [
        "There are two kinds of origin: `moegate`, our own moe-server, and `openai`, anything with an OpenAI-compatible API.",
        "Two kinds: `moegate` for moe-server and `openai` for every compatible API.",
        "An origin is of kind `moegate` or of kind `openai`.",
    ], ask=["[Which|What] kinds of origins? are there", "How many kinds of origin are there", "What does kind mean in an origin",
        "What is the kind of an origin", "Which origins are possible"]),
    Fact("add_origin", "Add it to moegate.toml.", [
        "Add it to `moegate.toml` and build again:\n\n{ORIGIN}",
        "Write an entry in `moegate.toml`, with the prices of its models, then deploy again:\n\n{ORIGIN}",
        "Put these lines into `moegate.toml`, then add its models with their prices and a route:\n\n{ORIGIN}",
    ], do=["add an origin", "add a new origin", "add a provider", "add another provider", "configure an origin", "connect a provider",
        "set up a new origin", "use Groq"], ask=["Where do I put a new origin", "What does an origin look like in the file"]),
    Fact("route", "It sends a model name to origins.", [
        "A route says which origins answer for a model name, and in which order. Clients ask for the model, and the route names the "
            "origins.",
        "A route connects the model name that clients ask for with one origin or with several.",
        "It is a rule: requests for this model go to these origins.",
    ], what=["a route", "routes", "a route in moegate"], ask=["What does a route do", "What are routes [for|]",
        "Who decides which origin answers"]),
    Fact("add_route", "Add a route to moegate.toml.", [
        "Add a route to `moegate.toml`:\n\n{ROUTE}",
        "Write the model and its origin into `moegate.toml`:\n\n{ROUTE}",
        "Put these lines into `moegate.toml` and build again:\n\n{ROUTE}",
    ], do=["add a route", "add a new route", "route a model", "send a model to another origin", "configure a route", "add a model"], ask=[
        "What does a route look like", "Show me a route."]),
    Fact("config", "moegate.toml", [
        "The configuration is the file `moegate.toml`. It holds origins, routes, keys and prices, and it is compiled into the gateway.",
        "Everything is configured in `moegate.toml`: origins, routes, keys, prices.",
        "It is `moegate.toml`, in the root of the repository.",
    ], what=["moegate.toml", "the configuration", "the configuration file"], do=["configure moegate", "configure the gateway",
        "change the settings", "set up the configuration"], ask=["Where is the configuration",
        "[Which|What] file holds the [configuration|settings]", "What is in moegate.toml"]),
    Fact("check", "moegate check", [
        "Run `cargo run -p moegate-cli -- check`. It says what is wrong and which secrets are needed.",
        "Use `moegate check`: it reads `moegate.toml` and names every mistake.",
        "`moegate check` tells you whether the file is good, and lists the secrets it needs.",
    ], do=["check my configuration", "check moegate.toml", "validate the configuration", "find mistakes in moegate.toml",
        "know if my configuration is right"], ask=["What does moegate check do", "Is there a validator"]),
    Fact("bad_config", "The build stops and names the field.", [
        "A mistake in `moegate.toml` stops the build and names the field, so a bad configuration never gets out.",
        "The build stops and tells you the field that is wrong.",
        "Then the gateway is not built: the message names the field.",
    ], ask=["What happens [if|when] [my configuration|moegate.toml|the configuration] [is wrong|has a mistake|is bad]",
        "What if I make a mistake in moegate.toml", "What if the configuration is wrong"]),
    Fact("key", "A password for an app.", [
        "A client key is what your app sends to the gateway, as a bearer token. The gateway stores only its SHA-256 hash.",
        "It is your app's password for the gateway. Only its hash is stored.",
        "Apps show a client key with each request. The gateway compares its hash and never sends it on.",
    ], what=["a client key", "client keys", "a key in moegate"], ask=["What are keys for", "What is a client key for",
        "What does the key do"]),
    Fact("new_key", "moegate keys new", [
        "Run `cargo run -p moegate-cli -- keys new`. It prints the key for its holder and the hash for the secret.",
        "Use `moegate keys new`: you get the key and its hash.",
        "`moegate keys new` makes one. Give the key to the app and put the hash into the secret.",
    ], do=["make a key", "create a new key", "get a client key", "make a key for my app", "add a key", "generate a key",
        "give someone access"], ask=["Which command makes a key", "Where do I get a key", "Where does my key come from"]),
    Fact("local_keys", "In .moegate/keys.json.", [
        "Locally the keys are in `.moegate/keys.json`. They are made at random on first use.",
        "Look into `.moegate/keys.json`: run makes the keys there the first time.",
        "They are in `.moegate/keys.json`, readable by you alone.",
    ], ask=["Where [do|did] [the keys of my machine|my local keys|the generated keys] [live|go]", "[In|Under] which [path|file|folder] are [my|the|"
        "the local|the random] keys [kept|written|to be found|on my disk]", "[Where|In which file] does cargo xtask run [keep|write|save|"
        "leave] [the|its|my] keys", "I [lost|can't find|am looking for|need] [my|the] [local|client|generated] key. Where is it",
        "Where are [my|the] [local |]keys", "Where [can I find|is] the [client|local|admin] key", "Where does run put the keys",
        "[Which|What] file holds the [local |]keys"]),
    Fact("admin_key", "It may read /usage.", [
        "The admin key may read `/usage`. It is not a client key and cannot call a model.",
        "It is the key that opens `/usage`, and nothing else.",
        "With the admin key you read the usage sums. Models want a client key.",
    ], what=["the admin key", "an admin key"], ask=["What is the admin key for", "Who may read the usage", "Which key opens /usage"]),
    Fact("limit_key", "Give the key a list of models.", [
        "Give the key a list called `models` in `moegate.toml`. Other models then answer 403.",
        "Write `models` at the key: it may use those and no others.",
        "A key with a list of `models` may use only these.",
    ], do=["limit a key to some models", "restrict a key", "allow only one model for a key", "stop a key from using a model"], ask=[
        "Can a key be limited to [some models|one model]", "May every key use every model"]),
    Fact("secret", "The origin's own key.", [
        "A secret is the key of an origin. It belongs to that one origin and is never sent anywhere else.",
        "Secrets are the keys that the gateway shows to its origins. Each belongs to exactly one origin.",
        "It is an origin's key. The file has only its name; the value is a platform secret.",
    ], what=["a secret", "secrets", "an origin's secret"], ask=["What does it mean that a secret belongs to one origin",
        "Can a secret go to [another|the wrong] origin", "Who gets to see a secret"]),
    Fact("set_secret", "cargo xtask wrangler secret put NAME", [
        "Run `cargo xtask wrangler secret put NAME`, with the name that `moegate check` lists.",
        "Use `cargo xtask wrangler secret put NAME` for each secret.",
        "Type `cargo xtask wrangler secret put NAME` and then the value.",
    ], do=["set a secret", "put a secret", "store a provider's key", "add a secret", "store my API key", "set the origin's key"], ask=[
        "Where do [secrets|provider keys|API keys] go", "Which command sets a secret", "Where do I put my provider's key",
        "Where [does|should|must|will] [the provider's key|my OpenAI key|the API key of an origin|an origin's key|my Groq key] [go|live|be "
        "put|be stored]", "How do I [give|tell|hand] the gateway [my provider's key|a secret|the key of an origin]"]),
    Fact("key_upstream", "No, never.", [
        "No. A client's key never goes upstream; the origin sees only its own key.",
        "No, your key stays at the gateway. The origin gets the key that belongs to it.",
        "Never. The gateway keeps the client's key and sends the origin's own key instead.",
    ], ask=["Does my key go [upstream|to the origin|to the provider]", "Does the [origin|provider] see my [key|client key]",
        "Is my key sent [on|upstream|to the provider]", "Will the provider see my client key"]),
    Fact("redirects", "They are not followed.", [
        "Redirects are never followed, since a secret must not go to another place. The client gets 502.",
        "A redirect is not followed. It is answered with 502, so that no secret goes astray.",
        "The gateway does not follow redirects: the client gets 502.",
    ], ask=["Does {gw} follow redirects", "What happens [if|when] [an origin|a provider] redirects", "Are redirects followed"]),
    Fact("deploy", "cargo xtask wrangler deploy", [
        "Run `cargo xtask wrangler deploy`, then set each secret with `cargo xtask wrangler secret put NAME`.",
        "To deploy:\n\n1. Describe your origins in `moegate.toml`.\n2. Run `cargo xtask wrangler deploy`.\n3. Set the secrets.",
        "`cargo xtask wrangler deploy` builds the module, makes the KV namespace and uploads. Then set the secrets.",
    ], do=["deploy moegate", "deploy the gateway", "deploy to Cloudflare", "put moegate online", "deploy to Workers",
        "publish the gateway", "go to production", "deploy it", ONLINE, ONLINE, ONLINE, ONLINE], ask=[
        "Which command deploys [the gateway|moegate|it]", "What do I need to deploy", "How is moegate deployed",
        "How does [moegate|the gateway|my gateway|it] [get|come|go] [to Cloudflare|to Workers|to the edge|live|to production]",
        "[What is|What's] the [deploy|upload|release|Cloudflare|Workers|wrangler|production] command",
        "Which command [uploads|publishes|releases|ships|installs] [the gateway|moegate|the module|the Worker|it]",
        "[Deployment|Deploying|Going live|Publishing|Hosting it] [to Cloudflare|on Workers|on the edge|]: how does [that|it] work"],
        weight=3),
    Fact("spin_run", "spin build and spin up", [
        "Run `spin build` and then `spin up`. With `cargo xtask run --host spin` the model server starts too.",
        "Use `cargo xtask run --host spin` on your machine. `spin build` and `spin up` do it with Spin alone.",
        "`spin build` makes the component and `spin up` starts it. The secrets are Spin's variables.",
    ], do=["run the gateway on Spin", "use Spin", "run moegate with Spin", "start it in Spin", "host it on Spin", "deploy to Spin",
        "[put|get|bring|install|run|host|start|publish] [moegate|the gateway|my gateway|it|this] [on|with|under|in] Spin"], ask=[
        "Which command starts [the gateway|moegate|it] [on|in|under] Spin", "What does cargo xtask run --host spin do",
        "Can [I|we] [run|host|use] [moegate|the gateway|it] [on|with] Spin", "What are the Spin commands"], weight=1.5),
    Fact("change", "Change moegate.toml and deploy again.", [
        "Change `moegate.toml` and deploy again: the file is checked and compiled in when the module is built.",
        "A changed `moegate.toml` takes a new deploy.",
        "You have to deploy again after a change of `moegate.toml`.",
    ], ask=["Do I have to deploy again after a change", "What do I do after [a change|I changed moegate.toml]",
        "How do changes [of the configuration|in moegate.toml] take effect",
        "Is a new deploy needed when I change [the configuration|moegate.toml]"]),
    Fact("own_model", "cargo xtask run --model FILE", [
        "Run `cargo xtask run --model FILE` with a GGUF file of Llama 4.",
        "Use `cargo xtask run --model FILE`: the file must be a GGUF of Llama 4.",
        "Give run your file: `cargo xtask run --model FILE`.",
    ], do=["use my own model", "run another model", "use a bigger model", "serve a real model", "change the model",
        "replace the demo model", "use a better model"], ask=["Can I [use|run] [another|my own|a bigger|a different] model",
        "Which option sets the model"]),
]
