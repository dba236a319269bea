// Origins that sleep, on real hosts: `cargo xtask test wake`.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { Gateway, ended, key, sha256, started, variable } from '../gateway.mjs';
import { Sleeper } from './sleeper.mjs';

const pause = (ms) => new Promise((over) => setTimeout(over, ms));
const CALLERS = 200;

/** Until it holds, at most a minute. */
async function until(what, look) {
  for (const end = Date.now() + 60_000; Date.now() < end; await pause(50)) {
    if (await look()) return;
  }
  throw new Error(`waited a minute for: ${what}`);
}

class World {
  keys = { app: key(), admin: key(), own: key() };
  slow = new Sleeper(28752);
  spare = new Sleeper(28753, false);
  #folder = mkdtempSync(join(tmpdir(), 'moegate-wake-'));

  constructor(host) {
    this.host = host;
    this.gateway = new Gateway({
      host, suite: 'wake', port: 28750,
      worker: host === 'spin' ? undefined : variable('MOEGATE_WAKE_WORKER', 'wake'),
      component: host === 'spin' ? variable('MOEGATE_WAKE_SPIN', 'wake') : undefined,
      secrets: {
        OWN_KEY: this.keys.own, SLOW_KEY: key(), SPARE_KEY: key(),
        APP_KEY_SHA256: sha256(this.keys.app), ADMIN_KEY_SHA256: sha256(this.keys.admin),
      },
    });
    this.url = this.gateway.url;
  }

  async start() {
    await Promise.all([this.slow.start(), this.spare.start()]);
    await this.gateway.start();
  }

