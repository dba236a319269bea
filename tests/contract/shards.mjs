// How requests share calls of the ledger (src/platform/cloudflare/shards.js), against an object that only answers.
import assert from 'node:assert/strict';
import { ask } from '../../src/platform/cloudflare/shards.js';

/** A namespace of objects that note their calls; `fate` may have one fail or never end. */
function ledger(fate = () => {}) {
  const calls = [];
  const apply = async (shard, text) => {
    const operations = text.split('\n');
    calls.push(operations);
    await fate(operations);
    return operations.map((operation) => `${shard}: ${operation}`).join('\n');
  };
  return { calls, env: { LEDGER: { getByName: () => ({ apply }) } } };
}

let shards = 0;

/** Requests at one shard of their own. */
function requests(fate) {
  const { calls, env } = ledger(fate);
  const shard = `tenant/${(shards += 1)}`;
  const request = (operation, soon = false) => ask({ env, context: { waitUntil() {} } }, shard, operation, soon);
  return { calls, shard, request };
}

const cases = {
  async 'what comes at the same time shares a call, and each gets its own answer'() {
    const { calls, shard, request } = requests();
    const names = ['a', 'b', 'c', 'd'];
    const answers = await Promise.all(names.map((name) => request(name)));
    assert.deepEqual(answers, names.map((name) => `${shard}: ${name}`));
    assert.deepEqual(calls, [['a'], ['b', 'c', 'd']]);
  },

  async 'a settlement goes with the next reservation, before it'() {
    const { calls, request } = requests();
    const first = request('reserve 1');
    await Promise.all([first, request('settle 1', true), request('reserve 2')]);
    assert.deepEqual(calls, [['reserve 1'], ['settle 1', 'reserve 2']]);
  },

  async 'a settlement that nothing follows goes by itself'() {
    const { calls, shard, request } = requests();
    assert.equal(await request('settle', true), `${shard}: settle`);
    assert.deepEqual(calls, [['settle']]);
  },

  async 'an operation that is refused fails no other'() {
    const refuse = (operations) => {
      if (operations.includes('bad')) throw new Error('refused');
    };
    const { calls, shard, request } = requests(refuse);
    const answers = await Promise.all(['first', 'good', 'bad', 'fine'].map((name) => request(name)));
    assert.deepEqual(answers, [`${shard}: first`, `${shard}: good`, null, `${shard}: fine`]);
    assert.deepEqual(calls.slice(0, 2), [['first'], ['good', 'bad', 'fine']]);
    assert.deepEqual(calls.slice(2).sort(), [['bad'], ['fine'], ['good']]);
  },

  async 'a call takes a hundred, and the rest is not left'() {
    const { calls, shard, request } = requests();
    const names = Array.from({ length: 251 }, (_, at) => `${at}`);
    const answers = await Promise.all(names.map((name) => request(name)));
    assert.deepEqual(answers, names.map((name) => `${shard}: ${name}`));
    assert.equal(Math.max(...calls.map(({ length }) => length)), 100);
    assert.deepEqual(calls.flat(), names);
  },

  async 'who is not told because the maker of its call has ended gives up'() {
    let end;
    const ended = new Promise((over) => { end = over; });
    const { calls, request } = requests((operations) => operations.includes('last words') && ended);
    const first = request('first');
    const maker = request('last words');
    assert.equal(await request('other'), null);
    assert.deepEqual(calls, [['first'], ['last words', 'other']]);
    end();
    await Promise.all([first, maker]);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    console.log(`calls of the ledger that requests share: ${name} ... ok`);
  } catch (error) {
    failed += 1;
    console.log(`calls of the ledger that requests share: ${name} ... FAILED\n${error.stack}`);
  }
}
console.log(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
