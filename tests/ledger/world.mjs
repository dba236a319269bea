// The gateway, in workerd or in the Spin host, and two providers, for the chaos suite.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Provider } from './provider.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PORT = 28740;

const variable = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask test ledger\``);
  return value;
};
const key = () => `mg-${randomBytes(24).toString('base64url')}`;
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** Numbers that are the same in each run (mulberry32). */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class World {
  url = `http://127.0.0.1:${PORT}`;
  keys = { app: key(), other: key(), poor: key(), admin: key() };
  random = seeded(19);
  first = new Provider('first', 28741, this.random);
  second = new Provider('second', 28742, this.random);
  #folder = mkdtempSync(join(tmpdir(), 'moegate-ledger-'));
  #gateway;

  constructor(host) {
    this.host = host;
  }

  async start() {
    await this.first.start();
    await this.second.start();
    await this.startGateway();
  }

  async startGateway() {
    const secrets = {
      FIRST_KEY: 'first-provider-key-0001', SECOND_KEY: 'second-provider-key-0002',
      APP_KEY_SHA256: sha256(this.keys.app), OTHER_KEY_SHA256: sha256(this.keys.other),
      POOR_KEY_SHA256: sha256(this.keys.poor), ADMIN_KEY_SHA256: sha256(this.keys.admin),
    };
    const [program, args, env] = this.host === 'spin' ? this.#spin(secrets) : this.#workerd(secrets);
    const child = spawn(program, args, { cwd: this.#folder, env, stdio: ['pipe', 'pipe', process.env.MOEGATE_VERBOSE ? 'inherit' : 'ignore'] });
    this.#gateway = child;
    await new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`the gateway ended at once (${code ?? signal})`)));
    });
  }

  #workerd(secrets) {
    const vars = join(this.#folder, 'vars');
    writeFileSync(vars, Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join(''));
    return [process.execPath, [
      '--import', join(ROOT, 'xtask/node/resolve.mjs'), join(ROOT, 'xtask/node/gateway.mjs'),
      '--config', join(ROOT, 'wrangler.toml'), '--entry', variable('MOEGATE_LEDGER_WORKER'), '--port', `${PORT}`,
      '--vars', vars, '--persist', join(this.#folder, 'state'),
    ], process.env];
  }

  #spin(secrets) {
    const env = { ...process.env };
    for (const [name, value] of Object.entries(secrets)) env[`SPIN_VARIABLE_${name}`] = value;
    return [variable('MOEGATE_SPIN_HOST'), [
      '--manifest', join(ROOT, 'tests/ledger/spin.toml'), '--wasm', variable('MOEGATE_LEDGER_SPIN'), '--listen', `127.0.0.1:${PORT}`,
      '--kv', join(this.#folder, 'kv.sqlite'),
    ], env];
  }

  /** `kill -9`, and again with the same store. */
  async killGateway() {
    await this.#end('SIGKILL');
    await this.startGateway();
  }

  async #end(signal) {
    const child = this.#gateway;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  async read(path) {
    const reply = await fetch(`${this.url}${path}`, { headers: { authorization: `Bearer ${this.keys.admin}` } });
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
    return reply;
  }

  async usage(query = '') {
    return (await this.read(`/usage${query}`)).json();
  }

  /** Every settled record. */
  async records() {
    const records = [];
    for (let cursor = ''; ;) {
      const text = await (await this.read(`/usage/export${cursor && `?cursor=${cursor}`}`)).text();
      cursor = '';
      for (const line of text.split('\n').filter(Boolean)) {
        const record = JSON.parse(line);
        if (record.next_cursor) cursor = record.next_cursor;
        else records.push(record);
      }
      if (!cursor) return records;
    }
  }

  async stop() {
    await this.#end(this.host === 'spin' ? 'SIGTERM' : 'SIGTERM');
    await this.first.stop();
    await this.second.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
