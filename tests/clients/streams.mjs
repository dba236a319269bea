// Streams as real origins send them: what clients make of them straight from the origin and through the gateway must be the
// same, and where a client fails at the origin's own, through the gateway it may only do better.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';

/** The origin `hasty` of tests/contract/moegate.toml. */
const PORT = 28713;
const MODEL = 'hasty-model';

const chunk = (choices, more = {}) => JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices, ...more });
const choice = (delta, reason = null, index = 0) => ({ index, delta, finish_reason: reason });
const text = (content) => chunk([choice({ content })]);
const USAGE = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };
const WORDS = [chunk([choice({ role: 'assistant', content: '' })]), text('one'), text(' twö 🦀'), text(' three')];
const LAST = chunk([choice({}, 'stop')]);
const COUNTS = chunk([], { usage: USAGE });
const events = (...data) => data.map((one) => `data: ${one}\n\n`).join('');
const whole = (asked) => events(...WORDS, LAST, ...(asked ? [COUNTS] : []), '[DONE]');
const answer = (message, reason = 'stop') => JSON.stringify({
  id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message, finish_reason: reason }], usage: USAGE,
});
const call = (piece) => choice({ tool_calls: [piece] });
const latin1 = (string) => Buffer.from(string, 'latin1');

/**
 * By name: the body for a request; `asked`: whether the counts were asked for. `type` is the label. `worse`: clients fail at
 * the origin's own, and may not here.
 */
const FIXTURES = {
  plain: { body: whole },
  crlf: { body: (asked) => whole(asked).replaceAll('\n', '\r\n') },
  'no space after the colon': { body: (asked) => whole(asked).replaceAll('data: ', 'data:') },
  'comments and other fields': { body: (asked) => `: hi\n\nretry: 10\n\n${whole(asked).replaceAll('data: {', 'event: message\nid: 1\ndata: {')}` },
  'a large comment first': { body: (asked) => `: ${'x'.repeat(300_000)}\n\n${whole(asked)}` },
  'a byte order mark': { body: (asked) => `\ufeff${whole(asked)}` },
  'usage on every chunk': { body: () => events(...WORDS.map((one) => one.replace(/}$/, `,"usage":${JSON.stringify(USAGE)}}`)), LAST, '[DONE]') },
  'usage null everywhere': { body: (asked) => whole(asked).replaceAll('"finish_reason":null}]}', '"finish_reason":null}],"usage":null}') },
  'usage beside the reason': { body: () => events(...WORDS, LAST.replace(/}$/, `,"usage":${JSON.stringify(USAGE)}}`), '[DONE]') },
  'usage in the choice': { body: () => events(...WORDS, chunk([{ ...choice({}, 'stop'), usage: USAGE }]), '[DONE]') },
  'reason beside text': { body: () => events(WORDS[0], text('one'), chunk([choice({ content: ' two' }, 'length')]), '[DONE]') },
  'no end mark': { body: () => events(...WORDS, LAST) },
  'two answers': { body: () => events(text('one'), chunk([choice({ content: 'uno' }, null, 1)]), LAST, chunk([choice({}, 'stop', 1)]), '[DONE]') },
  reasoning: { body: () => events(chunk([choice({ reasoning_content: 'hm' })]), ...WORDS, LAST, '[DONE]') },
  'a tool call': {
    body: () => events(
      chunk([call({ index: 0, id: 't', type: 'function', function: { name: 'f', arguments: '{"a"' } })]),
      chunk([call({ index: 0, function: { arguments: ':1}' } })]), chunk([choice({}, 'tool_calls')]), '[DONE]'),
  },
  'invalid UTF-8 first': { body: () => Buffer.concat([latin1('data: {"id":"c","choices":[{"index":0,"delta":{"content":"a\xffb"},"finish_reason":null}]}\n\n'), Buffer.from(events(LAST, '[DONE]'))]) },
  'invalid UTF-8 later': { body: () => Buffer.concat([Buffer.from(events(text('one'))), latin1('data: {"id":"c","choices":[{"index":0,"delta":{"content":"a\xffb"},"finish_reason":null}]}\n\n'), Buffer.from(events(LAST, '[DONE]'))]) },
  'labelled text/plain': { body: whole, type: 'text/plain; charset=utf-8' },
  'labelled application/json': { body: whole, type: 'application/json' },
  unlabelled: { body: whole, type: '' },
  'labelled in capitals': { body: whole, type: 'Text/Event-Stream;Charset=UTF-8' },
  'the connection stays open': { body: whole, open: true },
  'one answer for a stream': { body: () => answer({ role: 'assistant', content: 'one two' }), type: 'application/json', worse: 'one two' },
  'a cut stream': { body: () => events(...WORDS), cut: true },
  'an error event': { body: () => events(...WORDS, '{"error":{"message":"overloaded","type":"server_error","code":500}}') },
  'an error first': { body: () => events('{"error":{"message":"overloaded","type":"server_error","code":500}}'), fails: true },
  'a flat 400': { body: () => '{"object":"error","message":"The input (5000 tokens) is longer than the model\'s context length (4096 tokens).","type":"BadRequestError","param":null,"code":400}', type: 'application/json', status: 400, fails: true },
  'a 400 in an array': { body: () => '[{"error":{"code":400,"message":"too many tokens","status":"INVALID_ARGUMENT"}}]', type: 'application/json', status: 400, fails: true },
  'a 500 page': { body: () => '<html>no</html>', type: 'text/html', status: 500, fails: true },
};

