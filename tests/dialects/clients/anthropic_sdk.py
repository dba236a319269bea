"""Anthropic's own SDK (PyPI `anthropic`)."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import anthropic  # noqa: E402
import common  # noqa: E402
from common import equal, told  # noqa: E402

TOOLS = [{"name": "weather", "description": common.WEATHER_ABOUT, "input_schema": common.WEATHER_SCHEMA}]


def connect(world):
    return anthropic.Anthropic(base_url=world["baseURL"], api_key=world["apiKey"], max_retries=0)


def user(content):
    return [{"role": "user", "content": content}]


def settings(world, content, **more):
    return {"model": world["model"], "max_tokens": world.get("most", 2000), "messages": user(content)} | more


def ask(world, content, **more):
    return connect(world).messages.create(**settings(world, content, **more))


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message):
    return [block for block in message.content if block.type == "tool_use"]


def answered(question, message):
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": common.degrees(call.input["city"])} for call in calls_of(message)]
    return [*user(question), {"role": "assistant", "content": message.content}, *user(results)]


def usage(world, seen):
    common.spent(world, seen.input_tokens + seen.cache_read_input_tokens + seen.cache_creation_input_tokens, common.INPUT)
    common.spent(world, seen.output_tokens, common.OUTPUT)
    common.spent(world, seen.cache_read_input_tokens, common.READ)


def text(world):
    message = ask(world, common.SAY_HELLO)
    common.greeted(world, text_of(message))
    common.ended(world, message.stop_reason, "end_turn")
    usage(world, message.usage)


def stream(world):
    with connect(world).messages.stream(**settings(world, common.SAY_HELLO)) as events:
        deltas = list(events.text_stream)
        message = events.get_final_message()
    common.came_in_pieces(world, deltas)
    common.greeted(world, "".join(deltas))
    common.greeted(world, text_of(message))
    common.ended(world, message.stop_reason, "end_turn")
    usage(world, message.usage)


def tools(world):
    first = ask(world, common.WEATHER, tools=TOOLS)
    equal(first.stop_reason, "tool_use")
    equal([call.input for call in calls_of(first)], common.CALLS)
    told(text_of(ask(world, "", messages=answered(common.WEATHER, first), tools=TOOLS)), ["Oslo", "Bergen"])


def streamed_tools(world):
    pieces = {}
    with connect(world).messages.stream(**settings(world, common.WEATHER, tools=TOOLS)) as events:
        for event in events:
            if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                pieces.setdefault(event.index, []).append(event.delta.partial_json)
        message = events.get_final_message()
    equal(message.stop_reason, "tool_use")
    equal([call.input for call in calls_of(message)], common.CALLS)
    for index, block in enumerate(message.content):
        if block.type == "tool_use":
            equal(json.loads("".join(pieces[index])), block.input)


def structured(world):
    shape = {"format": {"type": "json_schema", "schema": common.RECIPE_SCHEMA}}
    equal(json.loads(text_of(ask(world, common.ASK_RECIPE, output_config=shape))), common.RECIPE)
    recipe = {"name": "recipe", "description": "Takes the recipe", "input_schema": common.RECIPE_SCHEMA}
    called = ask(world, common.ASK_RECIPE, tools=[recipe], tool_choice={"type": "tool", "name": "recipe"})
    equal(calls_of(called)[0].input, common.RECIPE)


def image(world):
    source = {"type": "base64", "media_type": "image/png", "data": common.PNG}
    equal(text_of(ask(world, [{"type": "text", "text": common.DESCRIBE}, {"type": "image", "source": source}])), common.SEEN)


def reasoning(world):
    more = {"tools": TOOLS, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    first = ask(world, common.THINK, **more)
    if world["reasoning"] != "counted":
        equal([block.thinking for block in first.content if block.type == "thinking"], [common.THOUGHT])
    second = ask(world, "", messages=answered(common.THINK, first), **more)
    told(text_of(second), ["Oslo"], common.carried(world))


def failing(kind, status, part, world, content):
    error = common.thrown(kind, lambda: ask(world, content))
    equal(error.status_code, status)
    equal(error.body["type"], "error")
    assert re.search(part, str(error), re.IGNORECASE), error


def rate_limit(world):
    failing(anthropic.RateLimitError, 429, "rate limit|quota|too many", world, common.RATE_LIMIT)


def wrong_key(world):
    failing(anthropic.AuthenticationError, 401, "key", world | {"apiKey": world["wrongKey"]}, common.SAY_HELLO)


def unknown_model(world):
    failing(anthropic.NotFoundError, 404, common.NO_MODEL, world | {"model": common.NO_MODEL}, common.SAY_HELLO)


def abort(world):
    with connect(world).messages.stream(**settings(world, common.slow(world))) as events:
        next(iter(events.text_stream))
    common.closed(world)


common.play({
    "PyPI anthropic": {
        "text": text, "stream": stream, "tools": tools, "streamed tools": streamed_tools, "structured output": structured,
        "image in": image, "reasoning": reasoning, "rate limit": rate_limit, "wrong key": wrong_key, "unknown model": unknown_model, "abort": abort,
    },
})
