// OpenAI's own SDK (npm `openai`): chat completions, and Responses.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import * as common from './common.mjs';

const connect = ({ baseURL, apiKey }) => new OpenAI({ baseURL: `${baseURL}/v1`, apiKey, maxRetries: 0 });
const IMAGE = `data:image/png;base64,${common.PNG}`;
const WEATHER = { name: 'weather', description: common.WEATHER_ABOUT, parameters: common.WEATHER_SCHEMA, strict: true };
const CALLS = [{ city: 'Oslo' }, { city: 'Bergen' }];

async function failing(act, kind, status, message) {
  const error = await common.thrown(act);
  assert.ok(error instanceof kind, `${error.stack}`);
  assert.equal(error.status, status);
  assert.match(error.message, message);
}

/** The cases that differ only in how one asks. */
const errors = (ask) => ({
  'rate limit': (world) => failing(() => ask(world, common.RATE_LIMIT), OpenAI.RateLimitError, 429, /rate limit|quota|too many/i),
  'wrong key': (world) => failing(() => ask({ ...world, apiKey: world.wrongKey }, common.SAY_HELLO), OpenAI.AuthenticationError, 401, /key/i),
  'unknown model': (world) => failing(() => ask({ ...world, model: 'gpt-5-nonexistent' }, common.SAY_HELLO), OpenAI.NotFoundError, 404, /gpt-5-nonexistent/),
});

const user = (content) => [{ role: 'user', content }];
const ask = (world, content, more = {}) => connect(world).chat.completions.create({ model: world.model, messages: user(content), ...more });

function usage(world, seen) {
  common.spent(world, seen.prompt_tokens, common.USAGE.input);
  common.spent(world, seen.completion_tokens, common.USAGE.output);
  common.spent(world, seen.prompt_tokens_details.cached_tokens, common.USAGE.read);
}

/** The second turn: every call answered. */
function answered(message) {
  return message.tool_calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: common.degrees(JSON.parse(call.function.arguments).city) }));
}

const chat = {
  async text(world) {
    const { choices: [{ message, finish_reason }], usage: seen } = await ask(world, common.SAY_HELLO);
    common.greeted(world, message.content);
    common.ended(world, finish_reason, 'stop');
    usage(world, seen);
  },

  async stream(world) {
    const stream = await ask(world, common.SAY_HELLO, { stream: true, stream_options: { include_usage: true } });
    const chunks = await common.all(stream);
    const deltas = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
    common.cameInPieces(world, deltas);
    common.greeted(world, deltas.join(''));
    usage(world, chunks.at(-1).usage);
  },

  async tools(world) {
    const tools = [{ type: 'function', function: WEATHER }];
    const first = await ask(world, common.WEATHER, { tools });
    const { message, finish_reason } = first.choices[0];
    assert.equal(finish_reason, 'tool_calls');
    assert.deepEqual(message.tool_calls.map((call) => JSON.parse(call.function.arguments)), CALLS);
    const messages = [...user(common.WEATHER), message, ...answered(message)];
    const second = await connect(world).chat.completions.create({ model: world.model, messages, tools });
    common.told(second.choices[0].message.content, ['Oslo', 'Bergen']);
  },

  async 'streamed tools'(world) {
    const tools = [{ type: 'function', function: WEATHER }];
    const stream = connect(world).chat.completions.stream({ model: world.model, messages: user(common.WEATHER), tools });
    const done = [];
    const pieces = {};
    stream.on('tool_calls.function.arguments.delta', ({ index, arguments_delta }) => (pieces[index] ??= []).push(arguments_delta));
    stream.on('tool_calls.function.arguments.done', (call) => done.push(call.name));
    const { choices: [{ message, finish_reason }] } = await stream.finalChatCompletion();
    assert.equal(finish_reason, 'tool_calls');
    assert.deepEqual(message.tool_calls.map((call) => JSON.parse(call.function.arguments)), CALLS);
    assert.deepEqual(done, ['weather', 'weather']);
    message.tool_calls.forEach((call, index) => assert.equal(pieces[index].join(''), call.function.arguments));
  },

  async 'structured output'(world) {
    const json_schema = { name: 'recipe', strict: true, schema: common.RECIPE_SCHEMA };
    const answer = await connect(world).chat.completions.parse({ model: world.model, messages: user('A recipe, please.'), response_format: { type: 'json_schema', json_schema } });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), common.RECIPE);
  },

  async 'image in'(world) {
    const content = [{ type: 'text', text: common.DESCRIBE }, { type: 'image_url', image_url: { url: IMAGE } }];
    assert.equal((await ask(world, content)).choices[0].message.content, common.SEEN);
  },

  async reasoning(world) {
    const tools = [{ type: 'function', function: WEATHER }];
    const first = await ask(world, common.THINK, { tools, reasoning_effort: 'low' });
    const { message } = first.choices[0];
    common.counted(world, first.usage.completion_tokens_details.reasoning_tokens);
    if (world.reasoning !== 'counted') assert.equal(message.reasoning_content ?? message.reasoning, common.THOUGHT);
    const messages = [...user(common.THINK), message, ...answered(message)];
    const second = await connect(world).chat.completions.create({ model: world.model, messages, tools, reasoning_effort: 'low' });
    common.told(second.choices[0].message.content, ['Oslo'], common.carried(world));
  },

  ...errors(ask),

  async abort(world) {
    const stream = await ask(world, common.slow(world), { stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) stream.controller.abort();
    }
    await common.closed(world);
  },
};

