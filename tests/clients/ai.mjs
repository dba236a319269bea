// The Vercel AI SDK with its provider for OpenAI-compatible servers.
import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText } from 'ai';
import { until } from './world.mjs';

const PROMPT = 'Once upon a time';
const CANCELLED = 'moe_server_requests_total{ending="cancelled"}';

function provider(world, apiKey = world.clientKey) {
  return createOpenAICompatible({ name: 'moegate', baseURL: `${world.url}/v1`, apiKey, includeUsage: true });
}

function greedy(world) {
  return { model: provider(world)(world.model), prompt: PROMPT, temperature: 0, maxOutputTokens: 24, maxRetries: 0 };
}

/** The call fails with an API error of this status, whose message holds `part`. */
async function refused(settings, status, part) {
  const error = await generateText({ maxRetries: 0, prompt: PROMPT, ...settings }).then(
    () => assert.fail('it was answered'),
    (reason) => reason,
  );
  assert.ok(APICallError.isInstance(error), `${error}`);
  assert.equal(error.statusCode, status);
  assert.match(error.message, part);
}

/** Every part of the stream, to its end. */
async function partsOf(result, onText = () => {}) {
  const parts = [];
  for await (const part of result.fullStream) {
    parts.push(part);
    if (part.type === 'text-delta') await onText();
  }
  return parts;
}

export const cases = {
  async 'plain'(world) {
    const { text, usage, finishReason } = await generateText(greedy(world));
    assert.ok(text.length > 0);
    assert.ok(['stop', 'length'].includes(finishReason), finishReason);
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0 && usage.outputTokens <= 24);
    assert.ok(usage.raw.cost > 0, JSON.stringify(usage));
  },

  async 'streamed deltas are the plain text, and usage has the cost'(world) {
    const plain = await generateText(greedy(world));
    const result = streamText(greedy(world));
    const parts = await partsOf(result);
    const deltas = parts.filter((part) => part.type === 'text-delta').map((part) => part.text);
    assert.ok(deltas.length > 1, 'it came in one piece');
    assert.equal(deltas.join(''), plain.text);
    const usage = await result.usage;
    assert.equal(usage.inputTokens, plain.usage.inputTokens);
    assert.equal(usage.outputTokens, plain.usage.outputTokens);
    assert.ok(usage.raw.cost > 0, JSON.stringify(usage));
  },

  async 'an abort stops the server, and the record says cancelled'(world) {
    const before = await world.metric(CANCELLED);
    await world.ends('cancelled', async () => {
      const abort = new AbortController();
      const result = streamText({
        ...greedy(world), frequencyPenalty: -2, maxOutputTokens: 4000, abortSignal: abort.signal, onError() {},
      });
      const parts = await partsOf(result, () => abort.abort());
      assert.ok(parts.some((part) => part.type === 'abort'), 'the SDK did not notice its own abort');
    });
    await until('moe-server to stop the generation', async () => (await world.metric(CANCELLED)) === before + 1);
    assert.equal(await world.metric('moe_server_running'), 0);
  },

  async 'a wrong key'(world) {
    await refused({ model: provider(world, 'mg-wrong')(world.model) }, 401, /not known/);
  },

  async 'an unknown model'(world) {
    await refused({ model: provider(world)('gpt-9') }, 404, /no model "gpt-9"/);
  },

  async 'a value of the wrong type'(world) {
    const settings = { model: provider(world)(world.model), providerOptions: { moegate: { seed: 'seven' } } };
    await refused(settings, 400, /seed/);
  },

  async 'kill -9 of the server mid-stream is an error, and the record says truncated'(world) {
    // The server knows nothing of it when it is back: until it is asked, the record is pending.
    await world.ends('truncated', async () => {
      try {
        let killed = false;
        const result = streamText({ ...greedy(world), frequencyPenalty: -2, maxOutputTokens: 4000, onError() {} });
        const parts = await partsOf(result, async () => {
          if (!killed) await world.killServer();
          killed = true;
        });
        const error = parts.find((part) => part.type === 'error');
        assert.match(JSON.stringify(error?.error?.message ?? `${error?.error}`), /broke off/);
      } finally {
        await world.startServer();
      }
    });
  },

  async 'after that it serves again'(world) {
    assert.ok((await generateText(greedy(world))).text.length > 0);
  },
};
