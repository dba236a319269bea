// What a developer sees of an origin that sleeps, by SDK and policy: `cargo xtask test wake`.
import assert from 'node:assert/strict';
import { Counting } from './counting.mjs';
import { Python, sdks, seen } from './sdks.mjs';
import { check } from './table.mjs';
import { play, until } from './world.mjs';

const START_MS = 4_000;
/** Longer than any client waits here. */
const NEVER_MS = 600_000;

const python = new Python();
const proxy = new Counting('http://127.0.0.1:28750');
await Promise.all([python.start(), proxy.start()]);
const SDKS = sdks(python);
const rows = [];

/** A wake under way is over and the origin has worked: it may be woken again once it sleeps. */
async function awake(world) {
  world.slow.finish();
  world.slow.startMs = 200;
  await until('the wake before is over', async () => (await world.origin('slow')).state !== 'waking');
  assert.equal((await world.ask('hold')).status, 200);
  await until('the ledger knows that it works', async () => (await world.origin('slow')).state === 'ready');
}

/** Every SDK, streamed and not, asks at once while the origin sleeps; `expect` is held to what each has seen. */
async function ask(world, model, startMs, row, expect) {
  await awake(world);
  await world.sleeps();
  Object.assign(world.slow, { startMs, readyAt: 0 });
  const { wakes } = world.slow;
  const asked = Object.keys(SDKS).flatMap((sdk) => [false, true].map((stream) => ({ sdk, stream, name: `${sdk}${stream ? 'streamed' : ''}` })));
  const all = await Promise.all(asked.map(async ({ sdk, stream, name }) => {
    const what = await seen(SDKS[sdk], { url: proxy.of(name), key: world.keys.app, model, stream });
    return { sdk, stream, ...what, requests: proxy.take(name) };
  }));
  for (const one of all) {
    const { sdk, stream, text, error, requests, began, ended } = one;
    one.last = requests.at(-1);
    // Before the origin was awake.
    one.headAtOnce = requests[0].head < (world.slow.readyAt || Infinity);
    one.atOnce = ended < (world.slow.readyAt || Infinity);
    const times = `${requests.length} requests, the first head after ${requests[0].head - began} ms, all of it after ${ended - began} ms`;
    console.log(`    ${sdk}${stream ? ', streamed' : ''}: ${error ? `${error.class} ${error.status ?? ''} ${error.code}` : text}; ${times}`);
    if (process.env.MOEGATE_VERBOSE) console.log(JSON.stringify(one.error));
  }
  for (const one of all) {
    try {
      expect(one);
    } catch (error) {
      error.message = `${one.sdk}${one.stream ? ', streamed' : ''}: ${error.message}`;
      throw error;
    }
  }
  // Behind an answer from elsewhere.
  await until('it is being woken', async () => world.slow.wakes > wakes);
  assert.equal(world.slow.wakes, wakes + 1);
  rows.push({ host: world.host, ...row, all });
}

function served({ text, error, last }, requests) {
  assert.equal(error, undefined);
  assert.equal(text, 'Good morning.');
  assert.equal(last.status, 200);
  assert.ok(requests);
}

/** Classes of the SDKs for a 5xx that their own retries did not help against. */
const CLASSES = { python: 'InternalServerError', node: 'InternalServerError', compatible: 'AI_RetryError', openai: 'AI_RetryError' };

function refused({ sdk, error, requests }, status, code, message) {
  assert.deepEqual([error.class, error.status, error.code], [CLASSES[sdk], status, code]);
  assert.match(error.message, message);
  assert.deepEqual(requests.map((one) => one.status), [status, status, status]);
  for (const one of requests) {
    assert.equal(one.headers['x-moegate-origin-state'], 'waking');
    assert.ok(Number(one.headers['x-moegate-wake-seconds']) >= 1);
  }
  // When they came again is what they were told.
  for (const [at, one] of requests.slice(1).entries()) {
    const told = Number(requests[at].headers['retry-after']) * 1000;
    const waited = one.began - requests[at].head;
    assert.ok(waited >= told - 50 && waited < told + 2_000, `told ${told} ms, waited ${waited} ms`);
  }
}

await play({
  'hold, awake in time': (world) =>
    ask(world, 'hold', START_MS, { cold: 'hold', wake: 'ends in time' }, (one) => {
      served(one, one.requests.length === 1);
      assert.equal(one.headAtOnce, one.stream);
    }),

  'refuse, awake by the time that was told': (world) =>
    ask(world, 'refuse', START_MS, { cold: 'refuse', wake: 'ends in time' }, (one) => {
      served(one, [2, 3].includes(one.requests.length));
      assert.ok(one.headAtOnce);
      assert.equal(one.requests[0].status, 503);
    }),

  'refuse, awake too late': (world) =>
    ask(world, 'refuse', NEVER_MS, { cold: 'refuse', wake: 'takes longer' }, (one) => {
      refused(one, 503, 'origin_waking', /this model's origin was asleep and is waking: about \d+ s are left/);
    }),

  'hold, awake too late': (world) =>
    ask(world, 'hold-brief', NEVER_MS, { cold: 'hold', wake: 'takes longer' }, (one) => {
      const message = /this model's origin is still waking after 4 s/;
      if (!one.stream) {
        refused(one, 504, 'wake_timeout', message);
        return;
      }
      // This provider looks at the first event before the stream begins for the developer, and retries an error there.
      const requests = one.sdk === 'openai' ? 3 : 1;
      assert.deepEqual([one.error.code, one.requests.length, one.last.status], ['wake_timeout', requests, 200]);
      assert.match(one.error.message, message);
    }),

  'fallback, awake in time': (world) =>
    ask(world, 'fallback', START_MS, { cold: 'fallback', wake: 'ends in time' }, (one) => {
      served(one, one.requests.length === 1 && one.atOnce);
      assert.deepEqual([one.last.headers['x-moegate-origin'], one.last.headers['x-moegate-origin-state']], ['spare', 'waking']);
    }),

  'fallback, awake too late': (world) =>
    ask(world, 'fallback', NEVER_MS, { cold: 'fallback', wake: 'takes longer' }, (one) => {
      served(one, one.requests.length === 1 && one.atOnce);
      assert.equal(one.last.headers['x-moegate-origin'], 'spare');
    }),

  'the table in the docs': (world) => check(rows.filter((row) => row.host === world.host), SDKS),
});
