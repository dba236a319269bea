"""LiteLLM (PyPI `litellm`) as a client: of an OpenAI-compatible server, of Anthropic's API, and of Gemini's."""

import json
import os
import re
import sys
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# LiteLLM would fetch tables of prices and of beta headers.
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}
import common  # noqa: E402
import litellm  # noqa: E402
from common import equal, told  # noqa: E402

litellm.suppress_debug_info = True
# Of its own types, about calls with a signature.
warnings.filterwarnings("ignore", message="Pydantic serializer warnings")
FUNCTION = {"name": "weather", "description": common.WEATHER_ABOUT, "parameters": common.WEATHER_SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
# What LiteLLM calls each format, and where it wants the address to end.
PREFIX = {"openai-chat": ("openai", "/v1"), "anthropic": ("anthropic", ""), "gemini": ("gemini", "/v1beta")}


# What models can do LiteLLM knows by their names; of others it has to be told.
ABILITIES = {"mode": "chat", "supports_function_calling": True, "supports_reasoning": True, "supports_response_schema": True, "supports_vision": True}


def known(world):
    """Tells LiteLLM of the model, as its docs say under "Custom pricing and models" (`register_model`)."""
    provider, _ = PREFIX[world["format"]]
    name = f"{provider}/{world['model']}"
    if world["model"].startswith("to-") and name not in litellm.model_cost:
        litellm.register_model({name: ABILITIES | {"litellm_provider": provider}})


def user(content):
    return [{"role": "user", "content": content}]


def ask(world, content, **more):
    known(world)
    provider, tail = PREFIX[world["format"]]
    call = {"messages": user(content), "api_base": world["baseURL"] + tail, "api_key": world["apiKey"], "num_retries": 0, "max_retries": 0}
    if "most" in world:
        call["max_tokens"] = world["most"]
    return litellm.completion(model=f"{provider}/{world['model']}", **(call | more))


def usage(world, seen):
    common.spent(world, seen.prompt_tokens, common.INPUT)
    common.spent(world, seen.completion_tokens, common.OUTPUT)
    common.spent(world, seen.prompt_tokens_details.cached_tokens, common.READ)


def text(world):
    answer = ask(world, common.SAY_HELLO)
    common.greeted(world, answer.choices[0].message.content)
    common.ended(world, answer.choices[0].finish_reason, "stop")
    usage(world, answer.usage)


def stream(world):
    chunks = list(ask(world, common.SAY_HELLO, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    common.came_in_pieces(world, deltas)
    common.greeted(world, "".join(deltas))
    usage(world, next(chunk.usage for chunk in reversed(chunks) if getattr(chunk, "usage", None)))


def answered(question, message):
    results = [
        {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": common.degrees(json.loads(call.function.arguments)["city"])}
        for call in message.tool_calls
    ]
    return [*user(question), message, *results]


def tools(world):
    choice = ask(world, common.WEATHER, tools=TOOLS).choices[0]
    equal(choice.finish_reason, "tool_calls")
    equal([json.loads(call.function.arguments) for call in choice.message.tool_calls], common.CALLS)
    second = ask(world, "", messages=answered(common.WEATHER, choice.message), tools=TOOLS)
    told(second.choices[0].message.content, ["Oslo", "Bergen"])


def streamed_tools(world):
    chunks = list(ask(world, common.WEATHER, tools=TOOLS, stream=True))
    message = litellm.stream_chunk_builder(chunks).choices[0].message
    equal([json.loads(call.function.arguments) for call in message.tool_calls], common.CALLS)
    second = ask(world, "", messages=answered(common.WEATHER, message), tools=TOOLS)
    told(second.choices[0].message.content, ["Oslo", "Bergen"])


def structured(world):
    shape = {"type": "json_schema", "json_schema": {"name": "recipe", "strict": True, "schema": common.RECIPE_SCHEMA}}
    equal(json.loads(ask(world, common.ASK_RECIPE, response_format=shape).choices[0].message.content), common.RECIPE)


def image(world):
    url = {"url": f"data:image/png;base64,{common.PNG}"}
    content = [{"type": "text", "text": common.DESCRIBE}, {"type": "image_url", "image_url": url}]
    equal(ask(world, content).choices[0].message.content, common.SEEN)


def reasoning(world):
    first = ask(world, common.THINK, tools=TOOLS, reasoning_effort="low", max_tokens=4000)
    message = first.choices[0].message
    if world["reasoning"] != "counted":
        equal(message.reasoning_content, common.THOUGHT)
    second = ask(world, "", messages=answered(common.THINK, message), tools=TOOLS, reasoning_effort="low", max_tokens=4000)
    told(second.choices[0].message.content, ["Oslo"], common.carried(world))


def failing(kind, part, world, content):
    error = common.thrown(kind, lambda: ask(world, content))
    assert re.search(part, str(error), re.IGNORECASE), error


def rate_limit(world):
    failing(litellm.RateLimitError, "rate limit|quota|too many", world, common.RATE_LIMIT)


def wrong_key(world):
    failing(litellm.AuthenticationError, "key", world | {"apiKey": world["wrongKey"]}, common.SAY_HELLO)


def unknown_model(world):
    failing(litellm.NotFoundError, common.NO_MODEL, world | {"model": common.NO_MODEL}, common.SAY_HELLO)


def abort(world):
    chunks = ask(world, common.slow(world), stream=True)
    next(chunk for chunk in chunks if chunk.choices[0].delta.content)
    inner = chunks.completion_stream
    close = getattr(inner, "close", None) or getattr(getattr(inner, "response", None), "close", None)
    close()
    common.closed(world)


CASES = {
    "text": text, "stream": stream, "tools": tools, "streamed tools": streamed_tools, "structured output": structured,
    "image in": image, "reasoning": reasoning, "rate limit": rate_limit, "wrong key": wrong_key, "unknown model": unknown_model, "abort": abort,
}
common.play({f"PyPI litellm ({name})": CASES for name in ("openai", "anthropic", "gemini")})
