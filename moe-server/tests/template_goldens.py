"""Writes template_goldens.json: chats rendered by Python's Jinja with the settings of Hugging Face's transformers
(`apply_chat_template`: sandboxed, trim_blocks, lstrip_blocks, loop controls, its own tojson).

    python template_goldens.py                         with the packages of ../models/requirements.txt
    python template_goldens.py --template FILE --out OUT  the same chats by another template, to compare with
"""

import argparse
import datetime
import json
import pathlib

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
BUILT_IN = HERE.parent / "src/model/template"
NOW = datetime.datetime(2025, 4, 5, 6, 7, 8)

# What the templates of open models use of Jinja and Python.
FEATURES = r"""{{- bos_token }}
{#- a comment #}
{%- set ns = namespace(system='', count=0) %}
{%- if messages[0]['role'] == 'system' %}
    {%- set ns.system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
{%- endif %}
Today: {{ date_string }}
{% if ns.system %}
    [{{ ns.system.upper() }}|{{ ns.system.replace('a', 'b') }}|{{ ns.system | length }}]
{% else %}
no system
{% endif %}
{%- if tools is not none %}
    {%- for tool in tools %}
        {{- tool | tojson }}
        {{- tool | tojson(indent=2) }}
        {%- for key, value in tool.function.parameters.items() %}
            {{- loop.index0 }}{{ key }}={{ value }};
        {%- endfor %}
    {%- endfor %}
{%- endif %}
{%- macro header(role) -%}
    <|header_start|>{{ role }}<|header_end|>
{% endmacro %}
{% for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) and message.role != 'tool' and 'tool_calls' not in message %}
        {{- raise_exception('roles must alternate: ' + message.role) }}
    {%- endif %}
    {%- set ns.count = ns.count + 1 %}
    {{- header(message.role) }}
    {%- if message.content is string %}
        {{- message.content | trim }}
    {%- endif %}
    {%- if message.content is mapping or message.content is iterable %}~{% endif %}
    {%- if message.content.startswith('skip') %}{% continue %}{% endif %}
    {%- if '%%' in message.content %}{{ message.content.split('%%')[-1].lstrip('\n') }}{% endif %}
    {%- for call in message.tool_calls or [] %}
        {{- '\n' if not loop.first }}{{ call.function.name }}({{ call.function.arguments | tojson }})
    {%- endfor %}
    {{- '<|eot|>' if not loop.last else '' }}
    {%- if loop.last %}{% break %}{% endif %}
{% endfor %}
{{ ns.count }} {{ messages | length }} {{ none }} {{ true }} {{ 1.5 }} {{ [1, 'a', none, {'b': false}] }} {{ undefined_thing }}
{%- if add_generation_prompt %}
{{ header('assistant') }}
{%- endif %}
"""

# The constructs of Qwen3's template, with other words: thoughts are shown in the turns after the last question only.
THINKING = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "Functions:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n{\"name\": <name>, \"arguments\": <arguments>}<|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather in a <place>, \"now\" & näher 🙂",
     "parameters": {"type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
                    "required": ["place"], "additionalProperties": False, "examples": [], "x": None, "y": {}, "z": 0.5}}},
    {"type": "function", "function": {"name": "f", "parameters": {}}},
]  # fmt: skip
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"place": "Zürich's \\ \n\t\u0001", "days": 2}}}
user, assistant, system = ({"role": role} for role in ("user", "assistant", "system"))
CHATS = {
    "one": [user | {"content": "Hello"}],
    "system": [system | {"content": "  You are a tester. "}, user | {"content": "Hi"}],
    "turns": [user | {"content": "Hi"}, assistant | {"content": "Hello!\n"}, user | {"content": " \n x \n"}],
    "unicode": [system | {"content": "é"}, user | {"content": "日本語 🙂 \u00a0 \u3000"}],
    "empty": [user | {"content": ""}],
    "markup": [user | {"content": "a < b & c > d \"q\" 'r' {{ x }} {% y %} <|eot|> %%\n\nthen <"}],
    "calls": [user | {"content": "Weather?"}, assistant | {"content": "", "tool_calls": [CALL, CALL]},
              {"role": "tool", "tool_call_id": "c1", "content": "{\"t\": 20}"}],
    "skip": [user | {"content": "skip this"}, assistant | {"content": "ok"}, user | {"content": "go on"}],
    "no alternation": [user | {"content": "a"}, user | {"content": "b"}],
    "thoughts": [user | {"content": "Hi"}, assistant | {"content": "<think>\nA greeting.\n</think>\n\nHello!"}, user | {"content": "Weather?"},
                 assistant | {"content": "<think>\n\nI <think> must ask.\n\n</think>\nOne moment.", "tool_calls": [CALL]},
                 {"role": "tool", "tool_call_id": "c1", "content": "20"}, {"role": "tool", "tool_call_id": "c2", "content": "21"},
                 assistant | {"reasoning_content": "Two </think> answers.", "content": "20 </think> or 21."}],
    "two systems": [system | {"content": "a"}, system | {"content": "b"}, user | {"content": "c"}],
}  # fmt: skip


def render(source, messages, tools, add_generation_prompt):
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = NOW.strftime
    try:
        return {"expected": environment.from_string(source).render(
            messages=messages, tools=tools, add_generation_prompt=add_generation_prompt, bos_token="<|begin_of_text|>",
            eos_token="<|end_of_text|>")}  # fmt: skip
    except TemplateError as error:
        return {"refused": str(error)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--template", type=pathlib.Path)
    arguments.add_argument("--out", type=pathlib.Path, default=HERE / "template_goldens.json")
    arguments = arguments.parse_args()
    built_in = {name: (BUILT_IN / f"{name}.jinja").read_text(encoding="utf-8") for name in ["llama4", "chatml"]}
    templates = {"features": FEATURES, "thinking": THINKING} | built_in
    if arguments.template:
        templates = {"other": arguments.template.read_text(encoding="utf-8")}
    rows = []
    for template, source in templates.items():
        for chat, messages in CHATS.items():
            for tools in [None, TOOLS]:
                prompt = chat != "turns"
                rows.append({"name": f"{template}, {chat}, {'with' if tools else 'no'} tools", "template": template,
                             "messages": messages, "tools": tools, "add_generation_prompt": prompt}
                            | render(source, messages, tools, prompt))  # fmt: skip
    goldens = {"templates": templates, "chats": rows}
    arguments.out.write_text(json.dumps(goldens, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
