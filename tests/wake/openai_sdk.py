"""OpenAI's SDK for Python with its defaults. Reads jobs, one a line of JSON, and prints what a developer sees of each."""

import json
import sys
import threading
import time

import openai


def asked(job):
    client = openai.OpenAI(base_url=job["url"], api_key=job["key"])
    messages = [{"role": "user", "content": "Good morning"}]
    if not job["stream"]:
        return client.chat.completions.create(model=job["model"], messages=messages).choices[0].message.content
    text = ""
    for chunk in client.chat.completions.create(model=job["model"], messages=messages, stream=True):
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    return text


def play(job):
    seen = {"id": job["id"]}
    try:
        seen["text"] = asked(job)
    except openai.APIError as error:
        status = getattr(error, "status_code", None)
        seen["error"] = {"class": type(error).__name__, "status": status, "code": error.code, "message": str(error)}
    seen["ended"] = int(time.time() * 1000)
    print(json.dumps(seen), flush=True)


print(json.dumps({"version": openai.__version__}), flush=True)
for line in sys.stdin:
    threading.Thread(target=play, args=(json.loads(line),)).start()
