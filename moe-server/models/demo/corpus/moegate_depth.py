"""Facts on usage and money, streams, errors, moe-server and mixtures of experts."""

from .moegate_facts import Fact

# A client that leaves a stream, and an origin that breaks one off: who, what and when.
THEN = "[What happens|What does moegate do|What does the gateway do|What comes next|What is done|What will the gateway do|What's the effect]"
THEN_BEHIND = "[What happens then|What then|What does moegate do|What will the gateway do|Does it go on|What comes of the stream|And now]"
CLIENT = ("[a client|the client|the user|a user|someone|somebody|a reader|a customer|a visitor|the browser|the caller|the person|my "
    "customer|an app|one of my users|the phone]")
GOES = ("[leaves|goes away|disconnects|hangs up|stops reading|aborts|cancels|quits|gives up|walks away|presses stop|clicks cancel|loses "
    "the connection|goes offline|switches off|leaves the page|closes the window|closes the page|closes the chat|closes the program|shuts "
    "the browser|shuts the laptop|shuts the app|ends the app|kills the app|quits the program|reloads the page|swipes the app away|drops "
    "the call|closes it|is gone|vanishes]")
WHEN = ("[halfway|midway|mid-stream|too early|before the end|during a stream|while it streams|while the answer is coming|before the answer "
    "is complete|while tokens are still coming|half way through the answer|during the generation|before the last token|after a few "
    "words|while the model is writing|in mid-answer|]")
LEAVES = [
    THEN + " [when|if|once|as soon as] " + CLIENT + " " + GOES + " " + WHEN, "[What if|And if|Suppose] " + CLIENT + " " + GOES + " " + WHEN,
    "[If|When] " + CLIENT + " " + GOES + " " + WHEN + ", [what happens|what does moegate do|does the model go on|do I still pay|what then|is "
        "the model stopped|who pays]",
    "[Say|Suppose|Imagine|Assume] " + CLIENT + " " + GOES + " " + WHEN + ". " + THEN_BEHIND,
    "[Do I pay|Does the model keep writing|Is the generation stopped|Is anything billed|Does moe-server stop] [when|if] " + CLIENT + " " + GOES
        + " " + WHEN,
]
ORIGIN = "[the origin|an origin|the provider|the model server|moe-server|the upstream|the server|the vendor|the machine with the model]"
FAILS = ("[dies|crashes|breaks off|goes down|stops|fails|falls over|hangs up|cuts the stream|drops the connection|breaks the stream|is "
    "killed|loses power|restarts|goes silent]")
AFTER = "[in mid-stream|halfway|midway|after some tokens|before the end mark|while it streams|during a stream|while streaming|in mid-answer]"
DIES = [
    THEN + " [when|if|once] " + ORIGIN + " " + FAILS + " " + AFTER, "[What if|And if|Suppose] " + ORIGIN + " " + FAILS + " " + AFTER,
    "[If|When] " + ORIGIN + " " + FAILS + " " + AFTER + ", what does [the client|my app|the user|my program] [see|get|receive|notice]",
    "[Say|Suppose|Imagine] " + ORIGIN + " " + FAILS + " " + AFTER + ". What does [the client|my app|the user] [see|get|receive]",
]

