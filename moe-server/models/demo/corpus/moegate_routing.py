"""Facts on how the gateway picks origins, and on what it does when one fails."""

from .moegate_facts import Fact

ORIGIN = "[an origin|the origin|a provider|the provider|one origin|the first origin|the main origin|my provider|a vendor]"
DOWN = ("[is down|fails|cannot be reached|is not reachable|is offline|does not answer|is too slow|gives an error|times out|answers with 500|is "
    "unavailable|has an outage|is broken|refuses|does not work]")

ROUTING = [
    Fact("fallback", "The next origin takes over.", [
        "The gateway falls over to the next origin of the route when one fails before the first content.",
        "If an origin fails before the first content, the gateway tries the next one of the route. The client does not notice.",
        "Fallback means that another origin takes over: the route lists several, and the gateway tries the next when one fails.",
    ], what=["fallback", "the fallback", "failover", "falling over to another origin"], do=["use a fallback", "set up a fallback",
        "have a second origin", "survive an outage of my provider", "use a backup provider"], ask=[
        "Does {gw} [have|support|do|offer] [fallback|fallbacks|failover|retries]", "[What happens|What does {gw} do] [when|if] " + ORIGIN + " " + DOWN,
        "[What if|And if|Suppose] " + ORIGIN + " " + DOWN, "[Is there|Do you have] [a fallback|failover|a plan B]",
        "[When|If] " + ORIGIN + " " + DOWN + ", [does another take over|what happens|is there a fallback|what does moegate do]",
        "When does {gw} [try|take|use] [the next|another|a second] origin"], weight=2),
    Fact("rules", "In order, by weight or by condition.", [
        "A route lists its origins in order, with weights, or under conditions. The gateway tries them as the route says.",
        "There are three ways: origins in order, origins by weight, and origins by condition.",
        "By the route: it names origins in order, weighted, or by condition.",
    ], ask=["How does {gw} [pick|choose|find|select] [the|an] origin", "Can a route have [several|two|many|more than one] origins",
        "[Can I|How can I|How do I] [split|balance|divide|spread] [traffic|requests|the load] [between|over|among] [origins|providers|two origins]",
        "What are [weights|conditions] in a route", "In which order are the origins tried", "Does {gw} [do|support] load balancing",
        "[Which|What] [rules|ways|kinds of rules] can a route have", "How does a route choose [among|between] its origins"]),
    Fact("budget", "For attempts, time and money.", [
        "Each request has one budget over all its attempts: a number of attempts, a time and an amount of money.",
        "One budget covers the whole request: attempts, time and money. When it is used up, no other origin is tried.",
        "It is one limit per request for attempts, time and money together, however many origins are tried.",
    ], what=["the budget of a request", "a request's budget", "the retry budget"], ask=[
        "How [often|many times|long] does {gw} [retry|try again|try]", "How many attempts does a request [have|get]",
        "What limits the [retries|attempts]", "Does {gw} retry [forever|without end]", "When does {gw} [give up|stop trying]",
        "What keeps retries from [getting expensive|costing too much]"]),
    Fact("retry_after", "Yes, it is honoured.", [
        "Yes. When an origin sends `Retry-After`, the gateway waits that long before it asks this origin again.",
        "`Retry-After` is honoured: the origin is not asked again before that time.",
        "The gateway honours `Retry-After`, as far as the budget of the request allows.",
    ], what=["Retry-After", "the header Retry-After"], ask=["Does {gw} [honour|respect|obey|read|follow] Retry-After",
        "What does {gw} do with Retry-After", "[What happens|What does {gw} do] [when|if] an origin [says 429|is rate limited|sends Retry-After|asks to "
        "wait|has too many requests]", "Is Retry-After [honoured|respected|ignored]"]),
    Fact("breaker", "It leaves out a failing origin.", [
        "A circuit breaker leaves out an origin that keeps failing, and tries it again later.",
        "When an origin keeps failing, the circuit breaker leaves it out for a while, so that no request waits for it.",
        "It is a guard for each origin: after many failures the origin is left out for some time.",
    ], what=["a circuit breaker", "the circuit breaker", "the breaker"], ask=["What does the circuit breaker do",
        "Does {gw} have a circuit breaker", "What happens [when|if] an origin [keeps failing|fails again and again|fails all the time|fails many times]",
        "When is an origin left out", "How does {gw} [avoid|skip|leave out] [bad|dead|failing|broken] origins"]),
    Fact("continue", "Another origin goes on with it.", [
        "With `continue` in the route, another origin goes on with a stream that broke, from where it stopped.",
        "`continue` lets another origin go on with a broken stream. Without it the client gets `stream_truncated`.",
        "It tells the gateway that another origin may go on with a stream that broke off.",
    ], what=["the option continue", "continue in a route", "continuing a stream"], do=["go on with a broken stream",
        "continue a stream that broke", "rescue a broken stream", "save a stream when the origin dies"], ask=["What does continue [do|mean] [in a route|]",
        "Can {gw} [continue|go on with|resume|repair|save] a [stream that broke|broken stream]",
        "Can another origin [go on|continue|take over] in the middle of a stream"]),
    Fact("idempotency", "It is answered once.", [
        "Requests with the same `Idempotency-Key` are answered once: a retry gets the same answer and is not billed again.",
        "Send an `Idempotency-Key`. When your app tries again with the same key, the request is answered only once.",
        "It marks a request, so that a retry with the same key is not answered twice.",
    ], what=["an Idempotency-Key", "the Idempotency-Key", "the header Idempotency-Key", "idempotency"], do=["avoid paying twice for a retry",
        "retry a request safely", "avoid double answers"], ask=["What does [Idempotency-Key|the Idempotency-Key] do",
        "What happens [when|if] [my app|the client] [sends|repeats] a request [twice|again] with the same key",
        "Is a retried request [billed|answered|counted] twice", "Do I pay twice [for a retry|when my client tries again]"]),
]
