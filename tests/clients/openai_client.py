"""OpenAI's own SDK for Python. Started by run.mjs; prints a line per case and `N passed, M failed`."""

import json
import os
import sys
import time
import traceback
import urllib.request

import openai

URL, KEY, ADMIN_KEY, MODEL = (os.environ[name] for name in ("GATEWAY_URL", "CLIENT_KEY", "ADMIN_KEY", "MODEL"))
GREEDY = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Once upon a time"}],
    "temperature": 0,
    "max_tokens": 24,
}
PATIENCE_S = 60


def client(key=KEY):
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0)


def cancelled():
    request = urllib.request.Request(f"{URL}/usage", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["by_ending"].get("cancelled", {}).get("requests", 0)


def plain():
    answer = client().chat.completions.create(**GREEDY)
    assert answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.cost > 0, answer.usage


def streamed_deltas_are_the_plain_text():
    answer = client().chat.completions.create(**GREEDY)
    stream = client().chat.completions.create(**GREEDY, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == answer.choices[0].message.content, text
    usage = chunks[-1].usage
    assert usage.cost == answer.usage.cost, usage
    assert usage.completion_tokens == answer.usage.completion_tokens, usage


def a_closed_stream_is_cancelled():
    before = cancelled()
    settings = GREEDY | {"frequency_penalty": -2, "max_tokens": 4000}
    stream = client().chat.completions.create(**settings, stream=True)
    next(iter(stream))
    stream.close()
    until = time.monotonic() + PATIENCE_S
    while cancelled() != before + 1:
        assert time.monotonic() < until, "no record says cancelled"
        time.sleep(0.02)


def errors_have_their_classes():
    for kind, key, change, part in [
        (openai.AuthenticationError, "mg-wrong", {}, "not known"),
        (openai.NotFoundError, KEY, {"model": "gpt-9"}, 'no model "gpt-9"'),
        (openai.BadRequestError, KEY, {"temperature": "hot"}, "temperature"),
        (openai.BadRequestError, KEY, {"stream": "yes"}, "stream"),
    ]:
        try:
            client(key).chat.completions.create(**(GREEDY | change))
        except kind as error:
            assert part in str(error), error
        else:
            raise AssertionError(f"{kind.__name__} did not come")


def main():
    passed = failed = 0
    for case in (plain, streamed_deltas_are_the_plain_text, a_closed_stream_is_cancelled, errors_have_their_classes):
        name = case.__name__.replace("_", " ")
        try:
            case()
        except Exception:  # every other case still runs, and this one counts as failed
            failed += 1
            print(f"PyPI openai: {name} ... FAILED\n{traceback.format_exc()}")
        else:
            passed += 1
            print(f"PyPI openai: {name} ... ok")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


main()
