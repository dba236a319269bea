// The gateway with the suite's configuration, in workerd or in the Spin host, and moe-server with the repository's demo model.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SECRETS } from './providers.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PORT = 28730;
const OWN_PORT = 28736;

const variable = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask test dialects\``);
  return value;
};
const key = () => `mg-${randomBytes(24).toString('base64url')}`;
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

export class Gateway {
  url = `http://127.0.0.1:${PORT}`;
  clientKey = key();
  adminKey = key();
  ownKey = key();
  #folder = mkdtempSync(join(tmpdir(), 'moegate-dialects-'));
  #children = [];

  /** `host`: `workerd` or `spin`. */
  constructor(host) {
    this.host = host;
  }

  async start() {
    const secrets = { ...SECRETS, OWN_KEY: this.ownKey, APP_KEY_SHA256: sha256(this.clientKey), ADMIN_KEY_SHA256: sha256(this.adminKey) };
    const keyFile = join(this.#folder, 'own-key');
    writeFileSync(keyFile, this.ownKey);
    const server = [
      'serve', join(ROOT, 'moe-server/models/demo.gguf'), '--host', '127.0.0.1', '--port', `${OWN_PORT}`,
      '--api-key-file', keyFile, '--alias', 'own-model', '--json',
    ];
    await this.#started('moe-server', variable('MOEGATE_SERVER'), server);
    await (this.host === 'spin' ? this.#spin(secrets) : this.#workerd(secrets));
    return this;
  }

  #workerd(secrets) {
    const vars = join(this.#folder, 'vars');
    writeFileSync(vars, Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join(''));
    return this.#started('the gateway', process.execPath, [
      '--import', join(ROOT, 'xtask/node/resolve.mjs'), join(ROOT, 'xtask/node/gateway.mjs'),
      '--config', join(ROOT, 'wrangler.toml'), '--entry', variable('MOEGATE_DIALECTS_WORKER'), '--port', `${PORT}`,
      '--vars', vars, '--persist', join(this.#folder, 'kv'),
    ]);
  }

  #spin(secrets) {
    const env = { ...process.env };
    for (const [name, value] of Object.entries(secrets)) env[`SPIN_VARIABLE_${name}`] = value;
    return this.#started('the gateway', variable('MOEGATE_SPIN_HOST'), [
      '--manifest', join(ROOT, 'tests/dialects/spin.toml'), '--wasm', variable('MOEGATE_DIALECTS_SPIN'), '--listen', `127.0.0.1:${PORT}`,
      '--kv', join(this.#folder, 'kv.sqlite'),
    ], env);
  }

  /** Starts the program and waits for its first line, which says that it is ready. */
  #started(name, program, args, env = process.env) {
    const child = spawn(program, args, { cwd: this.#folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    return new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`${name} ended at once (${code ?? signal})`)));
    });
  }

  async usage() {
    const reply = await fetch(`${this.url}/usage`, { headers: { authorization: `Bearer ${this.adminKey}` } });
    if (!reply.ok) throw new Error(`/usage: ${reply.status} ${await reply.text()}`);
    return reply.json();
  }

  async stop() {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