DEPTH = [
    Fact("record", "A note of what a request used.", [
        "A usage record says what one request used: the key's name, the model, the origin, the tokens, the ending and the cost.",
        "For each request there is one record, with its tokens, its ending and its cost. It holds no text.",
        "It is a small note in the store about one request: tokens, ending, times and cost.",
    ], what=["a usage record", "usage records", "a record"], ask=["What is in a [usage |]record", "What does {gw} write down",
        "What is recorded", "What does a record hold"]),
    Fact("usage", "Call /usage with the admin key.", [
        "Call `GET /usage?period=2026-11` with the admin key. It shows requests, tokens and cost.",
        "Ask `/usage` with the admin key; `period` is a year, a month or a day.",
        "`GET /usage` adds it all up by key, model and origin. It wants the admin key.",
    ], do=["see my usage", "see what I have used", "find out what it has cost", "read the usage", "get the usage of this month",
        "see the costs", "check my spending"], ask=["What does /usage [do|show]", "Where can I see [the costs|my usage|what I spent]",
        "What did my requests cost"]),
    Fact("kv", "In edge KV.", [
        "The usage records are in the edge's key-value store, in your own account.",
        "They are kept in edge KV, one record for each request.",
        "In edge KV, under `usage`, the day and the id.",
    ], ask=["Where are the [usage |]records [stored|kept|saved|]", "Where does {gw} [store|keep|save] the usage", "What is stored in KV",
        "What is edge KV for", "Which store holds the usage"]),
    Fact("nano", "A billionth of a dollar.", [
        "A nano-dollar is a billionth of a dollar. moegate counts money in whole nano-dollars, so that nothing is lost by rounding.",
        "It is one billionth of a dollar. Costs are whole numbers of nano-dollars.",
        "One dollar is a billion nano-dollars. moegate uses them to count costs exactly.",
    ], what=["a nano-dollar", "nano-dollars", "a nanodollar"], ask=["How much is a nano-dollar", "Why does {gw} count in nano-dollars",
        "Why nano-dollars", "In which unit is the cost", "[How much|What] is [a|one|a single] nano-dollar [in dollars|in money|in US "
        "dollars|in cents|of a dollar]", "[What is|What's|Tell me] the value of [a|one|a single] [nano-dollar|nanodollar]",
        "What [part|fraction|share] of a dollar is [a|one] [nano-dollar|nanodollar]", "[Convert|Change|Turn] [a|one] nano-dollar [into|to] "
        "dollars.", "How many [nano-dollars|nanodollars] [are in|are there in|make|make up|are|give|add up to] [a|one|one whole] dollar",
        "[How small|How little|How tiny|How large|How big] is [a|one] nano-dollar", "One nano-dollar is [how much|what in dollars|how many "
        "dollars]", "[What does|How much does] [a|one] nano-dollar [amount to|come to|equal|stand for|buy]", "[Which|What] unit [is money counted in|does moegate use for "
        "money|are costs in|do the sums have|does the usage have]"], weight=2.5),
    Fact("prices", "Dollars per million tokens.", [
        "Prices are in dollars per million tokens, written in `moegate.toml` for each model of an origin.",
        "You write them into `moegate.toml`: dollars per million tokens, one for input and one for output.",
        "They are yours to set, in dollars per million tokens. The gateway never fetches any.",
    ], do=["set a price", "set the prices", "change a price"], ask=["Where do the prices come from", "How are prices [given|written|set]",
        "In which unit are the prices", "Does {gw} [know|fetch] the prices"]),
    Fact("cost", "Tokens times price, rounded once.", [
        "The cost is the tokens times their prices, added up and rounded once to nano-dollars.",
        "Each part of the usage is multiplied by its price, and the sum is rounded once.",
        "The gateway multiplies the tokens by your prices and rounds once, at the end.",
    ], ask=["How is the cost [computed|calculated|counted|worked out]", "How does {gw} [compute|calculate] the cost",
        "What does a request cost", "How do you get the cost of a request", "How are costs rounded"]),
    Fact("see_cost", "In usage.cost.", [
        "The cost of a request is in `usage.cost` of the answer, in dollars, and in the header `x-moegate-cost`.",
        "Look at `usage.cost` in the answer: it is in dollars.",
        "It is in the answer, under `usage.cost`.",
    ], ask=["Where [do I see|can I see|is] the cost of [a|one|my] request", "Which field [has|holds] the cost",
        "Does the answer say what it cost", "How do I know what one request cost"]),
    Fact("text_stored", "No, records hold no text.", [
        "No. A usage record holds no text, no key and no URL.",
        "No, the prompts and answers are not stored. Records hold numbers and names only.",
        "No. Nothing of what you write is kept in the records.",
    ], ask=["Does {gw} [store|keep|save|log] my [prompts|texts|messages]", "Are my [prompts|messages|texts] [stored|saved|logged|kept]",
        "Is my data [stored|kept]", "Is the text of a request stored"]),
    Fact("token", "A piece of text.", [
        "A token is a small piece of text, often a word or a part of one. Models read and write tokens.",
        "Models cut text into tokens. A token is about a word, or a part of one.",
        "It is a piece of text, such as a short word. Prices are counted in tokens.",
    ], what=["a token", "tokens"], ask=["What does token mean", "What are tokens"]),
    Fact("stream", "An answer that comes piece by piece.", [
        "A stream is an answer that comes piece by piece, while the model is still writing.",
        "When you ask for a stream, the answer comes token by token instead of all at once.",
        "It is an answer in small pieces, sent as soon as they are there.",
    ], what=["a stream", "streaming", "a streamed answer"], ask=["What does streaming mean", "Why should I stream"]),
    Fact("do_stream", "Set stream to true.", [
        "Set `\"stream\": true` in the request. The AI SDK does it for you with `streamText`.",
        "Add `\"stream\": true` to the body, or use `streamText` of the AI SDK.",
        "Ask for it with `\"stream\": true`.",
    ], do=["stream an answer", "get a stream", "turn on streaming", "ask for a stream", "stream the tokens"], ask=[
        "Does {gw} support streaming", "Which field turns on streaming"]),
    Fact("relay", "Streams pass unread.", [
        "Relay means that a stream from moe-server passes through the gateway unread. The usage comes from a signed receipt.",
        "With relay the gateway hands the stream to the runtime's own pipe and looks at no byte of it.",
        "It is the fast way for streams from our own server: not one byte is looked at.",
    ], what=["relay", "a relayed stream", "the relay way"], ask=["What does relay mean", "How does relay work", "When is a stream relayed"]),
    Fact("pump", "Each chunk is scanned as it passes.", [
        "Pump means that each chunk of a stream goes past a scanner, which finds usage, errors and the end.",
        "With pump the gateway looks at every chunk as it passes. It is the way for third parties.",
        "It is the way for streams of other providers: a scanner reads the usage from them.",
    ], what=["pump", "a pumped stream", "the pump way"], ask=["What does pump mean", "How does pump work", "When is a stream pumped"]),
    Fact("relay_pump", "Relay is unread, pump is scanned.", [
        "A relayed stream passes unread and is counted by a receipt. A pumped stream is scanned for its usage as it passes.",
        "Relay does not look at the stream; pump looks at every chunk. Relay is for moe-server, pump for all others.",
        "There are two ways: relay for our own server, unread, and pump for third parties, scanned.",
    ], what=["the difference between relay and pump", "relay and pump"], ask=["[How do|In what way do] relay and pump differ",
        "Relay or pump", "[Which|What] ways [are there for streams|can a stream go]", "Which is faster, relay or pump",
        "How does a stream pass through {gw}"]),
    Fact("receipt", "A signed note from moe-server.", [
        "A receipt is a signed note from moe-server. It says how many tokens a request used and how it ended.",
        "moe-server signs a receipt for each request, with the tokens, the times and the ending.",
        "It is moe-server's signed word on what a request used.",
    ], what=["a receipt", "receipts", "a signed receipt"], ask=["What is in a receipt", "What are receipts for", "Who signs the receipt",
        "How does the gateway count a relayed stream"]),
    Fact("endings", "Complete, error, cancelled, truncated.", [
        "There are four endings: complete, error, cancelled and truncated.",
        "An answer ends as complete, error, cancelled or truncated.",
        "Four: complete, error, cancelled, truncated.",
    ], ask=["[How can|How does] [an answer|a stream|a request] end", "[Which|What] endings are there", "How many endings are there",
        "What can the ending of a record be", "What does the ending in a record mean"]),
    Fact("broken", "An error event and no end mark.", [
        "Then the client gets the error `stream_truncated` and no `DONE` mark, unless the route says `continue`.",
        "The origin broke off: the client sees the error `stream_truncated`. With `continue` another origin goes on with the stream.",
        "When the origin breaks off, the client gets an error event instead of the end mark, and the record says truncated.",
    ], ask=["What happens [if|when] [a stream|the stream] [breaks|breaks off|is cut|dies]",
        "What happens when the origin dies in the middle of a stream", "What does stream_truncated mean",
        "What if the server crashes during a stream", *DIES, *DIES], weight=2),
    Fact("leaves", "The generation stops.", [
        "When the client leaves, the gateway closes the origin's connection and the generation stops. The record says cancelled.",
        "The client is gone, so the upstream is stopped within about a second, and the record says cancelled.",
        "Then moe-server ends the generation, so that nobody pays for tokens that nobody reads. The record says cancelled.",
    ], ask=["What happens [if|when] [a client|the client|my app|the user] [leaves|goes away|disconnects|closes the connection]",
        "What if the client leaves", "Does the model go on when I close the connection", "What happens when I abort a request",
        "What happens to the answer if the client goes away", *LEAVES, *LEAVES], weight=3),
    Fact("e401", "The key is wrong or missing.", [
        "401 `invalid_api_key` means that the key is missing or unknown. Send a client key as a bearer token.",
        "The gateway does not know your key. Check the header `authorization: Bearer` and the key.",
        "It means that no valid key came with the request.",
    ], what=["error 401", "a 401"], ask=["What does [401|error 401|invalid_api_key] mean",
        "Why do I get [401|a 401|error 401|unauthorized]", "I get 401, what is wrong", "The gateway says invalid_api_key, why",
        "What happens if my key is wrong"]),
    Fact("e403", "This key may not use that model.", [
        "403 `model_not_allowed` means that your key may not use this model.",
        "The key has a list of models, and this model is not in it.",
        "It means that the key is good, but not for this model.",
    ], what=["error 403", "a 403"], ask=["What does [403|error 403|model_not_allowed] mean", "Why do I get [403|a 403|error 403]",
        "I get 403, what is wrong", "The gateway says model_not_allowed, why"]),
    Fact("e404", "The model or path is unknown.", [
        "404 means that there is no such model or path. The message lists the models that there are.",
        "The gateway does not know this model or this path. Read the message: it lists what there is.",
        "It means `model_not_found` or `not_found`. Check the name of the model.",
    ], what=["error 404", "a 404"], ask=["What does [404|error 404|model_not_found] mean", "Why do I get [404|a 404|error 404]",
        "I get 404, what is wrong", "The gateway says model_not_found, why", "What happens if I ask for an unknown model"]),
    Fact("e413", "The body is too large.", [
        "413 `body_too_large` means that the request's body is over the limit, which is 32 MiB by default.",
        "The body is too large. The limit is 32 MiB.",
        "It means that you sent more than the gateway takes: 32 MiB at most.",
    ], what=["error 413", "a 413"], ask=["What does [413|error 413|body_too_large] mean", "Why do I get [413|a 413|error 413]",
        "How large may a request be", "What is the largest body", "What is the size limit of a request"]),
    Fact("e502", "The origin failed.", [
        "502 means that the origin failed and no other could take over: it was not reachable, broke off, or made no sense.",
        "The gateway is fine, but the origin behind it is not. The code says more, such as `origin_unreachable`.",
        "It means trouble at the origin, for example `origin_unreachable` or `origin_broke_off`.",
    ], what=["error 502", "a 502"], ask=["What does [502|error 502|origin_unreachable|origin_broke_off] mean",
        "Why do I get [502|a 502|error 502]", "I get 502, what is wrong", "What is the reason for [a 502|502]"]),
    Fact("e504", "The origin was too slow.", [
        "504 `origin_timeout` means that the origin gave no answer in time. The limit is 240 seconds by default.",
        "The origin was too slow: nothing came within `first_byte_timeout_s`.",
        "It means that the first byte did not come in time, 240 seconds by default.",
    ], what=["error 504", "a 504"], ask=["What does [504|error 504|origin_timeout] mean", "Why do I get [504|a 504|error 504|a timeout]",
        "I get 504, what is wrong", "What is the timeout", "How long does {gw} wait for an origin"]),
    Fact("e500", "A secret is missing, or a fault.", [
        "500 `secret_missing` means that a platform secret has no value; the message names it. `internal` is a fault of the gateway.",
        "Often a secret has no value yet. Read the message and set it with `cargo xtask wrangler secret put NAME`.",
        "It means `secret_missing`, or a fault inside the gateway.",
    ], what=["error 500", "a 500"], ask=["What does [500|error 500|secret_missing] mean", "Why do I get [500|a 500|error 500]",
        "I get 500, what is wrong", "The gateway says secret_missing, why", "What happens if a secret is missing"]),
    Fact("e400", "The request is malformed.", [
        "400 means that the request's body is wrong, for example not JSON. The field `param` names what is wrong.",
        "Something in the body is wrong: `invalid_json`, `wrong_type` or `missing_field`.",
        "The body is not right. Look at `param`: it names the field.",
    ], what=["error 400", "a 400"], ask=["What does [400|error 400|invalid_json|missing_field] mean",
        "Why do I get [400|a 400|error 400|a bad request]", "I get 400, what is wrong", "The gateway says invalid_json, why"]),
    Fact("errors", "OpenAI's shape.", [
        "Errors have OpenAI's shape, with message, type, param and code, so that the SDKs understand them.",
        "They look like OpenAI's errors, so each SDK raises its own error classes.",
        "An error has a message, a type, a param and a code, as OpenAI's have.",
    ], ask=["What do [the |]errors look like", "[What|Which] shape do errors have", "How does {gw} report errors",
        "What is the format of an error", "How are errors reported"]),
    Fact("headers", "They say who answered.", [
        "Headers say who answered: `x-moegate-request-id`, `x-moegate-origin`, `x-moegate-model`, `x-moegate-attempts` and "
            "`x-moegate-cost`.",
        "Look at the headers that begin with `x-moegate`: request id, origin, model, attempts and cost.",
        "The answer's headers name the request, the origin, the model, the attempts and the cost.",
    ], ask=["[Which|What] headers does {gw} [send|add|set]", "[Which|What] headers come back",
        "How do I know [who|which origin|which model] answered", "What are the x-moegate headers", "What does x-moegate-request-id mean"]),
]
