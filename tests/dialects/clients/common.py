"""What the cases of the Python clients share; the counterpart of common.mjs.

A script is given, as JSON in the variable WORLDS, a list of `{"client", …}` objects (the members of a world are told in
common.mjs), plays its cases in each of them, and prints one line of JSON per case:
`{"client", "world", "feature", "ok", "reason"}`.
"""

import json
import os
import sys
import time
import traceback
import urllib.parse
import urllib.request

HELLO = "Hello! How can I help you today?"
THOUGHT = "The user wants an answer, so I weigh what I know."
CARRIED = " I kept my thoughts."
INPUT, READ, OUTPUT, REASONING = 40, 16, 20, 8

SAY_HELLO = "say hello"
WEATHER = "What is the weather in Oslo and Bergen?"
THINK = "think: what is the weather in Oslo?"
RATE_LIMIT = "fail 429"
DESCRIBE = "What do you see?"
ASK_RECIPE = "A recipe, please."
NO_MODEL = "gpt-5-nonexistent"

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SEEN = "I see image/png, 70 bytes."
CALLS = [{"city": "Oslo"}, {"city": "Bergen"}]
WEATHER_ABOUT = "The weather in a city"
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "The name of the city"}},
    "required": ["city"],
    "additionalProperties": False,
}
RECIPE_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "minutes": {"type": "integer"},
        "steps": {"type": "array", "items": {"type": "string"}},
        "level": {"type": "string", "enum": ["easy", "hard"]},
    },
    "required": ["name", "minutes", "steps", "level"],
    "additionalProperties": False,
}
RECIPE = {"name": "text", "minutes": 7, "steps": ["text"], "level": "easy"}
PATIENCE_S = 10


def degrees(city):
    return f"{len(city)} degrees in {city}"


def told(text, cities, carried=None):
    """The last answer tells what the tool gave for each city; `carried`: and that the reasoning came back whole, or not."""
    for city in cities:
        assert text.startswith("weather: ") and degrees(city) in text, text
    if carried is not None:
        assert text.endswith(CARRIED) == carried, text


def carried(world):
    """Whether the reasoning comes back; None if it may or may not."""
    if world.get("carried") is not None:
        return world["carried"]
    return None if world["reasoning"] == "maybe" else world["reasoning"] == "signed"


def counted(world, tokens):
    """`tokens` of reasoning stand in an answer's usage, or, where the provider tells none, do not."""
    equal(tokens or 0, 0 if world.get("uncounted") else REASONING)


def greeted(world, text):
    """The answer to SAY_HELLO: a model of our own says something of its own."""
    if world.get("own"):
        assert text, "nothing was said"
    else:
        equal(text, HELLO)


def came_in_pieces(world, deltas):
    """The answer to SAY_HELLO came as it was written: what a model of our own says is drawn, and may be a word or two."""
    pieces = min(4, len("".join(deltas).split())) if world.get("own") else 4
    assert len(deltas) >= pieces, "it came in one piece"


def ended(world, reason, expected):
    """How it ended: a model of our own may come to the end of its context."""
    if world.get("own"):
        assert reason, "no reason"
    else:
        equal(reason, expected)


def spent(world, tokens, expected):
    """What it cost."""
    if world.get("own"):
        assert expected == READ or tokens > 0, tokens
    else:
        equal(tokens, expected)


def equal(seen, expected):
    assert seen == expected, f"{seen!r} is not {expected!r}"


def slow(world):
    """A question that is answered for a minute, and is this client's in this world alone."""
    return f"be slow for {world['client']} at {world['name']}"


def closed(world):
    """Waits until the mock provider saw the connection of the question `slow(world)` break."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with urllib.request.urlopen(f"{world['control']}/_mock/broken?text={urllib.parse.quote(slow(world))}") as reply:
            if json.load(reply):
                return
        time.sleep(0.02)
    raise AssertionError("the mock provider went on: its connection was not closed")


def thrown(kind, act):
    """The error of this class that `act` raises."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} did not come")


def play(clients):
    """`clients`: name to `{feature: case}`. A case takes a world."""
    for world in json.loads(os.environ["WORLDS"]):
        for feature, case in clients[world["client"]].items():
            if feature not in world.get("features", [feature]):
                continue
            try:
                case(world)
                line = {"ok": True}
            except Exception as error:  # every other case still runs, and this one counts as failed
                line = {"ok": False, "reason": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
            print(json.dumps({"client": world["client"], "world": world["name"], "feature": feature} | line), flush=True)
    sys.exit(0)
