// Origins that are down or die, seen through the real SDKs. Two moe-servers with the same model: `own` and its twin.
import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { until } from './world.mjs';

const PROMPT = 'Once upon a time';
const TOKENS = 400;

function settings(world, model, more = {}) {
  const provider = createOpenAICompatible({ name: 'moegate', baseURL: `${world.url}/v1`, apiKey: world.clientKey, includeUsage: true });
  return { model: provider(model), prompt: PROMPT, temperature: 0, maxOutputTokens: TOKENS, maxRetries: 0, onError() {}, ...more };
}

/** A stream to its end: its text, and what else a client sees. `onDelta` is told how many have come. */
async function read(result, onDelta = () => {}) {
  let text = '';
  let deltas = 0;
  const seen = [];
  for await (const part of result.fullStream) {
    if (part.type === 'text-delta') {
      text += part.text;
      deltas += 1;
      await onDelta(deltas);
    } else {
      seen.push(part.type);
    }
  }
  return { text, deltas, seen, reason: await result.finishReason };
}

/** Requests and attempts that `act` adds to the books. */
async function counted(world, attempts, act) {
  const before = (await world.usage()).totals;
  const result = await act();
  let now = before;
  const totals = await until(`${attempts} attempts in the books`, async () => {
    now = (await world.usage()).totals;
    return now.attempts >= before.attempts + attempts && now;
  }).catch((error) => {
    const [requests, seen] = [now.requests - before.requests, now.attempts - before.attempts];
    throw new Error(`${error.message}; there are ${seen}, of ${requests} requests`);
  });
  return { result, requests: totals.requests - before.requests, attempts: totals.attempts - before.attempts };
}

export const cases = {
  async 'kill -9 of the serving server mid-stream, with `continue`: exactly the uninterrupted text'(world) {
    const sampled = { temperature: 0.8, seed: 11 };
    // The attempts that died are in the books when their server is there again, and has been asked.
    const { requests, attempts } = await counted(world, 9, async () => {
      // Early: a server that has written all of it already dies unnoticed.
      for (const [how, kill] of [[{}, 1], [{}, 12], [sampled, 6]]) {
        const whole = await read(streamText(settings(world, 'own-continued', how)));
        assert.ok(whole.deltas > 80, `the uninterrupted stream has ${whole.deltas} deltas only`);
        try {
          const result = await read(streamText(settings(world, 'own-continued', how)), async (deltas) => {
            if (deltas === kill) await world.killServer();
          });
          assert.equal(result.text, whole.text);
          assert.deepEqual([result.reason, result.seen], [whole.reason, whole.seen]);
        } finally {
          await world.startServer();
        }
      }
    });
    assert.deepEqual([requests, attempts], [6, 9]);
  },

  async 'the first origin is down: the next one answers, and the headers say so'(world) {
    const { result, requests, attempts } = await counted(world, 2, () => generateText(settings(world, 'down-then-own', { maxOutputTokens: 8 })));
    assert.deepEqual([requests, attempts], [1, 2]);
    const { headers } = result.response;
    assert.equal(headers['x-moegate-attempts'], '2');
    assert.equal(headers['x-moegate-origin'], 'own');
    assert.match(headers['x-moegate-attempt-log'], /^dead;model="dead-model";reason=connect;ms=\d+;breaker=closed, own;.*reason=ok/);
    assert.ok(!JSON.stringify(headers).includes('2871'), 'an origin\'s address');
  },

  async 'every origin is down and the SDK retries too: its 3 calls are 9 attempts'(world) {
    const { result, requests, attempts } = await counted(world, 9, () =>
      generateText(settings(world, 'all-down', { maxRetries: 2 })).then(() => assert.fail('it was answered'), (error) => error));
    assert.match(`${result}`, /cannot be reached/);
    assert.deepEqual([requests, attempts], [3, 9]);
  },

  async 'OpenAI\'s SDK does not retry what the gateway has retried'(world) {
    const openai = new OpenAI({ baseURL: `${world.url}/v1`, apiKey: world.clientKey, maxRetries: 2 });
    const messages = [{ role: 'user', content: PROMPT }];
    const { requests, attempts } = await counted(world, 3, () =>
      openai.chat.completions.create({ model: 'all-down', messages }).then(() => assert.fail('it was answered'), (error) => {
        assert.equal(error.status, 502);
      }));
    assert.deepEqual([requests, attempts], [1, 3]);
  },

  async 'a request with the same Idempotency-Key is answered once'(world) {
    const openai = new OpenAI({ baseURL: `${world.url}/v1`, apiKey: world.clientKey, maxRetries: 0 });
    const body = { model: 'own-model', messages: [{ role: 'user', content: PROMPT }], temperature: 1, max_tokens: 16 };
    const ask = () => openai.chat.completions.create(body, { idempotencyKey: 'order-7', headers: { 'Idempotency-Key': 'order-7' } });
    // Two at once join each other within one instance, which Spin's host does not promise.
    const twoAtOnce = async () => (world.host === 'workerd' ? Promise.all([ask(), ask()]) : [await ask(), await ask()]);
    const { result, requests } = await counted(world, 1, async () => [...(await twoAtOnce()), await ask()]);
    const [first, second, third] = result;
    assert.deepEqual([second, third], [first, first]);
    assert.equal(requests, 1);
    const other = openai.chat.completions.create({ ...body, max_tokens: 17 }, { headers: { 'Idempotency-Key': 'order-7' } });
    await other.then(() => assert.fail('it was answered'), (error) => assert.equal(error.status, 422));
  },
};
