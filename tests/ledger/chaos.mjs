// The ledger on real hosts against providers that know the truth: `cargo xtask test ledger`.
//
//   chaos.mjs [--requests N] [--host workerd|spin]
//
// Random requests, 64 at once: whole and streamed, cut, refused, reset, cancelled by the client at a random moment; the
// gateway's instance is reset, the providers' connections killed, the ledger out of reach for a while. In the end every
// attempt that reached a provider is in the account once, and what the provider told is charged to the nano-dollar.
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText } from 'ai';
import { World, seeded } from './world.mjs';

const { values: args } = parseArgs({ options: { requests: { type: 'string', default: '2500' }, host: { type: 'string' } } });
const REQUESTS = Number(args.requests);
const AT_ONCE = 64;
/** Nano-dollars a token: those of moegate.toml. */
const PRICES = { first: [1500n, 6000n], second: [2000n, 7000n] };
const WAYS = ['whole', 'whole', 'whole', 'whole', 'slow', 'cut', 'broken500', 'reset', 'refused'];

let passed = 0;
let failed = 0;

async function check(host, name, act) {
  try {
    await act();
    passed += 1;
    console.log(`${host}: ${name} ... ok`);
  } catch (error) {
    failed += 1;
    console.log(`${host}: ${name} ... FAILED\n${error.stack ?? error}`);
  }
}

const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

function post(world, key, body, { signal, headers = {} } = {}) {
  return fetch(`${world.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify(body),
    signal,
  });
}

/** What the client made of one request. */
async function one(world, random, seen) {
  const way = WAYS[Math.floor(random() * WAYS.length)];
  const fails = random() < 0.15 ? 'first' : 'none';
  const stream = random() < 0.6;
  const leaves = random() < 0.15;
  const abort = new AbortController();
  const timer = leaves ? setTimeout(() => abort.abort(), random() * 120) : undefined;
  const body = { model: 'm', stream, max_tokens: 40, messages: [{ role: 'user', content: `way=${way} fails=${fails}` }] };
  const key = random() < 0.7 ? world.keys.app : world.keys.other;
  let id;
  try {
    const reply = await post(world, key, body, { signal: abort.signal });
    id = reply.headers.get('x-moegate-request-id');
    const text = await reply.text();
    seen.push({ id, status: reply.status, whole: !stream || text.includes('[DONE]') });
  } catch {
    seen.push({ id, status: 0, whole: false });
  } finally {
    clearTimeout(timer);
  }
}

/** Faults beside the requests, until `over`. */
async function trouble(world, random, over) {
  while (!over.done) {
    await pause(400 + random() * 800);
    const dice = random();
    if (dice < 0.35) world.first.kill();
    else if (dice < 0.5) world.second.kill();
    else if (dice < 0.75) await fetch(`${world.url}/__panic`).catch(() => {});
    else await fetch(`${world.url}/__ledger_down`).catch(() => {});
  }
}

async function chaos(world) {
  const random = seeded(7);
  const seen = [];
  const over = { done: false };
  const began = Date.now();
  const troubled = trouble(world, seeded(11), over);
  let left = REQUESTS;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await one(world, random, seen);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  over.done = true;
  await troubled;
  const seconds = (Date.now() - began) / 1000;

  // What an instance could not tell the ledger it tells behind the next request; what was lost with one is overdue later.
  for (let n = 0; n < 8; n += 1) {
    await post(world, world.keys.app, { model: 'm', messages: [{ role: 'user', content: 'way=whole' }] }).then((reply) => reply.text());
  }
  const truth = new Map();
  for (const provider of [world.first, world.second]) {
    for (const [id, known] of provider.truth) truth.set(id, { ...known, provider: provider.name });
  }
  let records = [];
  for (const end = Date.now() + 120_000; ;) {
    await world.usage();
    records = await world.records();
    const ids = new Set(records.map((record) => record.id));
    if ([...truth.keys()].every((id) => ids.has(id)) || Date.now() > end) break;
    await pause(2_000);
  }
  const found = compare(truth, records);
  const totals = (await world.usage()).totals;
  const sum = (of) => records.reduce((all, record) => all + of(record), 0);
  assert.equal(totals.attempts, records.length, 'attempts are the records');
  assert.equal(totals.cost_nanodollars, sum((record) => record.cost_nanodollars), 'the cost is that of the records');
  assert.equal(totals.prompt_tokens, sum((record) => record.usage.prompt));
  assert.equal(totals.requests, new Set(records.map((record) => record.id.split('-')[0])).size, 'requests count once');
  console.log(
    `${world.host}: ${seen.length} requests (${seen.filter(({ status }) => status === 200).length} answered 200) in ${seconds.toFixed(0)} s, ` +
      `${truth.size} attempts at providers: ${found.exact} exact to the nano-dollar, ${found.estimated} estimated, ${found.unsent} reserved and never seen there; lost 0, double 0`,
  );
}

/** Every attempt once; exact where the provider told what it used. */
function compare(truth, records) {
  const found = { exact: 0, estimated: 0, unsent: 0 };
  const byId = new Map();
  for (const record of records) {
    assert.ok(!byId.has(record.id), `${record.id} is there twice`);
    byId.set(record.id, record);
  }
  const lost = [...truth].filter(([id]) => !byId.has(id));
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} attempts are lost`);
  for (const record of records) {
    const known = truth.get(record.id);
    const what = JSON.stringify({ record, known });
    assert.notEqual(record.state, 'pending', what);
    if (!known) {
      // Reserved and not sent, or not arrived: at most its bound, and marked.
      assert.ok(record.state === 'estimated' || record.metered === false, what);
      found.unsent += 1;
      continue;
    }
    const [input, output] = PRICES[known.provider];
    const cost = Number(BigInt(known.usage.prompt_tokens) * input + BigInt(known.usage.completion_tokens) * output);
    if (record.state === 'settled' && record.metered) {
      const nothing = known.way === 'fails' || known.way === 'refused';
      assert.equal(record.cost_nanodollars, nothing ? 0 : cost, what);
      found.exact += 1;
    } else if (record.state === 'estimated') {
      // Never less than what was seen of it.
      assert.ok(record.cost_nanodollars > 0 && record.cost_nanodollars <= record.bound_nanodollars, what);
      assert.ok(record.usage.completion === 0 || record.usage.completion <= known.sent, what);
      found.estimated += 1;
    } else {
      // A connection that was reset before the answer: no platform tells it from one that was refused.
      assert.equal(record.failure, 'connect', what);
      found.estimated += 1;
    }
  }
  return found;
}

