// OpenAI's own SDK for JavaScript.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { until } from './world.mjs';

const CANCELLED = 'moe_server_requests_total{ending="cancelled"}';

function client(world, apiKey = world.clientKey) {
  return new OpenAI({ baseURL: `${world.url}/v1`, apiKey, maxRetries: 0 });
}

function greedy(world) {
  const messages = [{ role: 'user', content: 'Once upon a time' }];
  return { model: world.model, messages, temperature: 0, max_tokens: 24 };
}

export const cases = {
  async 'models'(world) {
    const ids = [];
    for await (const model of client(world).models.list()) ids.push(model.id);
    assert.ok(ids.includes(world.model), `${ids}`);
    assert.equal((await client(world).models.retrieve(world.model)).id, world.model);
  },

  async 'plain'(world) {
    const answer = await client(world).chat.completions.create(greedy(world));
    assert.ok(answer.choices[0].message.content.length > 0);
    assert.ok(answer.usage.prompt_tokens > 0 && answer.usage.cost > 0, JSON.stringify(answer.usage));
  },

  async 'streamed deltas are the plain text, and usage has the cost'(world) {
    const plain = await client(world).chat.completions.create(greedy(world));
    const stream = await client(world).chat.completions.create({
      ...greedy(world), stream: true, stream_options: { include_usage: true },
    });
    let text = '';
    let usage;
    let pieces = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? '';
      pieces += 1;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, plain.choices[0].message.content);
    assert.ok(pieces > 2, 'it came in one piece');
    assert.equal(usage.cost, plain.usage.cost);
    assert.equal(usage.completion_tokens, plain.usage.completion_tokens);
  },

  async 'usage that was not asked for does not come'(world) {
    const stream = await client(world).chat.completions.create({ ...greedy(world), stream: true });
    for await (const chunk of stream) assert.ok(chunk.choices.length === 1 && !chunk.usage, JSON.stringify(chunk));
  },

  async 'completions'(world) {
    const { model } = world;
    const answer = await client(world).completions.create({ model, prompt: 'Once', max_tokens: 8, temperature: 0 });
    assert.equal(answer.object, 'text_completion');
    assert.ok(answer.usage.cost > 0);
  },

  async 'an abort stops the server, and the record says cancelled'(world) {
    const before = await world.metric(CANCELLED);
    await world.ends('cancelled', async () => {
      const stream = await client(world).chat.completions.create({
        ...greedy(world), frequency_penalty: -2, max_tokens: 4000, stream: true,
      });
      for await (const chunk of stream) {
        if (chunk.choices[0].delta.content) stream.controller.abort();
      }
    });
    await until('moe-server to stop the generation', async () => (await world.metric(CANCELLED)) === before + 1);
  },

  async 'errors have their classes'(world) {
    const { model } = world;
    for (const [kind, apiKey, change, part] of [
      [OpenAI.AuthenticationError, 'mg-wrong', {}, /not known/],
      [OpenAI.NotFoundError, world.clientKey, { model: 'gpt-9' }, /no model "gpt-9"/],
      [OpenAI.BadRequestError, world.clientKey, { stream: 'yes' }, /stream/],
      [OpenAI.BadRequestError, world.clientKey, { temperature: 'hot' }, /temperature/],
    ]) {
      const create = client(world, apiKey).chat.completions.create({ ...greedy(world), model, ...change });
      await assert.rejects(create, (error) => {
        assert.ok(error instanceof kind, `${error?.constructor?.name}: ${error}`);
        assert.match(error.message, part);
        return true;
      });
    }
  },
};
