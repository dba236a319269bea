"""OpenAI's own SDK (PyPI `openai`): chat completions, and Responses."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import common  # noqa: E402
import openai  # noqa: E402
from common import equal, told  # noqa: E402

IMAGE = f"data:image/png;base64,{common.PNG}"
FUNCTION = {"name": "weather", "description": common.WEATHER_ABOUT, "parameters": common.WEATHER_SCHEMA, "strict": True}
CHAT_TOOLS = [{"type": "function", "function": FUNCTION}]
TOOLS = [{"type": "function", **FUNCTION}]


def connect(world):
    return openai.OpenAI(base_url=f"{world['baseURL']}/v1", api_key=world["apiKey"], max_retries=0)


def user(content):
    return [{"role": "user", "content": content}]


def ask(world, content, **more):
    return connect(world).chat.completions.create(model=world["model"], **({"messages": user(content)} | more))


def respond(world, given, **more):
    return connect(world).responses.create(model=world["model"], input=given, store=False, **more)


def errors(asked):
    def failing(kind, status, part, world, content):
        error = common.thrown(kind, lambda: asked(world, content))
        equal(error.status_code, status)
        assert re.search(part, str(error), re.IGNORECASE), error

    return {
        "rate limit": lambda world: failing(openai.RateLimitError, 429, "rate limit|quota|too many", world, common.RATE_LIMIT),
        "wrong key": lambda world: failing(openai.AuthenticationError, 401, "key", world | {"apiKey": world["wrongKey"]}, common.SAY_HELLO),
        "unknown model": lambda world: failing(openai.NotFoundError, 404, common.NO_MODEL, world | {"model": common.NO_MODEL}, common.SAY_HELLO),
    }


def usage(world, seen):
    common.spent(world, seen.prompt_tokens, common.INPUT)
    common.spent(world, seen.completion_tokens, common.OUTPUT)
    common.spent(world, seen.prompt_tokens_details.cached_tokens, common.READ)


def chat_text(world):
    answer = ask(world, common.SAY_HELLO)
    common.greeted(world, answer.choices[0].message.content)
    common.ended(world, answer.choices[0].finish_reason, "stop")
    usage(world, answer.usage)


def chat_stream(world):
    chunks = list(ask(world, common.SAY_HELLO, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    common.came_in_pieces(world, deltas)
    common.greeted(world, "".join(deltas))
    usage(world, chunks[-1].usage)


def answered(question, message):
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": common.degrees(json.loads(call.function.arguments)["city"])}
        for call in message.tool_calls
    ]
    return [*user(question), message, *results]


def chat_tools(world):
    choice = ask(world, common.WEATHER, tools=CHAT_TOOLS).choices[0]
    equal(choice.finish_reason, "tool_calls")
    equal([json.loads(call.function.arguments) for call in choice.message.tool_calls], common.CALLS)
    second = ask(world, "", messages=answered(common.WEATHER, choice.message), tools=CHAT_TOOLS)
    told(second.choices[0].message.content, ["Oslo", "Bergen"])


def chat_streamed_tools(world):
    pieces = {}
    with connect(world).chat.completions.stream(model=world["model"], messages=user(common.WEATHER), tools=CHAT_TOOLS) as stream:
        for event in stream:
            if event.type == "tool_calls.function.arguments.delta":
                pieces.setdefault(event.index, []).append(event.arguments_delta)
        choice = stream.get_final_completion().choices[0]
    equal(choice.finish_reason, "tool_calls")
    equal([json.loads(call.function.arguments) for call in choice.message.tool_calls], common.CALLS)
    for index, call in enumerate(choice.message.tool_calls):
        equal("".join(pieces[index]), call.function.arguments)


def chat_structured(world):
    shape = {"type": "json_schema", "json_schema": {"name": "recipe", "strict": True, "schema": common.RECIPE_SCHEMA}}
    equal(json.loads(ask(world, common.ASK_RECIPE, response_format=shape).choices[0].message.content), common.RECIPE)


def chat_image(world):
    content = [{"type": "text", "text": common.DESCRIBE}, {"type": "image_url", "image_url": {"url": IMAGE}}]
    equal(ask(world, content).choices[0].message.content, common.SEEN)


def chat_reasoning(world):
    first = ask(world, common.THINK, tools=CHAT_TOOLS, reasoning_effort="low")
    message = first.choices[0].message
    common.counted(world, first.usage.completion_tokens_details.reasoning_tokens)
    if world["reasoning"] != "counted":
        equal(getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None), common.THOUGHT)
    second = ask(world, "", messages=answered(common.THINK, message), tools=CHAT_TOOLS, reasoning_effort="low")
    told(second.choices[0].message.content, ["Oslo"], common.carried(world))


def chat_abort(world):
    stream = ask(world, common.slow(world), stream=True)
    next(iter(stream))
    stream.close()
    common.closed(world)


def spent(world, seen):
    common.spent(world, seen.input_tokens, common.INPUT)
    common.spent(world, seen.output_tokens, common.OUTPUT)
    common.spent(world, seen.input_tokens_details.cached_tokens, common.READ)


def text(world):
    response = respond(world, common.SAY_HELLO)
    common.greeted(world, response.output_text)
    equal(response.status, "completed")
    spent(world, response.usage)


def stream(world):
    events = list(respond(world, common.SAY_HELLO, stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    common.came_in_pieces(world, deltas)
    common.greeted(world, "".join(deltas))
    equal([event.sequence_number for event in events], list(range(len(events))))
    equal(events[0].type, "response.created")
    equal(events[-1].type, "response.completed")
    common.greeted(world, events[-1].response.output_text)
    spent(world, events[-1].response.usage)


def calls_of(response):
    return [item for item in response.output if item.type == "function_call"]


def continued(question, response):
    outputs = [
        {"type": "function_call_output", "call_id": call.call_id, "output": common.degrees(json.loads(call.arguments)["city"])}
        for call in calls_of(response)
    ]
    return [*user(question), *response.output, *outputs]


def tools(world):
    first = respond(world, common.WEATHER, tools=TOOLS)
    equal([json.loads(call.arguments) for call in calls_of(first)], common.CALLS)
    told(respond(world, continued(common.WEATHER, first), tools=TOOLS).output_text, ["Oslo", "Bergen"])


def streamed_tools(world):
    pieces = {}
    with connect(world).responses.stream(model=world["model"], input=common.WEATHER, store=False, tools=TOOLS) as events:
        for event in events:
            if event.type == "response.function_call_arguments.delta":
                pieces.setdefault(event.output_index, []).append(event.delta)
        response = events.get_final_response()
    equal([json.loads(call.arguments) for call in calls_of(response)], common.CALLS)
    for index, item in enumerate(response.output):
        if item.type == "function_call":
            equal("".join(pieces[index]), item.arguments)


def structured(world):
    shape = {"type": "json_schema", "name": "recipe", "strict": True, "schema": common.RECIPE_SCHEMA}
    equal(json.loads(respond(world, common.ASK_RECIPE, text={"format": shape}).output_text), common.RECIPE)


def image(world):
    content = [{"type": "input_text", "text": common.DESCRIBE}, {"type": "input_image", "image_url": IMAGE, "detail": "auto"}]
    equal(respond(world, user(content)).output_text, common.SEEN)


def reasoning(world):
    settings = {"tools": TOOLS, "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    first = respond(world, common.THINK, **settings)
    common.counted(world, first.usage.output_tokens_details.reasoning_tokens)
    if world["reasoning"] != "counted":
        equal(first.output[0].type, "reasoning")
        equal(first.output[0].summary[0].text, common.THOUGHT)
    told(respond(world, continued(common.THINK, first), **settings).output_text, ["Oslo"], common.carried(world))


def abort(world):
    events = respond(world, common.slow(world), stream=True)
    next(event for event in events if event.type == "response.output_text.delta")
    events.close()
    common.closed(world)


common.play({
    "PyPI openai (chat)": {
        "text": chat_text, "stream": chat_stream, "tools": chat_tools, "streamed tools": chat_streamed_tools,
        "structured output": chat_structured, "image in": chat_image, "reasoning": chat_reasoning, **errors(ask), "abort": chat_abort,
    },
    "PyPI openai (Responses)": {
        "text": text, "stream": stream, "tools": tools, "streamed tools": streamed_tools,
        "structured output": structured, "image in": image, "reasoning": reasoning, **errors(respond), "abort": abort,
    },
})
