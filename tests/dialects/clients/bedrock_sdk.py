"""AWS's own SDK (PyPI `boto3`) at the mock of Bedrock: nobody speaks Converse to the gateway, but it speaks it itself.

Signatures are checked by the mock, the frames' checksums by botocore.
"""

import base64
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boto3  # noqa: E402
import common  # noqa: E402
from botocore.config import Config  # noqa: E402
from common import equal, told  # noqa: E402

TOOL = {"toolSpec": {"name": "weather", "description": common.WEATHER_ABOUT, "inputSchema": {"json": common.WEATHER_SCHEMA}}}
TOOLS = {"tools": [TOOL]}


def connect(world):
    access_key, secret_key = world["apiKey"].split(":")
    config = Config(retries={"max_attempts": 0})
    return boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=world["baseURL"], config=config,
        aws_access_key_id=access_key, aws_secret_access_key=secret_key,
    )


def user(*content):
    return [{"role": "user", "content": list(content)}]


def ask(world, text, **more):
    return connect(world).converse(modelId=world["model"], **({"messages": user({"text": text})} | more))


def text_of(answer):
    return "".join(block.get("text", "") for block in answer["output"]["message"]["content"])


def calls_of(message):
    return [block["toolUse"] for block in message["content"] if "toolUse" in block]


def answered(question, message):
    results = [
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": common.degrees(call["input"]["city"])}]}}
        for call in calls_of(message)
    ]
    return [*user({"text": question}), message, *user(*results)]


def usage(seen):
    equal(seen["inputTokens"] + seen["cacheReadInputTokens"] + seen["cacheWriteInputTokens"], common.INPUT)
    equal(seen["outputTokens"], common.OUTPUT)
    equal(seen["totalTokens"], common.INPUT + common.OUTPUT)


def text(world):
    answer = ask(world, common.SAY_HELLO)
    equal(text_of(answer), common.HELLO)
    equal(answer["stopReason"], "end_turn")
    usage(answer["usage"])


def events_of(world, text, **more):
    call = {"messages": user({"text": text})} | more
    return list(connect(world).converse_stream(modelId=world["model"], **call)["stream"])


def stream(world):
    events = events_of(world, common.SAY_HELLO)
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    common.came_in_pieces(world, deltas)
    equal("".join(deltas), common.HELLO)
    names = [next(iter(event)) for event in events]
    equal([names[0], *names[-3:]], ["messageStart", "contentBlockStop", "messageStop", "metadata"])
    equal(events[-2]["messageStop"]["stopReason"], "end_turn")
    usage(events[-1]["metadata"]["usage"])


def tools(world):
    first = ask(world, common.WEATHER, toolConfig=TOOLS)
    equal(first["stopReason"], "tool_use")
    message = first["output"]["message"]
    equal([call["input"] for call in calls_of(message)], common.CALLS)
    told(text_of(ask(world, "", messages=answered(common.WEATHER, message), toolConfig=TOOLS)), ["Oslo", "Bergen"])


def streamed_tools(world):
    pieces, names = {}, []
    for event in events_of(world, common.WEATHER, toolConfig=TOOLS):
        if "contentBlockStart" in event:
            names.append(event["contentBlockStart"]["start"]["toolUse"]["name"])
        if "contentBlockDelta" in event:
            delta = event["contentBlockDelta"]
            pieces.setdefault(delta["contentBlockIndex"], []).append(delta["delta"]["toolUse"]["input"])
    equal(names, ["weather", "weather"])
    equal([json.loads("".join(piece)) for piece in pieces.values()], common.CALLS)


def structured(world):
    schema = {"jsonSchema": {"name": "recipe", "schema": json.dumps(common.RECIPE_SCHEMA)}}
    shape = {"textFormat": {"type": "json_schema", "structure": schema}}
    equal(json.loads(text_of(ask(world, common.ASK_RECIPE, outputConfig=shape))), common.RECIPE)
    recipe = {"toolSpec": {"name": "recipe", "inputSchema": {"json": common.RECIPE_SCHEMA}}}
    forced = ask(world, common.ASK_RECIPE, toolConfig={"tools": [recipe], "toolChoice": {"tool": {"name": "recipe"}}})
    equal(calls_of(forced["output"]["message"])[0]["input"], common.RECIPE)


def image(world):
    block = {"image": {"format": "png", "source": {"bytes": base64.b64decode(common.PNG)}}}
    equal(text_of(ask(world, "", messages=user({"text": common.DESCRIBE}, block))), common.SEEN)


def reasoning(world):
    more = {"toolConfig": TOOLS, "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    message = ask(world, common.THINK, **more)["output"]["message"]
    equal(message["content"][0]["reasoningContent"]["reasoningText"]["text"], common.THOUGHT)
    told(text_of(ask(world, "", messages=answered(common.THINK, message), **more)), ["Oslo"], carried=True)


def failing(name, status, part, world, content):
    client = connect(world)
    error = common.thrown(client.exceptions.ClientError, lambda: ask(world, content))
    equal(error.response["Error"]["Code"], name)
    equal(error.response["ResponseMetadata"]["HTTPStatusCode"], status)
    assert re.search(part, str(error), re.IGNORECASE), error


def rate_limit(world):
    failing("ThrottlingException", 429, "too many", world, common.RATE_LIMIT)


def wrong_key(world):
    failing("UnrecognizedClientException", 403, "token", world | {"apiKey": "AKIAWRONG:x"}, common.SAY_HELLO)
    failing("InvalidSignatureException", 403, "signature", world | {"apiKey": "AKIAMOCK:x"}, common.SAY_HELLO)


def unknown_model(world):
    failing("ValidationException", 400, "model identifier", world | {"model": common.NO_MODEL}, common.SAY_HELLO)


def abort(world):
    stream = connect(world).converse_stream(modelId=world["model"], messages=user({"text": common.slow(world)}))["stream"]
    next(event for event in stream if "contentBlockDelta" in event)
    stream.close()
    common.closed(world)


common.play({
    "PyPI boto3": {
        "text": text, "stream": stream, "tools": tools, "streamed tools": streamed_tools, "structured output": structured,
        "image in": image, "reasoning": reasoning, "rate limit": rate_limit, "wrong key": wrong_key, "unknown model": unknown_model, "abort": abort,
    },
})