/** Serves the fixture that the request's message names. */
function origin() {
  const server = createServer((socket) => {
    let got = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      got = Buffer.concat([got, bytes]);
      const head = got.indexOf('\r\n\r\n');
      const length = /content-length: *(\d+)/i.exec(got.toString('latin1'));
      if (head < 0 || got.length < head + 4 + Number(length?.[1] ?? 0)) return;
      if (!length) return chunked(got, head) && serve(socket, got.toString('utf8'));
      serve(socket, got.toString('utf8'));
    });
  });
  return new Promise((resolve) => server.listen(PORT, '127.0.0.1', () => resolve(server)));
}

const chunked = (got, head) => got.indexOf('0\r\n\r\n', head) > 0;

function serve(socket, request) {
  const name = /fixture: ([^"\\]+)/.exec(request)?.[1];
  const fixture = FIXTURES[name];
  const { type = 'text/event-stream', status = 200, open, cut } = fixture;
  const label = type ? `content-type: ${type}\r\n` : '';
  socket.write(`HTTP/1.1 ${status} Scripted\r\nconnection: close\r\n${label}transfer-encoding: chunked\r\n\r\n`);
  const bytes = Buffer.from(fixture.body(/"include_usage": ?true/.test(request)));
  // Cut anywhere, within characters too.
  for (let at = 0; at < bytes.length; at += 1009) {
    const piece = bytes.subarray(at, at + 1009);
    socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
  }
  if (cut || open) return cut && socket.destroySoon();
  socket.end('0\r\n\r\n');
}

const ask = (name) => ({ model: MODEL, messages: [{ role: 'user', content: `fixture: ${name}` }] });

/** What happened: the text and the reason, or the error's class. */
async function outcome(act) {
  try {
    return await act();
  } catch (error) {
    return { failed: true, status: error.status ?? error.statusCode ?? null };
  }
}

/** The loop that every guide shows: no `?.`, so an event without choices throws. */
async function plainLoop(baseURL, apiKey, name) {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 15_000 });
  let content = '';
  let reason = null;
  for await (const part of await client.chat.completions.create({ ...ask(name), stream: true })) {
    content += part.choices[0].delta.content ?? '';
    content += part.choices[0].delta.tool_calls?.[0].function.arguments ?? '';
    reason = part.choices[0].finish_reason ?? reason;
  }
  return { content, reason };
}

async function sdk(baseURL, apiKey, name) {
  const provider = createOpenAICompatible({ name: 'o', baseURL, apiKey, includeUsage: true });
  const result = streamText({ model: provider(MODEL), prompt: `fixture: ${name}`, maxRetries: 0, onError() {} });
  let content = '';
  let failed;
  for await (const part of result.fullStream) {
    if (part.type === 'text-delta') content += part.text;
    if (part.type === 'error') failed = part.error ?? true;
  }
  if (failed && !content) throw failed;
  return { content, failed: Boolean(failed), reason: failed ? null : await result.finishReason };
}

/** `curl … | grep data: | jq '.choices[0].delta.content'`. */
async function lines(baseURL, apiKey, name) {
  const reply = await fetch(`${baseURL}/chat/completions`, {
    method: 'POST', headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...ask(name), stream: true }), signal: AbortSignal.timeout(15_000),
  });
  if (!reply.ok) throw Object.assign(new Error('status'), { status: reply.status });
  let content = '';
  for (const line of (await reply.text()).split(/\r\n|\n|\r/)) {
    const data = /^\ufeff?data: ?(.*)/.exec(line)?.[1];
    if (!data || data === '[DONE]') continue;
    const event = JSON.parse(data);
    if (event.error) throw Object.assign(new Error('error'), { status: null });
    content += event.choices[0].delta.content ?? '';
  }
  return { content };
}