  /** Our own server. */
  async startServer() {
    const file = join(this.#folder, 'own');
    writeFileSync(file, this.keys.own);
    const model = variable('MOEGATE_WAKE_MODEL', 'wake');
    const args = ['serve', model, '--port', '28751', '--api-key-file', file, '--alias', 'own-model', '--max-queue', '400', '--threads', '1', '--json'];
    this.server = (await started(variable('MOEGATE_SERVER', 'wake'), args)).child;
  }

  /** What a server of ours is told. */
  async tell(path) {
    const reply = await fetch(`http://127.0.0.1:28751${path}`, { method: 'POST', headers: { authorization: `Bearer ${this.keys.own}` } });
    assert.ok(reply.ok, `${path}: ${reply.status}`);
  }

  async health() {
    return (await fetch('http://127.0.0.1:28751/health')).json();
  }

  /** Kilobytes of memory of our own server that are its alone. */
  resident() {
    const status = readFileSync(`/proc/${this.server.pid}/status`, 'utf8');
    return Number(/RssAnon:\s+(\d+) kB/.exec(status)[1]);
  }

  ask(model, more = {}, signal = undefined) {
    return fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST', signal,
      headers: { authorization: `Bearer ${this.keys.app}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, max_tokens: 8, messages: [{ role: 'user', content: 'Good morning' }], ...more }),
    });
  }

  async origin(name) {
    const reply = await fetch(`${this.url}/origins`, { headers: { authorization: `Bearer ${this.keys.admin}` } });
    assert.equal(reply.status, 200);
    return (await reply.json()).origins.find((origin) => origin.name === name);
  }

  /** The origin sleeps, and nobody takes it to be awake. */
  async sleeps() {
    this.slow.sleep();
    this.slow.startMs = 3_000;
    await pause(1_100);
  }

  /** Settled, with nothing pending. */
  async records() {
    const reply = await fetch(`${this.url}/usage/export`, { headers: { authorization: `Bearer ${this.keys.admin}` } });
    return (await reply.text()).split('\n').filter(Boolean).map((line) => JSON.parse(line));
  }

  async stop() {
    await ended(this.server);
    await this.gateway.stop();
    await Promise.all([this.slow.stop(), this.spare.stop()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const cases = {
  async 'our own server, asleep: 200 callers at once, one wake, all served'(world) {
    await world.startServer();
    assert.equal((await world.ask('own-model')).status, 200);
    const awake = world.resident();
    await world.tell('/sleep');
    await until('it sleeps', async () => (await world.health()).state === 'cold');
    const asleep = world.resident();
    await pause(1_100);
    const before = (await world.origin('own')).wakes?.length ?? 0;
    const began = Date.now();
    const replies = await Promise.all(Array.from({ length: CALLERS }, (_, at) => world.ask('own-model', { stream: at % 2 === 0 })));
    const texts = await Promise.all(replies.map((reply) => reply.text()));
    const took = Date.now() - began;
    const served = texts.filter((text, at) => replies[at].status === 200 && !text.includes('"error"')).length;
    assert.equal(served, CALLERS, texts.find((text, at) => replies[at].status !== 200 || text.includes('"error"')));
    const { wakes } = await world.origin('own');
    assert.equal(wakes.length, before + 1);
    assert.equal(wakes[0].reason, undefined);
    const { last_wake_ms: wake } = await world.health();
    console.log(`    memory of its own ${awake} kB awake, ${asleep} kB asleep; the wake took ${wake} ms, all ${CALLERS} answers ${took} ms`);
  },

  async 'held: 200 callers at once, one wake, all served'(world) {
    await world.sleeps();
    const { wakes } = world.slow;
    const replies = await Promise.all(Array.from({ length: CALLERS }, (_, at) => world.ask(at % 2 ? 'hold' : 'hold-relay', { stream: at % 4 < 2 })));
    const texts = await Promise.all(replies.map((reply) => reply.text()));
    const bad = texts.find((text, at) => replies[at].status !== 200 || text.includes('"error"'));
    assert.equal(bad, undefined);
    assert.equal(world.slow.wakes, wakes + 1);
    assert.equal(world.slow.doubled, 0);
  },

  async 'asleep sooner than thought: the request that finds out wakes it at once'(world) {
    await (await world.ask('hold')).text();
    const { wakes } = world.slow;
    world.slow.sleep();
    world.slow.startMs = 1_000;
    const began = Date.now();
    const reply = await world.ask('hold', { stream: true });
    const head = Date.now() - began;
    // It is refused with `Retry-After: 5`.
    assert.ok(head < 3_000, `the head came after ${head} ms`);
    assert.match(await reply.text(), /Good /);
    assert.equal(world.slow.wakes, wakes + 1);
  },

  async 'a stream that is held gets its head at once, and comments'(world) {
    await world.sleeps();
    world.slow.startMs = 8_000;
    const began = Date.now();
    const reply = await world.ask('hold', { stream: true });
    const head = Date.now() - began;
    assert.ok(head < 3_000, `the head came after ${head} ms`);
    const text = await reply.text();
    assert.match(text, /^: the origin is waking/);
    assert.match(text, /Good /);
    assert.ok(text.endsWith('data: [DONE]\n\n'), text);
  },

  async 'fallback: served elsewhere at once, and woken all the same'(world) {
    await world.sleeps();
    const { wakes } = world.slow;
    const began = Date.now();
    const reply = await world.ask('fallback');
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('x-moegate-origin'), 'spare');
    await reply.text();
    assert.ok(Date.now() - began < 2_500);
    await until('it is awake', async () => world.slow.state === 'ready');
    await until('the gateway knows', async () => (await world.origin('slow')).state === 'ready');
    const next = await world.ask('fallback');
    assert.equal(next.headers.get('x-moegate-origin'), 'slow');
    assert.equal(world.slow.wakes, wakes + 1);
  },

  async 'refused with a hint, then served'(world) {
    await world.sleeps();
    const reply = await world.ask('refuse');
    assert.equal(reply.status, 503);
    assert.equal((await reply.json()).error.code, 'origin_waking');
    assert.ok(Number(reply.headers.get('retry-after')) < 60);
    await until('it is awake', async () => (await world.origin('slow')).state === 'ready');
    assert.equal((await world.ask('refuse')).status, 200);
  },

  async 'past the budget: 504, in a stream an error and no end mark'(world) {
    await world.sleeps();
    world.slow.startMs = 20_000;
    const [plain, stream] = await Promise.all([world.ask('hold'), world.ask('hold', { stream: true })]);
    assert.equal(plain.status, 504);
    assert.equal((await plain.json()).error.code, 'wake_timeout');
    const text = await stream.text();
    assert.match(text, /wake_timeout/);
    assert.ok(!text.includes('[DONE]'));
    // The wake goes on: whoever comes later has it.
    await until('it is awake', async () => (await world.origin('slow')).state === 'ready');
    assert.equal((await world.ask('hold')).status, 200);
  },

  async 'the gateway is killed during a wake: who comes next has the same one'(world) {
    await world.sleeps();
    world.slow.startMs = 6_000;
    const { wakes } = world.slow;
    const lost = world.ask('hold', { stream: true }).then((reply) => reply.text()).catch(() => 'lost');
    await until('it is being woken', async () => world.slow.state === 'waking');
    await world.gateway.kill();
    await lost;
    const reply = await world.ask('hold');
    assert.equal(reply.status, 200, await reply.text());
    assert.equal(world.slow.wakes, wakes + 1);
    assert.equal((await world.origin('slow')).wakes.length > 0, true);
  },

  async 'an origin whose clock is wrong by a minute'(world) {
    for (const skew of [-60_000, 60_000]) {
      await world.sleeps();
      world.slow.skewMs = skew;
      const { wakes } = world.slow;
      assert.equal((await world.ask('hold')).status, 200);
      assert.equal(world.slow.wakes, wakes + 1);
    }
    world.slow.skewMs = 0;
  },

  async 'a wake that fails says why'(world) {
    await world.sleeps();
    world.slow.startMs = 500;
    world.slow.reason = 'no room on the card';
    const reply = await world.ask('hold');
    assert.equal(reply.status, 503);
    assert.match((await reply.json()).error.message, /no room on the card/);
    assert.equal((await world.ask('fallback')).status, 200);
    const origin = await world.origin('slow');
    assert.equal(origin.failed_wakes, 1);
    assert.equal(origin.wakes[0].reason, 'no room on the card');
    world.slow.sleep();
    await pause(15_500);
    assert.equal((await world.ask('hold')).status, 200);
  },

  async 'AI SDK, its defaults: held, refused, elsewhere'(world) {
    const openai = createOpenAI({ apiKey: world.keys.app, baseURL: `${world.url}/v1` });
    const prompt = 'Good morning';
    await world.sleeps();
    assert.equal((await generateText({ model: openai.chat('hold'), prompt })).text, 'Good morning.');
    await world.sleeps();
    assert.equal(await streamText({ model: openai.chat('hold'), prompt }).text, 'Good morning.');
    await world.sleeps();
    assert.equal((await generateText({ model: openai.chat('fallback'), prompt })).text, 'Good morning.');
    await until('it is awake', async () => (await world.origin('slow')).state === 'ready');
    await (await world.ask('hold')).text();
    await world.sleeps();
    world.slow.startMs = 20_000;
    const began = Date.now();
    await assert.rejects(generateText({ model: openai.chat('refuse'), prompt, maxRetries: 0 }), /waking/);
    console.log(`    AI SDK, refused without retries: after ${Date.now() - began} ms`);
  },

  async 'openai-node, its defaults: held, refused, elsewhere'(world) {
    const client = new OpenAI({ apiKey: world.keys.app, baseURL: `${world.url}/v1` });
    const messages = [{ role: 'user', content: 'Good morning' }];
    world.slow.sleep();
    await until('the wake before is over', async () => (await world.origin('slow')).state !== 'waking');
    await world.sleeps();
    const held = await client.chat.completions.create({ model: 'hold', messages });
    assert.equal(held.choices[0].message.content, 'Good morning.');
    await world.sleeps();
    let text = '';
    for await (const chunk of await client.chat.completions.create({ model: 'hold', messages, stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? '';
    }
    assert.equal(text, 'Good morning.');
    await world.sleeps();
    world.slow.startMs = 1_500;
    // It retries twice on 503, as its `Retry-After` says.
    const refused = await client.chat.completions.create({ model: 'refuse', messages }).catch((error) => error);
    console.log(`    openai-node, refused, with its own retries: ${refused.status ?? 'served'}`);
  },

  async 'what nobody answered is not charged, and nothing stays pending'(world) {
    // The played origin has no receipts, so what was relayed from there is an estimate.
    const own = (await world.records()).filter((record) => record.origin === 'own');
    assert.ok(own.length > CALLERS);
    assert.deepEqual(own.filter((record) => record.state !== 'settled'), []);
    const { wakes } = await world.origin('slow');
    assert.ok(wakes.every((wake) => Number(wake.cost) >= 0 && wake.key === 'app'));
  },
};

let passed = 0;
let failed = 0;
const hosts = process.argv.includes('--host') ? [process.argv[process.argv.indexOf('--host') + 1]] : ['workerd', 'spin'];
for (const host of hosts) {
  const world = new World(host);
  try {
    await world.start();
    for (const [name, act] of Object.entries(cases)) {
      try {
        const began = Date.now();
        await act(world);
        passed += 1;
        console.log(`${host}: ${name} ... ok (${((Date.now() - began) / 1000).toFixed(1)} s)`);
      } catch (error) {
        failed += 1;
        console.log(`${host}: ${name} ... FAILED\n${error.stack ?? error}`);
      }
    }
  } catch (error) {
    failed += 1;
    console.log(`${host}: ${error.stack ?? error}`);
  } finally {
    await world.stop();
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
