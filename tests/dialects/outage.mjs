// The scripted outage: OpenAI answers 429, Anthropic dies in the middle of its answer, Gemini goes on. An app with tools,
// written with the AI SDK, sees one answer.
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { isStepCount, jsonSchema, streamText, tool } from 'ai';
import { degrees, WEATHER_ABOUT, WEATHER_SCHEMA } from './clients/common.mjs';
import { PREAMBLE } from './mocks/script.mjs';

const PROMPT = 'What is the weather in Oslo? Please tell me first what you do.';

/** Runs the app; `mocks` by name, `gateway` with the route `outage`. */
export async function outage(gateway, mocks) {
  mocks.openai.force = 'fail 429';
  mocks.anthropic.force = 'die mid-answer';
  for (const mock of Object.values(mocks)) mock.log.length = 0;
  const before = await gateway.usage();
  try {
    const model = createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.clientKey }).chat('outage');
    const weather = tool({ description: WEATHER_ABOUT, inputSchema: jsonSchema(WEATHER_SCHEMA), execute: async ({ city }) => degrees(city) });
    const result = streamText({ model, prompt: PROMPT, tools: { weather }, stopWhen: isStepCount(3), maxRetries: 0 });
    const errors = [];
    for await (const part of result.fullStream) {
      if (part.type === 'error') errors.push(part.error);
    }
    assert.deepEqual(errors, []);
    const steps = await result.steps;
    assert.equal(steps.length, 2, 'one step that calls the tool, one that tells what it gave');
    assert.equal(steps[0].text, PREAMBLE, 'two halves of one answer');
    assert.deepEqual(steps[0].toolCalls.map((call) => call.input), [{ city: 'Oslo' }]);
    assert.ok(steps[1].text.includes(degrees('Oslo')), steps[1].text);
  } finally {
    mocks.openai.force = null;
    mocks.anthropic.force = null;
  }
  for (const name of ['openai', 'anthropic', 'gemini']) assert.equal(mocks[name].log.length, 2, `${name} was asked ${mocks[name].log.length} times in two steps`);
  const after = await gateway.usage();
  return { before, after };
}