function check(name, who, direct, through) {
  const { worse, fails } = FIXTURES[name];
  const what = `${name}, ${who}: at the origin ${JSON.stringify(direct)}, through the gateway ${JSON.stringify(through)}`;
  if (worse !== undefined) return assert.equal(through.content, worse, what);
  // A gateway's 502 is an origin's 500: of one class.
  const hundreds = (status) => Math.floor(status / 100);
  if (fails) return assert.ok(through.failed && (!direct.status || hundreds(direct.status) === hundreds(through.status)), what);
  // A stream that was cut ends clean for clients of the origin; through the gateway they are told.
  if (FIXTURES[name].cut) return assert.ok(through.failed, what);
  if (direct.failed && !through.failed) return undefined;
  return assert.deepEqual(through, direct, what);
}

async function each(world, who, read) {
  const server = await origin();
  try {
    for (const name of Object.keys(FIXTURES)) {
      const here = `http://127.0.0.1:${PORT}/v1`;
      // The origin's own connection never closes: there is nothing to compare with.
      const direct = FIXTURES[name].open ? await outcome(() => read(here, 'k', 'plain')) : await outcome(() => read(here, 'k', name));
      const through = await outcome(() => read(`${world.url}/v1`, world.clientKey, name));
      check(name, who, direct, through);
    }
  } finally {
    server.close();
  }
}

const PYTHON = `
import json, sys
from openai import OpenAI
base, key, model, names = sys.argv[1:]
out = {}
for name in json.loads(names):
    content, reason = '', None
    try:
        client = OpenAI(base_url=base, api_key=key, max_retries=0, timeout=15)
        stream = client.chat.completions.create(model=model, stream=True, messages=[{'role': 'user', 'content': 'fixture: ' + name}])
        for chunk in stream:
            content += chunk.choices[0].delta.content or ''
            reason = chunk.choices[0].finish_reason or reason
        out[name] = {'content': content, 'reason': reason}
    except Exception as error:
        out[name] = {'failed': True, 'status': getattr(error, 'status_code', None)}
print(json.dumps(out))
`;

function python(baseURL, apiKey, names) {
  const args = ['-I', '-B', '-c', PYTHON, baseURL, apiKey, MODEL, JSON.stringify(names)];
  return new Promise((resolve, reject) => {
    execFile(process.env.MOEGATE_PYTHON ?? 'python3', args, { timeout: 120_000 }, (error, stdout) =>
      error ? reject(error) : resolve(JSON.parse(stdout)));
  });
}

export const cases = {
  async "OpenAI's SDK, the plainest loop"(world) {
    await each(world, 'openai-node', plainLoop);
  },

  async 'the AI SDK'(world) {
    await each(world, 'ai', sdk);
  },

  async 'curl and jq'(world) {
    await each(world, 'lines', lines);
  },

  async "OpenAI's SDK for Python, the plainest loop"(world) {
    const server = await origin();
    try {
      const names = Object.keys(FIXTURES).filter((name) => !FIXTURES[name].open);
      const direct = await python(`http://127.0.0.1:${PORT}/v1`, 'k', names);
      const through = await python(`${world.url}/v1`, world.clientKey, names);
      for (const name of names) check(name, 'openai-python', direct[name], through[name]);
    } finally {
      server.close();
    }
  },

  async 'one answer from a stream'(world) {
    const server = await origin();
    try {
      const client = new OpenAI({ baseURL: `${world.url}/v1`, apiKey: world.clientKey, maxRetries: 0 });
      const got = await client.chat.completions.create(ask('plain'));
      assert.deepEqual([got.choices[0].message.content, got.choices[0].finish_reason], ['one twö 🦀 three', 'stop']);
      const provider = createOpenAICompatible({ name: 'o', baseURL: `${world.url}/v1`, apiKey: world.clientKey });
      const { text: told } = await generateText({ model: provider(MODEL), prompt: 'fixture: plain', maxRetries: 0 });
      assert.equal(told, 'one twö 🦀 three');
    } finally {
      server.close();
    }
  },

  async 'the plainest loop after a fallback'(world) {
    const server = await origin();
    try {
      const client = new OpenAI({ baseURL: `${world.url}/v1`, apiKey: world.clientKey, maxRetries: 0 });
      let content = '';
      let told;
      for await (const part of await client.chat.completions.create({ ...ask('plain'), model: 'far-then-hasty', stream: true })) {
        content += part.choices[0].delta.content ?? '';
        told = part.moegate ?? told;
      }
      assert.equal(content, 'one twö 🦀 three');
      assert.deepEqual(told.attempts.map((one) => one.origin), ['far', 'hasty']);
    } finally {
      server.close();
    }
  },
};
