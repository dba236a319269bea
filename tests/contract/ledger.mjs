// The ledger on workerd, with the real Durable Object and its SQLite file: what concurrent requests, traps, refused
// batches, restarts and alarms leave in it.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';

const entry = process.env.MOEGATE_CONTRACT_WORKER;
if (!entry) throw new Error('MOEGATE_CONTRACT_WORKER is not set: run `cargo xtask test contract`');

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Where the contract suite's configuration has the origin `far`. */
const FAR_PORT = 28712;
const GATEWAY_PORT = 28718;
const SHARD = 'tenant/app';
/** As the origin says; a record's cost at the prices of the configuration follows. */
const USAGE = { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 };
const COST = 3 * 1_000 + 5 * 2_000;
const folder = mkdtempSync(join(tmpdir(), 'moegate-ledger-'));

class Gateway {
  /** Starts it on the files that are there. */
  static async start(config = join(ROOT, 'wrangler.toml')) {
    const gateway = new Gateway();
    const node = join(ROOT, 'xtask/node');
    const args = ['--import', join(node, 'resolve.mjs'), join(node, 'gateway.mjs')];
    args.push('--config', config, '--entry', entry, '--persist', join(folder, 'stored'));
    args.push('--vars', join(folder, 'vars'), '--port', `${GATEWAY_PORT}`);
    if (config.startsWith(ROOT)) args.push('--control');
    gateway.child = spawn(process.execPath, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
    gateway.lines = createInterface({ input: gateway.child.stdout })[Symbol.asyncIterator]();
    gateway.said = '';
    gateway.child.stderr.on('data', (text) => { gateway.said += text; });
    const { value } = await gateway.lines.next();
    if (!value?.startsWith('{"ready":true')) throw new Error(`the gateway did not start: ${value} ${gateway.said}`);
    return gateway;
  }

  async end() {
    this.child.stdin.end();
    await new Promise((ended) => this.child.once('exit', ended));
  }

  async ask(question) {
    this.child.stdin.write(`${JSON.stringify(question)}\n`);
    return JSON.parse((await this.lines.next()).value);
  }

  /** Operations of one batch, straight to the object. */
  async apply(...operations) {
    const texts = operations.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
    const { answers, error } = await this.ask({ ledger: SHARD, operations: texts });
    if (error) throw new Error(error);
    return answers.map((answer) => (answer ? JSON.parse(answer) : null));
  }

  async records() {
    const [{ rows }] = await this.apply({ rows: { after: '', before: '~', limit: 1000 } });
    return rows.records;
  }

  async record(id) {
    const [{ rows }] = await this.apply({ request: { id } });
    return rows.records;
  }
}

const origin = createServer((request, response) => {
  request.resume().on('end', () => setTimeout(() => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ choices: [], usage: USAGE }));
  }, 5));
});

const chat = () => fetch(`http://127.0.0.1:${GATEWAY_PORT}/v1/chat/completions`, {
  method: 'POST',
  headers: { authorization: 'Bearer key', 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'far-model', messages: [] }),
});

