// The wake suite's gateway and origins, on a real host.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gateway, ended, key, sha256, started, variable } from '../gateway.mjs';
import { Sleeper } from './sleeper.mjs';

export const pause = (ms) => new Promise((over) => setTimeout(over, ms));

/** Until it holds, at most a minute. */
export async function until(what, look) {
  for (const end = Date.now() + 60_000; Date.now() < end; await pause(50)) {
    if (await look()) return;
  }
  throw new Error(`waited a minute for: ${what}`);
}

export class World {
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

/** Plays the cases on each host, or on the one of `--host`, and ends the process. */
export async function play(cases) {
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
}
