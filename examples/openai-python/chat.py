"""An app on OpenAI's SDK, moved to moegate: two fields, and whatever model the gateway has a route for."""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("MOEGATE_BASE_URL", "http://127.0.0.1:8787/v1"),
    api_key=os.environ["MOEGATE_KEY"],
)

stream = client.chat.completions.create(
    model=os.environ.get("MODEL", "demo"),
    messages=[{"role": "user", "content": "What is moegate?"}],
    max_tokens=200,
    stream=True,
    stream_options={"include_usage": True},
)

for event in stream:
    if event.choices:
        print(event.choices[0].delta.content or "", end="", flush=True)
    if event.usage:
        # The gateway adds what the answer cost, in dollars.
        print(f"\n{event.usage.total_tokens} tokens, ${event.usage.cost:.8f}")
