// The Vercel AI SDK (npm `ai`) with each of its providers.
import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogle } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, isStepCount, jsonSchema, Output, streamText, tool } from 'ai';
import * as common from './common.mjs';

/** Each provider: the format it speaks, its model, and the options that make reasoning shown and carried back. */
const PROVIDERS = [
  {
    name: 'npm ai, @ai-sdk/openai (Responses)',
    format: 'openai-responses',
    model: ({ baseURL, apiKey, model }) => createOpenAI({ baseURL: `${baseURL}/v1`, apiKey })(model),
    options: { openai: { store: false } },
    // Whether a model reasons it tells by the name otherwise.
    reasoning: { openai: { store: false, forceReasoning: true, reasoningEffort: 'low', reasoningSummary: 'auto', include: ['reasoning.encrypted_content'] } },
  },
  {
    name: 'npm ai, @ai-sdk/openai (chat)',
    format: 'openai-chat',
    // This provider reads no reasoning from chat completions.
    blind: true,
    model: ({ baseURL, apiKey, model }) => createOpenAI({ baseURL: `${baseURL}/v1`, apiKey }).chat(model),
    reasoning: { openai: { forceReasoning: true, reasoningEffort: 'low' } },
  },
  {
    name: 'npm ai, @ai-sdk/openai-compatible',
    format: 'openai-compatible',
    model: ({ baseURL, apiKey, model }) => createOpenAICompatible({ name: 'compatible', baseURL: `${baseURL}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true })(model),
    reasoning: { compatible: { reasoningEffort: 'low' } },
  },
  {
    name: 'npm ai, @ai-sdk/anthropic',
    format: 'anthropic',
    model: ({ baseURL, apiKey, model }) => createAnthropic({ baseURL: `${baseURL}/v1`, apiKey })(model),
    reasoning: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } },
  },
  {
    name: 'npm ai, @ai-sdk/google',
    format: 'gemini',
    model: ({ baseURL, apiKey, model }) => createGoogle({ baseURL: `${baseURL}/v1beta`, apiKey })(model),
    reasoning: { google: { thinkingConfig: { includeThoughts: true, thinkingLevel: 'low' } } },
  },
];

const tools = {
  weather: tool({
    description: common.WEATHER_ABOUT,
    inputSchema: jsonSchema(common.WEATHER_SCHEMA),
    execute: async ({ city }) => common.degrees(city),
  }),
};

function usage(world, seen) {
  common.spent(world, seen.inputTokens, common.USAGE.input);
  common.spent(world, seen.outputTokens, common.USAGE.output);
  common.spent(world, seen.inputTokenDetails.cacheReadTokens, common.USAGE.read);
}

const CALLS = [{ city: 'Oslo' }, { city: 'Bergen' }];

function client({ name, format, blind, model, options, reasoning }) {
  const base = (world) => ({ model: model(world), providerOptions: options, maxOutputTokens: world.most, maxRetries: 0 });
  const looped = { tools, stopWhen: isStepCount(3) };
  const failing = async (world, change, status, message) => {
    const error = await common.thrown(() => generateText({ ...base({ ...world, ...change }), prompt: change.prompt ?? common.SAY_HELLO }));
    assert.ok(APICallError.isInstance(error), `${error.stack}`);
    assert.equal(error.statusCode, status, error.message);
    assert.match(error.message, message);
    return error;
  };
  const cases = {
    async text(world) {
      const { text, finishReason, usage: seen } = await generateText({ ...base(world), prompt: common.SAY_HELLO });
      common.greeted(world, text);
      common.ended(world, finishReason, 'stop');
      usage(world, seen);
    },

    async stream(world) {
      const result = streamText({ ...base(world), prompt: common.SAY_HELLO });
      const deltas = await common.all(result.textStream);
      common.cameInPieces(world, deltas);
      common.greeted(world, deltas.join(''));
      common.ended(world, await result.finishReason, 'stop');
      usage(world, await result.usage);
    },

    async tools(world) {
      const { text, steps } = await generateText({ ...base(world), ...looped, prompt: common.WEATHER });
      assert.equal(steps.length, 2);
      assert.deepEqual(steps[0].toolCalls.map((call) => call.input), CALLS);
      assert.equal(steps[0].finishReason, 'tool-calls');
      common.told(text, ['Oslo', 'Bergen']);
    },

    async 'streamed tools'(world) {
      const result = streamText({ ...base(world), ...looped, prompt: common.WEATHER });
      const parts = await common.all(result.fullStream);
      assert.deepEqual(parts.filter((part) => part.type === 'error').map((part) => `${part.error}`), []);
      const calls = parts.filter((part) => part.type === 'tool-call');
      assert.deepEqual(calls.map((call) => call.input), CALLS);
      for (const call of calls) {
        const pieces = parts.filter((part) => part.type === 'tool-input-delta' && part.id === call.toolCallId).map((part) => part.delta);
        assert.equal(pieces.join(''), JSON.stringify(call.input));
      }
      common.told(await result.text, ['Oslo', 'Bergen']);
    },

    async 'structured output'(world) {
      const settings = { ...base(world), output: Output.object({ schema: jsonSchema(common.RECIPE_SCHEMA), name: 'recipe' }), prompt: 'A recipe, please.' };
      assert.deepEqual((await generateText(settings)).output, common.RECIPE);
      assert.deepEqual(await streamText(settings).output, common.RECIPE);
    },

    async 'image in'(world) {
      const content = [{ type: 'text', text: common.DESCRIBE }, { type: 'file', mediaType: 'image/png', data: common.PNG }];
      const { text } = await generateText({ ...base(world), messages: [{ role: 'user', content }] });
      assert.equal(text, common.SEEN);
    },

    async reasoning(world) {
      const settings = { ...base(world), ...looped, providerOptions: reasoning, prompt: common.THINK };
      const whole = await generateText(settings);
      const result = streamText(settings);
      await result.consumeStream();
      const both = [[whole.text, whole.steps], [await result.text, await result.steps]];
      for (const [text, steps] of both) {
        common.counted(world, steps[0].usage.outputTokenDetails.reasoningTokens);
        if (world.reasoning !== 'counted') assert.equal(steps[0].reasoningText, common.THOUGHT);
        common.told(text, ['Oslo'], common.carried(world));
      }
    },

    async 'rate limit'(world) {
      const error = await failing(world, { prompt: common.RATE_LIMIT }, 429, /rate limit|quota|too many/i);
      assert.ok(error.isRetryable);
    },

    'wrong key': (world) => failing(world, { apiKey: world.wrongKey }, world.statuses.key, /key/i),

    'unknown model': (world) => failing(world, { model: 'gpt-5-nonexistent' }, world.statuses.model, /gpt-5-nonexistent/),

    async abort(world) {
      const abort = new AbortController();
      const result = streamText({ ...base(world), prompt: common.slow(world), abortSignal: abort.signal, onError() {} });
      const parts = [];
      for await (const part of result.fullStream) {
        parts.push(part.type);
        if (part.type === 'text-delta') abort.abort();
      }
      assert.ok(parts.includes('abort'), 'the SDK did not notice its own abort');
      await common.closed(world);
    },
  };
  return { name, format, blind, cases };
}

export const clients = PROVIDERS.map(client);
