// The Vercel AI SDK's own gateway provider (`createGateway`) at the gateway, in the versions whose protocols differ.
import assert from 'node:assert/strict';
import * as ai7 from 'ai';
import * as ai5 from 'ai5';
import * as ai6 from 'ai6';
import * as common from './common.mjs';

/** The path that the provider uses by itself, and what the versions call things. `routes`: where older versions are tried. */
export const SDKS = [
  { name: 'npm ai 7, createGateway', ai: ai7, path: '/v4/ai', steps: ai7.isStepCount, cached: (usage) => usage.inputTokenDetails.cacheReadTokens, reasoned: (usage) => usage.outputTokenDetails.reasoningTokens },
  { name: 'npm ai 6, createGateway', ai: ai6, path: '/v3/ai', steps: ai6.stepCountIs, cached: (usage) => usage.inputTokenDetails.cacheReadTokens, reasoned: (usage) => usage.outputTokenDetails.reasoningTokens, routes: ['to-openai', 'to-anthropic'] },
  { name: 'npm ai 5, createGateway', ai: ai5, path: '/v1/ai', steps: ai5.stepCountIs, cached: (usage) => usage.cachedInputTokens, reasoned: (usage) => usage.reasoningTokens, routes: ['to-openai', 'to-anthropic'] },
];

/** An app names the options of every provider that may serve it. */
const REASONING = {
  openai: { reasoningEffort: 'low' },
  'openai-responses': { reasoningEffort: 'low' },
  vllm: { reasoningEffort: 'low' },
  anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } },
  google: { thinkingConfig: { includeThoughts: true, thinkingLevel: 'low' } },
};

const CALLS = [{ city: 'Oslo' }, { city: 'Bergen' }];

export const gateway = ({ ai, path }, { baseURL, apiKey }) => ai.createGateway({ baseURL: `${baseURL}${path}`, apiKey });

