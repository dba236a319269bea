"""Google's own SDK (PyPI `google-genai`)."""

import base64
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import common  # noqa: E402
from common import equal, told  # noqa: E402
from google import genai  # noqa: E402
from google.genai import errors, types  # noqa: E402

FUNCTION = types.FunctionDeclaration(name="weather", description=common.WEATHER_ABOUT, parameters_json_schema=common.WEATHER_SCHEMA)
TOOLS = [types.Tool(function_declarations=[FUNCTION])]
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)


def connect(world):
    return genai.Client(api_key=world["apiKey"], http_options=types.HttpOptions(base_url=world["baseURL"]))


def config(**more):
    return types.GenerateContentConfig(automatic_function_calling=MANUAL, **more)


def ask(world, contents, **more):
    with connect(world) as client:
        return client.models.generate_content(model=world["model"], contents=contents, config=config(**more))


def streamed(world, contents, **more):
    with connect(world) as client:
        return list(client.models.generate_content_stream(model=world["model"], contents=contents, config=config(**more)))


def user(text):
    return types.Content(role="user", parts=[types.Part(text=text)])


def answered(question, answer):
    parts = []
    for call in answer.function_calls:
        response = {"output": common.degrees(call.args["city"])}
        parts.append(types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response=response)))
    return [user(question), answer.candidates[0].content, types.Content(role="user", parts=parts)]


def usage(world, seen):
    common.spent(world, seen.prompt_token_count, common.INPUT)
    common.spent(world, seen.candidates_token_count + (seen.thoughts_token_count or 0), common.OUTPUT)
    common.spent(world, seen.cached_content_token_count, common.READ)


def text(world):
    answer = ask(world, common.SAY_HELLO)
    common.greeted(world, answer.text)
    common.ended(world, answer.candidates[0].finish_reason, types.FinishReason.STOP)
    usage(world, answer.usage_metadata)


def stream(world):
    chunks = streamed(world, common.SAY_HELLO)
    deltas = [chunk.text for chunk in chunks if chunk.text]
    common.came_in_pieces(world, deltas)
    common.greeted(world, "".join(deltas))
    common.ended(world, chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP)
    usage(world, chunks[-1].usage_metadata)


def tools(world):
    first = ask(world, common.WEATHER, tools=TOOLS)
    equal([call.args for call in first.function_calls], common.CALLS)
    told(ask(world, answered(common.WEATHER, first), tools=TOOLS).text, ["Oslo", "Bergen"])


def streamed_tools(world):
    chunks = streamed(world, common.WEATHER, tools=TOOLS)
    equal([call.args for chunk in chunks for call in chunk.function_calls or []], common.CALLS)


def structured(world):
    answer = ask(world, common.ASK_RECIPE, response_mime_type="application/json", response_json_schema=common.RECIPE_SCHEMA)
    equal(json.loads(answer.text), common.RECIPE)


def image(world):
    part = types.Part(inline_data=types.Blob(mime_type="image/png", data=base64.b64decode(common.PNG)))
    equal(ask(world, types.Content(role="user", parts=[types.Part(text=common.DESCRIBE), part])).text, common.SEEN)


def reasoning(world):
    more = {"tools": TOOLS, "thinking_config": types.ThinkingConfig(include_thoughts=True)}
    first = ask(world, common.THINK, **more)
    common.counted(world, first.usage_metadata.thoughts_token_count)
    if world["reasoning"] != "counted":
        equal("".join(part.text for part in first.candidates[0].content.parts if part.thought), common.THOUGHT)
    told(ask(world, answered(common.THINK, first), **more).text, ["Oslo"], common.carried(world))


def failing(status, part, world, content):
    error = common.thrown(errors.ClientError, lambda: ask(world, content))
    equal(error.code, status)
    assert error.status, error
    assert re.search(part, str(error), re.IGNORECASE), error


def rate_limit(world):
    failing(429, "rate limit|quota|too many", world, common.RATE_LIMIT)


def wrong_key(world):
    failing(world["statuses"]["key"], "key", world | {"apiKey": world["wrongKey"]}, common.SAY_HELLO)


def unknown_model(world):
    failing(404, common.NO_MODEL, world | {"model": common.NO_MODEL}, common.SAY_HELLO)


def abort(world):
    client = connect(world)
    chunks = client.models.generate_content_stream(model=world["model"], contents=common.slow(world))
    next(chunk for chunk in chunks if chunk.text)
    chunks.close()
    client.close()
    common.closed(world)


common.play({
    "PyPI google-genai": {
        "text": text, "stream": stream, "tools": tools, "streamed tools": streamed_tools, "structured output": structured,
        "image in": image, "reasoning": reasoning, "rate limit": rate_limit, "wrong key": wrong_key, "unknown model": unknown_model, "abort": abort,
    },
})
