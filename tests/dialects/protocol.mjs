// What the AI SDK's gateway provider can do besides answers: models, credits, costs, wishes of where a request goes, fallbacks
// that can be seen, broken streams. Each version of the SDK, once on each host.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { HELLO, SAY_HELLO, all, thrown } from './clients/common.mjs';
import { gateway as provider, SDKS } from './clients/gateway.mjs';

const PATIENCE_MS = 10_000;

/** Until the answer is there: records are written behind what they tell of. */
async function eventually(ask) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await ask().catch((error) => (Date.now() > end ? Promise.reject(error) : null));
    if (found !== null) return found;
    await sleep(100);
  }
}

const CASES = {
  async models({ gateway }) {
    const { models } = await gateway.getAvailableModels();
    const model = models.find(({ id }) => id === 'to-openai');
    assert.equal(Number(model.pricing.input), 0.000001);
    assert.equal(Number(model.pricing.output), 0.000002);
    assert.equal(models.find(({ id }) => id === 'embeddings').modelType ?? 'embedding', 'embedding');
  },

  async credits({ gateway }) {
    const { balance, totalUsed } = await gateway.getCredits();
    assert.ok(Number(balance) > 0 && Number(balance) <= 100_000, balance);
    assert.ok(Number(totalUsed) >= 0, totalUsed);
  },

  async 'what an answer cost'({ ai, gateway }) {
    const { providerMetadata } = await ai.generateText({ model: gateway('to-openai'), prompt: SAY_HELLO, providerOptions: { gateway: { user: 'u1', tags: ['a', 'b'] } } });
    const { generationId, cost } = providerMetadata.gateway;
    if (gateway.getGenerationInfo) {
      const info = await eventually(() => gateway.getGenerationInfo({ id: generationId }));
      assert.equal(info.totalCost, Number(cost));
      assert.deepEqual([info.model, info.providerName], ['to-openai', 'openai']);
    }
    if (gateway.getSpendReport) {
      const day = new Date().toISOString().slice(0, 10);
      const { results } = await gateway.getSpendReport({ startDate: day, endDate: day, groupBy: 'tag' });
      const row = results.find(({ tag }) => tag === 'a,b');
      assert.ok(row.totalCost > 0, JSON.stringify(results));
    }
  },

  async embeddings({ ai, gateway }) {
    const model = (gateway.embeddingModel ?? gateway.textEmbeddingModel)('embeddings');
    const { embeddings, usage } = await ai.embedMany({ model, values: ['one', 'three'] });
    assert.deepEqual(embeddings.map((one) => one.length), [1536, 1536]);
    assert.equal(usage.tokens, 8);
  },

  async reranking({ ai, gateway }) {
    const documents = ['rain in the north', 'sun', 'some rain and some sun'];
    const { ranking, rerankedDocuments, providerMetadata } = await ai.rerank({ model: gateway.rerankingModel('rerank'), documents, query: 'rain and sun', topN: 2 });
    assert.deepEqual(ranking.map(({ originalIndex, score }) => [originalIndex, score]), [[2, 1], [0, 1 / 3]]);
    assert.deepEqual(rerankedDocuments, [documents[2], documents[0]]);
    assert.deepEqual([providerMetadata.gateway.routing.finalProvider, providerMetadata.gateway.cost], ['vllm', '0.0000012']);
    const objects = documents.map((text) => ({ text }));
    const of = await ai.rerank({ model: gateway.rerankingModel('rerank'), documents: objects, query: 'sun' });
    assert.deepEqual(of.rerankedDocuments[0], objects[1]);
    const error = await thrown(() => ai.rerank({ model: gateway.rerankingModel('to-anthropic'), documents, query: 'sun', maxRetries: 0 }));
    assert.equal(error.statusCode, 400, error.stack);
  },

  async order({ ai, gateway }) {
    const asked = (options) => ai.generateText({ model: gateway('outage'), prompt: SAY_HELLO, maxRetries: 0, providerOptions: { gateway: options } });
    for (const [options, expected] of [
      [{ order: ['gemini'] }, 'gemini'],
      [{ only: ['anthropic', 'gemini'] }, 'anthropic'],
      [{ only: ['anthropic', 'gemini'], order: ['gemini'] }, 'gemini'],
    ]) {
      const { text, providerMetadata } = await asked(options);
      assert.equal(text, HELLO);
      assert.equal(providerMetadata.gateway.routing.finalProvider, expected);
    }
    for (const [options, message] of [[{ only: ['nowhere'] }, /leaves no origin/], [{ zeroDataRetention: true }, /zeroDataRetention/]]) {
      const error = await thrown(() => asked(options));
      assert.deepEqual([error.statusCode, error.type], [400, 'invalid_request_error'], error.stack);
      assert.match(error.message, message);
    }
  },

  async 'a fallback that can be seen'({ ai, gateway, mocks }) {
    const options = { prompt: SAY_HELLO, maxRetries: 0, providerOptions: { gateway: { models: ['to-gemini'] } } };
    mocks.vllm.force = 'fail 500';
    try {
      const whole = await ai.generateText({ model: gateway('to-vllm-or-more'), ...options });
      const result = ai.streamText({ model: gateway('to-vllm-or-more'), ...options });
      const text = (await all(result.textStream)).join('');
      for (const [said, metadata] of [[whole.text, whole.providerMetadata], [text, await result.providerMetadata]]) {
        assert.equal(said, HELLO);
        const { attempts, finalProvider, originalModelId } = metadata.gateway.routing;
        assert.deepEqual([finalProvider, originalModelId], ['gemini', 'to-vllm-or-more']);
        assert.deepEqual(attempts.map(({ provider: name, success }) => [name, success]), [['vllm', false], ['gemini', true]]);
      }
    } finally {
      mocks.vllm.force = null;
    }
  },

  async 'a stream that breaks'({ ai, gateway, mocks }) {
    mocks.anthropic.force = 'die mid-answer';
    try {
      const result = ai.streamText({ model: gateway('to-anthropic'), prompt: SAY_HELLO, maxRetries: 0, onError() {} });
      const parts = await all(result.fullStream);
      assert.ok(parts.some(({ type }) => type === 'error'), parts.map(({ type }) => type).join(' '));
      assert.equal(parts.findLast(({ type }) => type === 'finish').finishReason, 'error');
      assert.ok(HELLO.startsWith(parts.filter(({ type }) => type === 'text-delta').map((part) => part.text).join('')));
    } finally {
      mocks.anthropic.force = null;
    }
  },
};

/** Plays all of it; `world` begins each result's world. */
export async function protocol({ url, clientKey }, mocks, results, world) {
  for (const sdk of SDKS) {
    const gateway = provider(sdk, { baseURL: url, apiKey: clientKey });
    // ai 5 has none.
    const cases = Object.entries(CASES).filter(([feature]) => feature !== 'reranking' || sdk.ai.rerank);
    for (const [feature, act] of cases) {
      const error = await act({ ai: sdk.ai, gateway, mocks }).then(() => null, (reason) => reason);
      results.add(sdk.name, `${world}, protocol`, feature, error === null, error?.message, error?.stack);
    }
  }
}