function client(sdk) {
  const { name, ai, steps, cached, reasoned, routes } = sdk;
  const tools = {
    weather: ai.tool({ description: common.WEATHER_ABOUT, inputSchema: ai.jsonSchema(common.WEATHER_SCHEMA), execute: async ({ city }) => common.degrees(city) }),
  };
  const base = (world) => ({ model: gateway(sdk, world)(world.model), maxOutputTokens: world.most, maxRetries: 0 });
  const looped = { tools, stopWhen: steps(3) };
  const usage = (world, seen) => {
    common.spent(world, seen.inputTokens, common.USAGE.input);
    common.spent(world, seen.outputTokens, common.USAGE.output);
    common.spent(world, cached(seen), common.USAGE.read);
  };
  const failing = async (world, change, status, type, message) => {
    const error = await common.thrown(() => ai.generateText({ ...base({ ...world, ...change }), prompt: change.prompt ?? common.SAY_HELLO }));
    assert.equal(error.type, type, `${error.stack}`);
    assert.equal(error.statusCode, status, error.message);
    assert.match(error.message, message);
    return error;
  };
  const cases = {
    async text(world) {
      const { text, finishReason, usage: seen, providerMetadata } = await ai.generateText({ ...base(world), prompt: common.SAY_HELLO });
      common.greeted(world, text);
      common.ended(world, finishReason, 'stop');
      usage(world, seen);
      assert.match(providerMetadata.gateway.generationId, /^gen_\w{26}$/);
      assert.match(providerMetadata.gateway.cost, /^\d+(\.\d+)?$/);
      assert.equal(providerMetadata.gateway.routing.attempts.length, 1);
    },

    async stream(world) {
      const result = ai.streamText({ ...base(world), prompt: common.SAY_HELLO });
      const deltas = await common.all(result.textStream);
      common.cameInPieces(world, deltas);
      common.greeted(world, deltas.join(''));
      common.ended(world, await result.finishReason, 'stop');
      usage(world, await result.usage);
      assert.match((await result.providerMetadata).gateway.cost, /^\d+(\.\d+)?$/);
    },

    async tools(world) {
      const { text, steps: all } = await ai.generateText({ ...base(world), ...looped, prompt: common.WEATHER });
      assert.equal(all.length, 2);
      assert.deepEqual(all[0].toolCalls.map((call) => call.input), CALLS);
      assert.equal(all[0].finishReason, 'tool-calls');
      common.told(text, ['Oslo', 'Bergen']);
    },

    async 'streamed tools'(world) {
      const result = ai.streamText({ ...base(world), ...looped, prompt: common.WEATHER });
      const parts = await common.all(result.fullStream);
      assert.deepEqual(parts.filter((part) => part.type === 'error').map((part) => `${part.error}`), []);
      const calls = parts.filter((part) => part.type === 'tool-call');
      assert.deepEqual(calls.map((call) => call.input), CALLS);
      for (const call of calls) {
        const pieces = parts.filter((part) => part.type === 'tool-input-delta' && part.id === call.toolCallId).map((part) => part.delta);
        assert.deepEqual(JSON.parse(pieces.join('')), call.input);
      }
      common.told(await result.text, ['Oslo', 'Bergen']);
    },

    async 'structured output'(world) {
      const schema = ai.jsonSchema(common.RECIPE_SCHEMA);
      const settings = { ...base(world), prompt: 'A recipe, please.' };
      if (ai === ai7) {
        const output = ai.Output.object({ schema, name: 'recipe' });
        assert.deepEqual((await ai.generateText({ ...settings, output })).output, common.RECIPE);
        assert.deepEqual(await ai.streamText({ ...settings, output }).output, common.RECIPE);
      } else {
        assert.deepEqual((await ai.generateObject({ ...settings, schema })).object, common.RECIPE);
        const streamed = ai.streamObject({ ...settings, schema });
        assert.deepEqual((await common.all(streamed.partialObjectStream)).at(-1), common.RECIPE);
      }
    },

    async 'image in'(world) {
      const content = [{ type: 'text', text: common.DESCRIBE }, { type: 'file', mediaType: 'image/png', data: common.PNG }];
      const { text } = await ai.generateText({ ...base(world), messages: [{ role: 'user', content }] });
      assert.equal(text, common.SEEN);
    },

    async reasoning(world) {
      const settings = { ...base(world), ...looped, providerOptions: REASONING, prompt: common.THINK };
      const whole = await ai.generateText(settings);
      const result = ai.streamText(settings);
      await result.consumeStream();
      for (const [text, all] of [[whole.text, whole.steps], [await result.text, await result.steps]]) {
        common.counted(world, reasoned(all[0].usage));
        if (world.reasoning !== 'counted') assert.equal(all[0].reasoningText, common.THOUGHT);
        common.told(text, ['Oslo'], common.carried(world));
      }
    },

    async 'rate limit'(world) {
      const error = await failing(world, { prompt: common.RATE_LIMIT }, 429, 'rate_limit_exceeded', /rate limit|quota|too many/i);
      assert.ok(error.isRetryable ?? true);
    },

    // Not `authentication_error`, whose text the SDK replaces by one of its own.
    'wrong key': (world) => failing(world, { apiKey: world.wrongKey }, world.statuses.key, 'forbidden', /key/i),

    'unknown model': (world) => failing(world, { model: 'gpt-5-nonexistent' }, world.statuses.model, 'model_not_found', /gpt-5-nonexistent/),

    async abort(world) {
      const abort = new AbortController();
      const result = ai.streamText({ ...base(world), prompt: common.slow(world), abortSignal: abort.signal, onError() {} });
      const parts = [];
      for await (const part of result.fullStream) {
        parts.push(part.type);
        if (part.type === 'text-delta') abort.abort();
      }
      assert.ok(parts.includes('abort'), 'the SDK did not notice its own abort');
      await common.closed(world);
    },
  };
  return { name, format: 'ai-sdk-gateway', routes, cases };
}

export const clients = SDKS.map(client);