const respond = (world, input, more = {}) => connect(world).responses.create({ model: world.model, input, store: false, ...more });

function spent(world, seen) {
  common.spent(world, seen.input_tokens, common.USAGE.input);
  common.spent(world, seen.output_tokens, common.USAGE.output);
  common.spent(world, seen.input_tokens_details.cached_tokens, common.USAGE.read);
}
const callsOf = (response) => response.output.filter((item) => item.type === 'function_call');
const outputs = (response) => callsOf(response).map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: common.degrees(JSON.parse(call.arguments).city) }));
const TOOLS = [{ type: 'function', ...WEATHER }];

const responses = {
  async text(world) {
    const response = await respond(world, common.SAY_HELLO);
    common.greeted(world, response.output_text);
    assert.equal(response.status, 'completed');
    spent(world, response.usage);
  },

  async stream(world) {
    const events = await common.all(await respond(world, common.SAY_HELLO, { stream: true }));
    const deltas = events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta);
    common.cameInPieces(world, deltas);
    common.greeted(world, deltas.join(''));
    events.forEach((event, index) => assert.equal(event.sequence_number, index));
    const whole = ['response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added'];
    assert.deepEqual(events.slice(0, 4).map((event) => event.type), whole);
    const end = events.at(-1);
    assert.equal(end.type, 'response.completed');
    common.greeted(world, end.response.output.at(-1).content[0].text);
    spent(world, end.response.usage);
  },

  async tools(world) {
    const first = await respond(world, common.WEATHER, { tools: TOOLS });
    assert.deepEqual(callsOf(first).map((call) => JSON.parse(call.arguments)), CALLS);
    const second = await respond(world, [...user(common.WEATHER), ...first.output, ...outputs(first)], { tools: TOOLS });
    common.told(second.output_text, ['Oslo', 'Bergen']);
  },

  async 'streamed tools'(world) {
    const stream = connect(world).responses.stream({ model: world.model, input: common.WEATHER, store: false, tools: TOOLS });
    const pieces = {};
    stream.on('response.function_call_arguments.delta', ({ output_index, delta }) => (pieces[output_index] ??= []).push(delta));
    const response = await stream.finalResponse();
    assert.deepEqual(callsOf(response).map((call) => JSON.parse(call.arguments)), CALLS);
    response.output.forEach((item, index) => item.type === 'function_call' && assert.equal(pieces[index].join(''), item.arguments));
  },

  async 'structured output'(world) {
    const format = { type: 'json_schema', name: 'recipe', strict: true, schema: common.RECIPE_SCHEMA };
    const response = await connect(world).responses.parse({ model: world.model, input: 'A recipe, please.', store: false, text: { format } });
    assert.deepEqual(JSON.parse(response.output_text), common.RECIPE);
  },

  async 'image in'(world) {
    const content = [{ type: 'input_text', text: common.DESCRIBE }, { type: 'input_image', image_url: IMAGE, detail: 'auto' }];
    assert.equal((await respond(world, user(content))).output_text, common.SEEN);
  },

  async reasoning(world) {
    const settings = { tools: TOOLS, reasoning: { effort: 'low', summary: 'auto' }, include: ['reasoning.encrypted_content'] };
    const first = await respond(world, common.THINK, settings);
    common.counted(world, first.usage.output_tokens_details.reasoning_tokens);
    if (world.reasoning !== 'counted') {
      assert.equal(first.output[0].type, 'reasoning');
      assert.equal(first.output[0].summary[0].text, common.THOUGHT);
    }
    const second = await respond(world, [...user(common.THINK), ...first.output, ...outputs(first)], settings);
    common.told(second.output_text, ['Oslo'], common.carried(world));
  },

  ...errors(respond),

  async abort(world) {
    const stream = await respond(world, common.slow(world), { stream: true });
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') stream.controller.abort();
    }
    await common.closed(world);
  },
};

export const clients = [
  { name: 'npm openai (chat)', format: 'openai-chat', cases: chat },
  { name: 'npm openai (Responses)', format: 'openai-responses', cases: responses },
];
