// What the cases of all clients share: the questions, what is answered, and a look at what the mock provider was asked.
//
// A world is where a client talks to and what holds there:
//   baseURL, apiKey, wrongKey, model   as the client needs them; `baseURL` has no path
//   client, name                       the client's name, and the world's
//   control                            the mock provider's URL, for its log
//   reasoning                          'signed' (shown, and comes back signed), 'shown' (and does not), 'maybe' (shown), or
//                                      'counted' (in usage only)
//   carried                            whether the reasoning comes back, where that does not follow from `reasoning`
//   uncounted                          true where the provider does not tell reasoning tokens apart
//   own                                true for a real model, which does not say what the mocks do
//   most                               the most output tokens, where the model has a small context
//   statuses                           { key, model }: HTTP status for a wrong key and for an unknown model
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { CARRIED, HELLO, THOUGHT, USAGE } from '../mocks/script.mjs';

export { CARRIED, HELLO, THOUGHT, USAGE };

export const SAY_HELLO = 'say hello';
export const WEATHER = 'What is the weather in Oslo and Bergen?';
export const THINK = 'think: what is the weather in Oslo?';
/** A question that is answered for a minute, and is this client's in this world alone. */
export const slow = ({ client, name }) => `be slow for ${client} at ${name}`;
export const RATE_LIMIT = 'fail 429';
export const DESCRIBE = 'What do you see?';

/** A red dot: a real PNG of 70 bytes. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
export const SEEN = `I see image/png, ${Buffer.from(PNG, 'base64').length} bytes.`;

/** The answer to `SAY_HELLO`: a model of our own says something of its own. */
export const greeted = ({ own }, text) => (own ? assert.ok(text.length > 0, 'nothing was said') : assert.equal(text, HELLO));
/** The answer to SAY_HELLO came as it was written: what a model of our own says is drawn, and may be a word or two. */
export const cameInPieces = ({ own }, deltas) =>
  assert.ok(deltas.length >= (own ? Math.min(4, deltas.join('').trim().split(/\s+/).length) : 4), 'it came in one piece');
/** How it ended: a model of our own may come to the end of its context. */
export const ended = ({ own }, reason, expected) => (own ? assert.equal(typeof reason, 'string') : assert.equal(reason, expected));
/** What it cost. */
export const spent = ({ own }, tokens, expected) => (own ? assert.ok(expected === USAGE.read || tokens > 0, `${tokens}`) : assert.equal(tokens, expected));

/** What the tool `weather` gives. */
export const degrees = (city) => `${city.length} degrees in ${city}`;
/** The last answer tells what the tool gave for each city; `carried`: and that the reasoning came back whole, or not. */
export function told(text, cities, carried) {
  for (const city of cities) assert.ok(text.startsWith('weather: ') && text.includes(degrees(city)), text);
  if (carried !== undefined) assert.equal(text.endsWith(CARRIED), carried, text);
}
/** Whether the reasoning comes back; undefined if it may or may not. */
export const carried = (world) => world.carried ?? (world.reasoning === 'maybe' ? undefined : world.reasoning === 'signed');
/** `tokens` of reasoning stand in an answer's usage, or, where the provider tells none, do not. */
export const counted = ({ uncounted }, tokens) => assert.equal(tokens ?? 0, uncounted ? 0 : USAGE.reasoning);
export const WEATHER_SCHEMA = { type: 'object', properties: { city: { type: 'string', description: 'The name of the city' } }, required: ['city'], additionalProperties: false };
export const WEATHER_ABOUT = 'The weather in a city';

/** What is asked for by schema, and what comes. */
export const RECIPE_SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string' }, minutes: { type: 'integer' }, steps: { type: 'array', items: { type: 'string' } }, level: { type: 'string', enum: ['easy', 'hard'] } },
  required: ['name', 'minutes', 'steps', 'level'],
  additionalProperties: false,
};
export const RECIPE = { name: 'text', minutes: 7, steps: ['text'], level: 'easy' };

/** Waits until the mock provider saw the connection of the question `slow(world)` break. */
export async function closed(world) {
  const end = Date.now() + 10_000;
  while (Date.now() < end) {
    const reply = await fetch(`${world.control}/_mock/broken?text=${encodeURIComponent(slow(world))}`);
    if (await reply.json()) return;
    await sleep(20);
  }
  assert.fail('the mock provider went on: its connection was not closed');
}

/** The error that `act` throws. */
export async function thrown(act) {
  return act().then(() => assert.fail('it was answered'), (error) => error);
}

/** Every value of a stream. */
export async function all(stream) {
  const values = [];
  for await (const value of stream) values.push(value);
  return values;
}
