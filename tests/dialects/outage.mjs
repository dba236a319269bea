// The scripted outage: OpenAI answers 429, Anthropic dies in the middle of its answer, Gemini goes on. An app with tools,
// written with the AI SDK, sees one answer, and the ledger has three attempts of one request.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import { degrees, HELLO, SAY_HELLO, told, USAGE, WEATHER_ABOUT, WEATHER_SCHEMA } from './clients/common.mjs';
import { PREAMBLE } from './mocks/script.mjs';

const PROMPT = 'What is the weather in Oslo? Please tell me first what you do.';
const PATIENCE_MS = 10_000;
/** For so long the mock's 429 asks to be left alone. */
const RETRY_AFTER_MS = 1100;

/** The sums, once the ledger has so many attempts: records are written after the answer. */
async function ledger(gateway, attempts) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const usage = await gateway.usage();
    if (usage.totals.attempts >= attempts || Date.now() > end) return usage;
    await sleep(50);
  }
}

const sums = (by, ...names) => Object.fromEntries(Object.entries(by).map(([key, totals]) => [key, names.map((name) => totals[name])]));

/** Runs the app; `mocks` by name, `gateway` fresh, with the route `outage`. */
export async function outage(gateway, mocks) {
  mocks.openai.force = 'fail 429';
  mocks.anthropic.force = 'die mid-answer';
  for (const mock of Object.values(mocks)) mock.log.length = 0;
  let first;
  let answered;
  const execute = async ({ city }) => {
    first = await ledger(gateway, 3);
    return degrees(city);
  };
  const model = createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.clientKey }).chat('outage');
  const weather = tool({ description: WEATHER_ABOUT, inputSchema: jsonSchema(WEATHER_SCHEMA), execute });
  try {
    const result = streamText({ model, prompt: PROMPT, tools: { weather }, stopWhen: isStepCount(3), maxRetries: 0 });
    const errors = [];
    for await (const part of result.fullStream) {
      if (part.type === 'error') errors.push(part.error);
    }
    assert.deepEqual(errors, []);
    answered = (await result.response).messages;
    const steps = await result.steps;
    assert.equal(steps.length, 2, 'one step that calls the tool, one that tells what it gave');
    assert.equal(steps[0].text, PREAMBLE, 'two halves of one answer');
    assert.deepEqual(steps[0].toolCalls.map((call) => call.input), [{ city: 'Oslo' }]);
    // Gemini is given its thought of the first step, whose signature went through the app in the call's id.
    told(steps[1].text, ['Oslo'], true);
    assert.equal(steps[1].text.split('weather: ').length, 2, 'two halves of one answer');
  } finally {
    mocks.openai.force = null;
    mocks.anthropic.force = null;
  }
  // The first request: three attempts, and only the last one, which the client's answer ended with, counts as a request.
  const { totals, by_origin, by_ending } = first;
  assert.deepEqual([totals.requests, totals.attempts], [1, 3]);
  assert.deepEqual(sums(by_origin, 'requests', 'attempts'), { openai: [0, 1], anthropic: [0, 1], gemini: [1, 1] });
  assert.deepEqual(sums(by_ending, 'attempts'), { error: [1], truncated: [1], complete: [1] });
  assert.deepEqual([by_origin.gemini.prompt_tokens, by_origin.gemini.completion_tokens], [USAGE.input, USAGE.output]);
  assert.ok(by_origin.anthropic.completion_tokens > 0, 'what the broken half cost is not in the ledger');
  // The second one: OpenAI is left alone for as long as its 429 asked for.
  const { totals: all } = await ledger(gateway, 5);
  const asked = Object.fromEntries(Object.entries(mocks).map(([name, { log }]) => [name, log.length]));
  assert.ok(asked.openai === 1 || asked.openai === 2, `OpenAI was asked ${asked.openai} times`);
  assert.deepEqual([asked.anthropic, asked.gemini], [2, 2]);
  assert.deepEqual([all.requests, all.attempts], [2, asked.openai + 4]);
  // OpenAI is back, and takes over a conversation that Gemini answered in: its ids and thoughts do not get in the way.
  await sleep(RETRY_AFTER_MS);
  const messages = [{ role: 'user', content: PROMPT }, ...answered, { role: 'user', content: SAY_HELLO }];
  const { text } = await generateText({ model, messages, tools: { weather }, maxRetries: 0 });
  assert.equal(text, HELLO);
  assert.equal(mocks.openai.log.at(-1).status, 200);
}