async function until(what, patience_ms, look) {
  for (const end = Date.now() + patience_ms; ; ) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited ${patience_ms} ms for: ${what}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

const one = (record, id, more) => ({
  reserve: { id, until_ms: 1, amounts: { requests: 1, tokens: 8, cost: COST }, holds: [], record: { ...record, id, ...more } },
});

const cases = {
  async '200 requests at once are each reserved and settled once'(world) {
    const replies = await Promise.all(Array.from({ length: 200 }, chat));
    assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
    const records = await until('200 records', 10_000, async () => {
      const all = await world.gateway.records();
      return all.length >= 200 && all;
    });
    assert.equal(new Set(records.map(({ id }) => id)).size, 200);
    assert.deepEqual(new Set(records.map(({ state, cost_nanodollars: cost }) => `${state ?? 'settled'} ${cost}`)), new Set([`settled ${COST}`]));
    const [{ totals }] = await world.gateway.apply({ totals: { from_ms: 0, to_ms: 9e12 } });
    assert.deepEqual(totals.sums.map(({ numbers }) => [numbers[0], numbers[1], numbers[9]]), [[200, 200, 200 * COST]]);
    const [{ overdue }] = await world.gateway.apply({ overdue: { now_ms: 9e12, again_ms: 9e12, limit: 10 } });
    assert.deepEqual(overdue.pending, []);
    [world.sample] = records;
  },

  async 'a trap of the gateway loses nothing that was acknowledged'(world) {
    const before = (await world.gateway.records()).length;
    const running = Array.from({ length: 100 }, chat);
    const trapped = (async () => {
      await running[0];
      return fetch(`http://127.0.0.1:${GATEWAY_PORT}/__panic`);
    })();
    const replies = await Promise.allSettled(running);
    assert.equal((await trapped).status, 500);
    const answered = replies.filter(({ value }) => value?.status === 200).map(({ value }) => value);
    const ids = answered.map(({ headers }) => headers.get('x-moegate-request-id') ?? headers.get('x-request-id'));
    assert.ok(ids.length > 0 && ids.every(Boolean), `${ids.length} of 100 were answered`);
    // What the trap has interrupted after its answer stays reserved, at its upper bound.
    for (const id of ids) assert.equal((await world.gateway.record(id)).length, 1, `there is no record of ${id}`);
    const after = await Promise.all(Array.from({ length: 20 }, chat));
    assert.deepEqual(new Set(after.map(({ status }) => status)), new Set([200]));
    await until('those after it', 10_000, async () => (await world.gateway.records()).length >= before + 20);
  },

  async 'a trap within a batch takes all of the batch back'(world) {
    const batch = [one(world.sample, 'trap-1'), one(world.sample, 'trap-2')];
    await assert.rejects(world.gateway.apply(batch[0], '__panic', batch[1]));
    assert.deepEqual([await world.gateway.record('trap-1'), await world.gateway.record('trap-2')], [[], []]);
    const release = ({ reserve: { id } }) => ({ release: { id } });
    const reserved = { reserved: { left: [] } };
    const answers = await world.gateway.apply(...batch, ...batch.map(release));
    assert.deepEqual(answers, [reserved, reserved, 'done', 'done']);
  },

  async 'a statement that the database refuses takes all of the batch back'(world) {
    const batch = [one(world.sample, 'refused-1'), one(world.sample, 'refused-2')];
    await assert.rejects(world.gateway.apply(batch[0], '__refuse', batch[1]));
    assert.deepEqual([await world.gateway.record('refused-1'), await world.gateway.record('refused-2')], [[], []]);
    assert.match(world.gateway.said, /did not take .*: .*no such table/);
  },

  async 'the object keeps everything over a restart'(world) {
    const before = await world.gateway.records();
    await world.gateway.end();
    world.gateway = await Gateway.start();
    assert.deepEqual(await world.gateway.records(), before);
  },

  async 'what nobody settles is settled by the alarm, and the sums of its hour are published'(world) {
    const pending = { state: 'pending', ending: 'running', metered: false };
    const id = `${world.sample.id}-9`;
    assert.deepEqual(await world.gateway.apply(one(world.sample, id, pending)), [{ reserved: { left: [] } }]);
    const [record] = await until('the estimate', 45_000, async () => {
      const found = await world.gateway.record(id);
      return found[0]?.state === 'estimated' && found;
    });
    assert.deepEqual([record.ending, record.cost_nanodollars], ['truncated', COST]);
    const { keys } = await until('the hours', 45_000, async () => {
      const answer = await world.gateway.ask({ keys: 'usage/hours/app/' });
      return answer.keys.length > 0 && answer;
    });
    const { value } = await world.gateway.ask({ record: keys.at(-1) });
    const [{ totals }] = await world.gateway.apply({ totals: { from_ms: 0, to_ms: 9e12, by: 'hour' } });
    const published = JSON.parse(value);
    assert.deepEqual(published, totals.sums.filter(({ by }) => by === published[0].by));
  },

  async 'without its binding requests are refused, and the log says what to add'(world) {
    await world.gateway.end();
    const config = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8').split('[[durable_objects')[0];
    writeFileSync(join(folder, 'wrangler.toml'), config);
    world.gateway = await Gateway.start(join(folder, 'wrangler.toml'));
    const replies = await Promise.all([chat(), chat()]);
    assert.deepEqual(replies.map(({ status }) => status), [503, 503]);
    const said = world.gateway.said.split('\n').filter((line) => line.includes('no Durable Object with the binding LEDGER'));
    assert.equal(said.length, 1, world.gateway.said);
  },
};

await new Promise((listening, failed) => origin.once('error', failed).listen(FAR_PORT, '127.0.0.1', listening));
const hash = createHash('sha256').update('key').digest('hex');
writeFileSync(join(folder, 'vars'), `APP_KEY_SHA256=${hash}\nFAR_KEY=far\nFAR_ACCESS=access\n`);
const world = { gateway: await Gateway.start(), sample: null };
let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run(world);
    console.log(`the ledger on workerd: ${name} ... ok`);
  } catch (error) {
    failed += 1;
    console.log(`the ledger on workerd: ${name} ... FAILED\n${error.stack}\n${world.gateway.said}`);
  }
}
await world.gateway.end();
origin.closeAllConnections();
origin.close();
rmSync(folder, { recursive: true });
console.log(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
