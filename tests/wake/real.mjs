// Origins that sleep, on real hosts: `cargo xtask test wake`.
import assert from 'node:assert/strict';
import { pause, play, until } from './world.mjs';

const CALLERS = 200;

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
    assert.equal(reply.headers.get('x-moegate-origin-state'), 'waking');
    assert.ok(Number(reply.headers.get('x-moegate-wake-seconds')) >= 1);
    await reply.text();
    assert.ok(Date.now() - began < 2_500);
    await until('it is awake', async () => world.slow.state === 'ready');
    await until('the gateway knows', async () => (await world.origin('slow')).state === 'ready');
    const next = await world.ask('fallback');
    assert.equal(next.headers.get('x-moegate-origin'), 'slow');
    assert.equal(next.headers.get('x-moegate-origin-state'), null);
    assert.equal(world.slow.wakes, wakes + 1);
  },

  async 'refused with a hint, then served'(world) {
    await world.sleeps();
    const reply = await world.ask('refuse');
    assert.equal(reply.status, 503);
    assert.equal((await reply.json()).error.code, 'origin_waking');
    assert.ok(Number(reply.headers.get('retry-after')) < 60);
    assert.equal(reply.headers.get('x-moegate-origin-state'), 'waking');
    assert.ok(Number(reply.headers.get('x-moegate-wake-seconds')) >= 1);
    await until('it is awake', async () => (await world.origin('slow')).state === 'ready');
    assert.equal((await world.ask('refuse')).status, 200);
  },

  async 'past the budget: 504, in a stream an error and no end mark'(world) {
    await world.sleeps();
    world.slow.startMs = 20_000;
    const [plain, stream] = await Promise.all([world.ask('hold'), world.ask('hold', { stream: true })]);
    assert.equal(plain.status, 504);
    assert.deepEqual([plain, stream].map((reply) => reply.headers.get('x-moegate-origin-state')), ['waking', 'waking']);
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

  async 'what nobody answered is not charged, and nothing stays pending'(world) {
    // The played origin has no receipts, so what was relayed from there is an estimate.
    const own = (await world.records()).filter((record) => record.origin === 'own');
    assert.ok(own.length > CALLERS);
    assert.deepEqual(own.filter((record) => record.state !== 'settled'), []);
    const { wakes } = await world.origin('slow');
    assert.ok(wakes.every((wake) => Number(wake.cost) >= 0 && wake.key === 'app'));
  },
};

await play(cases);