/** 500 at once on a budget that fits 100 bounds: 100 are served. */
async function budget(world) {
  const body = { model: 'budgeted', max_tokens: 20, messages: [{ role: 'user', content: 'way=slow' }] };
  // Exactly 100 bytes.
  body.messages[0].content += ' '.repeat(100 - JSON.stringify(body).length);
  assert.equal(JSON.stringify(body).length, 100);
  const before = world.second.truth.size;
  // The mean answer costs less than its bound, which is held until it is settled: all are sent before any is answered.
  const slow = world.second.random;
  world.second.random = () => 0.999;
  const replies = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const reply = await post(world, world.keys.poor, body);
      return { status: reply.status, soft: reply.headers.get('x-moegate-budget'), body: await reply.json() };
    }),
  );
  world.second.random = slow;
  const served = replies.filter(({ status }) => status === 200);
  const refused = replies.filter(({ status }) => status === 402);
  const usage = await world.usage('?key_name=poor');
  const spent = usage.totals.cost_nanodollars;
  assert.equal(served.length + refused.length, 500, JSON.stringify(replies.find(({ status }) => ![200, 402].includes(status))));
  assert.equal(world.second.truth.size - before, served.length);
  assert.ok(spent <= 34_000_000, `${spent} nano-dollars of 34,000,000 are spent`);
  // Each bound is 340,000; what an answer did not use is free again when it is settled.
  assert.ok(served.length >= 100, `${served.length} served`);
  assert.ok(served.some(({ soft }) => soft?.startsWith('key;per=month;used=')), 'no soft mark');
  assert.match(refused[0].body.error.message, /budget of this key is 0\.034 dollars a month/);
  console.log(`${world.host}: 500 at once on a budget of 100 bounds: ${served.length} served, ${refused.length} refused with 402, ${spent} of 34,000,000 nano-dollars spent`);
}

/** What a developer sees with the AI SDK. */
async function budgetInTheSdk(world) {
  const provider = createOpenAICompatible({ name: 'moegate', baseURL: `${world.url}/v1`, apiKey: world.keys.poor });
  const began = Date.now();
  const error = await generateText({ model: provider('budgeted'), prompt: 'way=whole', maxOutputTokens: 200 }).then(
    () => assert.fail('it was answered'),
    (reason) => reason,
  );
  assert.ok(APICallError.isInstance(error), `${error}`);
  assert.equal(error.statusCode, 402);
  assert.equal(error.isRetryable, false);
  assert.match(error.message, /the budget of this key is .* dollars a month/);
  assert.ok(Date.now() - began < 5_000, 'the SDK tried again and again');
  console.log(`${world.host}: the AI SDK throws AI_APICallError 402: ${error.message}`);
}

/** The same key from many callers at once, at whatever instance: one call to the provider, one answer. */
async function repeats(world) {
  const before = world.first.truth.size + world.second.truth.size;
  const body = { model: 'm', max_tokens: 20, messages: [{ role: 'user', content: 'way=slow' }] };
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const reply = await post(world, world.keys.app, body, { headers: { 'idempotency-key': 'order-66' } });
      return `${reply.status} ${await reply.text()}`;
    }),
  );
  await fetch(`${world.url}/__panic`).catch(() => {});
  const later = await post(world, world.keys.app, body, { headers: { 'idempotency-key': 'order-66' } });
  answers.push(`${later.status} ${await later.text()}`);
  assert.equal(new Set(answers).size, 1, [...new Set(answers)].join('\n'));
  assert.ok(answers[0].startsWith('200 '), answers[0]);
  assert.equal(later.headers.get('x-moegate-replayed'), 'true');
  assert.equal(world.first.truth.size + world.second.truth.size, before + 1);
}

for (const host of args.host ? [args.host] : ['workerd', 'spin']) {
  const world = new World(host);
  try {
    await world.start();
    await check(host, 'repeats are answered once, after a reset too', () => repeats(world));
    await check(host, 'a budget is not overrun by 500 at once', () => budget(world));
    await check(host, 'a budget that is used up, in the AI SDK', () => budgetInTheSdk(world));
    await check(host, `${REQUESTS} requests in all sorts of trouble: nothing lost, nothing double`, () => chaos(world));
  } catch (error) {
    failed += 1;
    console.log(`${error.stack ?? error}`);
  } finally {
    await world.stop();
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
