// Anthropic's own SDK (npm `@anthropic-ai/sdk`).
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import * as common from './common.mjs';

const connect = ({ baseURL, apiKey }) => new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const user = (content) => [{ role: 'user', content }];
const settings = (world, content, more) => ({ model: world.model, max_tokens: world.most ?? 2000, messages: user(content), ...more });
const ask = (world, content, more) => connect(world).messages.create(settings(world, content, more));
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
const callsOf = (message) => message.content.filter((block) => block.type === 'tool_use');
const tools = [{ name: 'weather', description: common.WEATHER_ABOUT, input_schema: common.WEATHER_SCHEMA }];
const CALLS = [{ city: 'Oslo' }, { city: 'Bergen' }];

function usage(world, seen) {
  common.spent(world, seen.input_tokens + seen.cache_read_input_tokens + seen.cache_creation_input_tokens, common.USAGE.input);
  common.spent(world, seen.output_tokens, common.USAGE.output);
  common.spent(world, seen.cache_read_input_tokens, common.USAGE.read);
}

/** The conversation with every call answered. */
function answered(question, message) {
  const results = callsOf(message).map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: common.degrees(call.input.city) }));
  return [...user(question), { role: 'assistant', content: message.content }, ...user(results)];
}

async function failing(act, kind, status, message) {
  const error = await common.thrown(act);
  assert.ok(error instanceof kind, `${error.stack}`);
  assert.equal(error.status, status);
  assert.match(error.message, message);
  assert.equal(error.error.type, 'error', JSON.stringify(error.error));
}

const cases = {
  async text(world) {
    const message = await ask(world, common.SAY_HELLO);
    common.greeted(world, textOf(message));
    common.ended(world, message.stop_reason, 'end_turn');
    usage(world, message.usage);
  },

  async stream(world) {
    const stream = connect(world).messages.stream(settings(world, common.SAY_HELLO));
    const deltas = [];
    const types = [];
    stream.on('text', (delta) => deltas.push(delta)).on('streamEvent', (event) => types.push(event.type));
    const message = await stream.finalMessage();
    common.cameInPieces(world, deltas);
    common.greeted(world, deltas.join(''));
    common.greeted(world, textOf(message));
    assert.deepEqual([types[0], ...types.slice(-3)], ['message_start', 'content_block_stop', 'message_delta', 'message_stop']);
    common.ended(world, message.stop_reason, 'end_turn');
    usage(world, message.usage);
  },

  async tools(world) {
    const first = await ask(world, common.WEATHER, { tools });
    assert.equal(first.stop_reason, 'tool_use');
    assert.deepEqual(callsOf(first).map((call) => call.input), CALLS);
    const second = await connect(world).messages.create(settings(world, '', { tools, messages: answered(common.WEATHER, first) }));
    common.told(textOf(second), ['Oslo', 'Bergen']);
  },

  async 'streamed tools'(world) {
    const stream = connect(world).messages.stream(settings(world, common.WEATHER, { tools }));
    const pieces = {};
    const open = new Set();
    stream.on('streamEvent', (event) => {
      if (event.type === 'content_block_start') {
        assert.equal(open.size, 0, 'a block begins before the one before has ended');
        open.add(event.index);
      }
      if (event.type === 'content_block_delta') assert.ok(open.has(event.index));
      if (event.type === 'content_block_stop') assert.ok(open.delete(event.index));
      if (event.delta?.type === 'input_json_delta') (pieces[event.index] ??= []).push(event.delta.partial_json);
    });
    const message = await stream.finalMessage();
    assert.equal(message.stop_reason, 'tool_use');
    assert.deepEqual(callsOf(message).map((call) => call.input), CALLS);
    message.content.forEach((block, index) => block.type === 'tool_use' && assert.deepEqual(JSON.parse(pieces[index].join('')), block.input));
  },

  async 'structured output'(world) {
    const output_config = { format: { type: 'json_schema', schema: common.RECIPE_SCHEMA } };
    const message = await connect(world).messages.parse(settings(world, 'A recipe, please.', { output_config }));
    assert.deepEqual(JSON.parse(textOf(message)), common.RECIPE);
    // The older way: a tool that must be called.
    const recipe = { name: 'recipe', description: 'Takes the recipe', input_schema: common.RECIPE_SCHEMA };
    const called = await ask(world, 'A recipe, please.', { tools: [recipe], tool_choice: { type: 'tool', name: 'recipe' } });
    assert.deepEqual(callsOf(called)[0].input, common.RECIPE);
  },

  async 'image in'(world) {
    const source = { type: 'base64', media_type: 'image/png', data: common.PNG };
    assert.equal(textOf(await ask(world, [{ type: 'text', text: common.DESCRIBE }, { type: 'image', source }])), common.SEEN);
  },

  async reasoning(world) {
    const more = { tools, thinking: { type: 'enabled', budget_tokens: 1024 } };
    const whole = await ask(world, common.THINK, more);
    const streamed = await connect(world).messages.stream(settings(world, common.THINK, more)).finalMessage();
    for (const first of [whole, streamed]) {
      if (world.reasoning !== 'counted') assert.equal(first.content.find((block) => block.type === 'thinking')?.thinking, common.THOUGHT);
      const second = await connect(world).messages.create(settings(world, '', { ...more, messages: answered(common.THINK, first) }));
      common.told(textOf(second), ['Oslo'], common.carried(world));
    }
  },

  'rate limit': (world) => failing(() => ask(world, common.RATE_LIMIT), Anthropic.RateLimitError, 429, /rate limit|quota|too many/i),
  'wrong key': (world) => failing(() => ask({ ...world, apiKey: world.wrongKey }, common.SAY_HELLO), Anthropic.AuthenticationError, 401, /key/i),
  'unknown model': (world) => failing(() => ask({ ...world, model: 'gpt-5-nonexistent' }, common.SAY_HELLO), Anthropic.NotFoundError, 404, /gpt-5-nonexistent/),

  async abort(world) {
    const stream = connect(world).messages.stream(settings(world, common.slow(world)));
    stream.on('text', () => stream.abort());
    assert.ok(await common.thrown(() => stream.finalMessage()) instanceof Anthropic.APIUserAbortError);
    await common.closed(world);
  },
};

export const clients = [{ name: 'npm @anthropic-ai/sdk', format: 'anthropic', cases }];
