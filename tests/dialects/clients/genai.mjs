// Google's own SDK (npm `@google/genai`).
import assert from 'node:assert/strict';
import { ApiError, GoogleGenAI, Type } from '@google/genai';
import * as common from './common.mjs';

const connect = ({ baseURL, apiKey }) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: baseURL } });
const ask = (world, contents, config) => connect(world).models.generateContent({ model: world.model, contents, config });
const stream = (world, contents, config) => connect(world).models.generateContentStream({ model: world.model, contents, config });
const tools = [{ functionDeclarations: [{ name: 'weather', description: common.WEATHER_ABOUT, parametersJsonSchema: common.WEATHER_SCHEMA }] }];
const CALLS = [{ city: 'Oslo' }, { city: 'Bergen' }];

function usage(world, seen) {
  common.spent(world, seen.promptTokenCount, common.USAGE.input);
  common.spent(world, seen.candidatesTokenCount + (seen.thoughtsTokenCount ?? 0), common.USAGE.output);
  common.spent(world, seen.cachedContentTokenCount, common.USAGE.read);
  common.spent(world, seen.totalTokenCount, common.USAGE.input + common.USAGE.output);
}

const responses = (calls) => ({
  role: 'user',
  parts: calls.map(({ id, name, args }) => ({ functionResponse: { ...(id ? { id } : {}), name, response: { output: common.degrees(args.city) } } })),
});

/** The conversation with every call answered; the model's content goes back as it came. */
const answered = (question, answer) => [{ role: 'user', parts: [{ text: question }] }, answer.candidates[0].content, responses(answer.functionCalls)];

async function failing(act, status, message) {
  const error = await common.thrown(act);
  assert.ok(error instanceof ApiError, `${error.stack}`);
  assert.equal(error.status, status);
  assert.match(error.message, message);
  assert.equal(typeof JSON.parse(error.message).error.status, 'string', error.message);
}

const cases = {
  async text(world) {
    const answer = await ask(world, common.SAY_HELLO);
    common.greeted(world, answer.text);
    common.ended(world, answer.candidates[0].finishReason, 'STOP');
    usage(world, answer.usageMetadata);
  },

  async stream(world) {
    const chunks = await common.all(await stream(world, common.SAY_HELLO));
    const deltas = chunks.map((chunk) => chunk.text).filter(Boolean);
    common.cameInPieces(world, deltas);
    common.greeted(world, deltas.join(''));
    common.ended(world, chunks.at(-1).candidates[0].finishReason, 'STOP');
    usage(world, chunks.at(-1).usageMetadata);
  },

  async tools(world) {
    const first = await ask(world, common.WEATHER, { tools });
    assert.deepEqual(first.functionCalls.map((call) => call.args), CALLS);
    const second = await ask(world, answered(common.WEATHER, first), { tools });
    common.told(second.text, ['Oslo', 'Bergen']);
  },

  async 'streamed tools'(world) {
    const chunks = await common.all(await stream(world, common.WEATHER, { tools }));
    assert.deepEqual(chunks.flatMap((chunk) => chunk.functionCalls ?? []).map((call) => call.args), CALLS);
  },

  async 'structured output'(world) {
    const responseMimeType = 'application/json';
    const plain = await ask(world, 'A recipe, please.', { responseMimeType, responseJsonSchema: common.RECIPE_SCHEMA });
    assert.deepEqual(JSON.parse(plain.text), common.RECIPE);
    const { properties, required } = common.RECIPE_SCHEMA;
    const typed = { steps: { type: Type.ARRAY, items: { type: Type.STRING } }, minutes: { type: Type.INTEGER }, name: { type: Type.STRING } };
    const responseSchema = { type: Type.OBJECT, required, propertyOrdering: required, properties: { ...typed, level: { type: Type.STRING, format: 'enum', enum: properties.level.enum } } };
    const older = await ask(world, 'A recipe, please.', { responseMimeType, responseSchema });
    assert.deepEqual(JSON.parse(older.text), common.RECIPE);
  },

  async 'image in'(world) {
    const parts = [{ text: common.DESCRIBE }, { inlineData: { mimeType: 'image/png', data: common.PNG } }];
    assert.equal((await ask(world, [{ role: 'user', parts }])).text, common.SEEN);
  },

  async reasoning(world) {
    const config = { tools, thinkingConfig: { includeThoughts: true } };
    const first = await ask(world, common.THINK, config);
    const thoughts = first.candidates[0].content.parts.filter((part) => part.thought).map((part) => part.text).join('');
    if (world.reasoning !== 'counted') assert.equal(thoughts, common.THOUGHT);
    common.counted(world, first.usageMetadata.thoughtsTokenCount);
    const second = await ask(world, answered(common.THINK, first), config);
    common.told(second.text, ['Oslo'], common.carried(world));
  },

  'rate limit': (world) => failing(() => ask(world, common.RATE_LIMIT), 429, /rate limit|quota|too many/i),
  'wrong key': (world) => failing(() => ask({ ...world, apiKey: world.wrongKey }, common.SAY_HELLO), world.statuses.key, /key/i),
  'unknown model': (world) => failing(() => ask({ ...world, model: 'gpt-5-nonexistent' }, common.SAY_HELLO), 404, /gpt-5-nonexistent/),

  async abort(world) {
    const abort = new AbortController();
    await common.thrown(async () => {
      for await (const chunk of await stream(world, common.slow(world), { abortSignal: abort.signal })) {
        if (chunk.text) abort.abort();
      }
    });
    await common.closed(world);
  },
};

export const clients = [{ name: 'npm @google/genai', format: 'gemini', cases }];
