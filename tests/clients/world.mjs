// The gateway, in workerd or in the Spin host, and moe-server with the repository's small model, for the scripts beside this file.
//
// Ports and names are those of tests/contract/moegate.toml, whose wasm is used here too.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GATEWAY_PORT = 28710;
const SERVER_PORT = 28711;
const TWIN_PORT = 28715;
/** Where spans go, by that configuration; an origin that some script plays has the port, too. */
export const COLLECTOR_PORT = 28713;
// A server that was down is asked for a receipt again after half a minute, and a minute after that.
const PATIENCE_MS = 120_000;
const GLANCE_MS = 20;

const variable = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask test clients\``);
  return value;
};
const key = () => `mg-${randomBytes(24).toString('base64url')}`;
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** Looks until `look` gives something truthy. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited two minutes for: ${what}`);
    await new Promise((wake) => setTimeout(wake, GLANCE_MS));
  }
}

function isTaken(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('close', () => socket.destroy());
    socket.on('connect', () => socket.destroy());
  });
}

export class World {
  model = 'own-model';
  url = `http://127.0.0.1:${GATEWAY_PORT}`;
  clientKey = key();
  adminKey = key();
  #originKey = key();
  #twinKey = key();
  #folder = mkdtempSync(join(tmpdir(), 'moegate-clients-'));
  #server;
  #twin;
  #gateway;

  /** `host`: `workerd` or `spin`. */
  constructor(host) {
    this.host = host;
  }

  async start() {
    for (const port of [GATEWAY_PORT, SERVER_PORT, TWIN_PORT]) {
      if (await isTaken(port)) throw new Error(`port ${port} is taken; end what uses it (\`ss -ltnp 'sport = :${port}'\` names it)`);
    }
    writeFileSync(join(this.#folder, 'own'), this.#originKey);
    writeFileSync(join(this.#folder, 'twin'), this.#twinKey);
    const secrets = {
      OWN_KEY: this.#originKey,
      TWIN_KEY: this.#twinKey,
      FAR_KEY: key(),
      FAR_ACCESS: key(),
      APP_KEY_SHA256: sha256(this.clientKey),
      ADMIN_KEY_SHA256: sha256(this.adminKey),
    };
    await this.startServer();
    this.#gateway = await (this.host === 'spin' ? this.#spin(secrets) : this.#workerd(secrets));
  }

  #workerd(secrets) {
    const vars = join(this.#folder, 'vars');
    writeFileSync(vars, Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join(''));
    const script = [
      '--import', join(ROOT, 'xtask/node/resolve.mjs'), join(ROOT, 'xtask/node/gateway.mjs'),
      '--config', join(ROOT, 'wrangler.toml'), '--entry', variable('MOEGATE_CONTRACT_WORKER'), '--port', `${GATEWAY_PORT}`,
      '--vars', vars, '--persist', join(this.#folder, 'kv'),
    ];
    return this.#started('the gateway', process.execPath, script);
  }

  #spin(secrets) {
    const args = [
      '--manifest', join(ROOT, 'tests/contract/spin.toml'), '--wasm', variable('MOEGATE_CONTRACT_SPIN'), '--listen', `127.0.0.1:${GATEWAY_PORT}`,
      '--kv', join(this.#folder, 'kv.sqlite'),
    ];
    // Those that the suite's configuration names beside: nothing here uses them.
    const others = { NARROW_KEY_SHA256: sha256(key()), TENANT_KEY_SHA256: sha256(key()), UNSET_KEY: '' };
    const env = { ...process.env };
    for (const [name, value] of Object.entries({ ...others, ...secrets })) env[`SPIN_VARIABLE_${name}`] = value;
    return this.#started('the gateway', variable('MOEGATE_SPIN_HOST'), args, env);
  }

  /** Starts a program and waits for its first line, which says that it is ready. */
  #started(name, program, args, env = process.env) {
    const child = spawn(program, args, { cwd: this.#folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
    return new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', () => resolve(child));
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`${name} ended at once (${code ?? signal})`)));
    });
  }

  async startServer() {
    this.#server = await this.#moeServer(SERVER_PORT, 'own');
  }

  async startTwin() {
    this.#twin = await this.#moeServer(TWIN_PORT, 'twin');
  }

  #moeServer(port, keyFile) {
    const args = [
      'serve', join(ROOT, 'moe-server/models/tiny.gguf'), '--host', '127.0.0.1', '--port', `${port}`,
      '--api-key-file', join(this.#folder, keyFile), '--alias', this.model, '--json',
      '--otlp', `http://127.0.0.1:${COLLECTOR_PORT}/otlp/v1/traces`, '--otlp-percent', '0',
    ];
    return this.#started('moe-server', variable('MOEGATE_SERVER'), args);
  }

  /** `kill -9`: no goodbye to anyone. */
  async killServer() {
    const gone = new Promise((resolve) => this.#server.once('exit', resolve));
    this.#server.kill('SIGKILL');
    await gone;
  }

  /** A number of moe-server's `/metrics`. */
  async metric(name) {
    const headers = { authorization: `Bearer ${this.#originKey}` };
    const text = await (await fetch(`http://127.0.0.1:${SERVER_PORT}/metrics`, { headers })).text();
    const line = text.split('\n').find((one) => one.startsWith(`${name} `));
    if (!line) throw new Error(`no ${name} in /metrics`);
    return Number(line.slice(name.length));
  }

  async usage() {
    const reply = await fetch(`${this.url}/usage`, { headers: { authorization: `Bearer ${this.adminKey}` } });
    if (!reply.ok) throw new Error(`/usage: ${reply.status} ${await reply.text()}`);
    return reply.json();
  }

  /** What is settled of the account, attempt by attempt. */
  async records() {
    const reply = await fetch(`${this.url}/usage/export`, { headers: { authorization: `Bearer ${this.adminKey}` } });
    if (!reply.ok) throw new Error(`/usage/export: ${reply.status} ${await reply.text()}`);
    return (await reply.text()).trimEnd().split('\n').map((line) => JSON.parse(line));
  }

  /** Runs `act`, and then waits for one record more with this ending. */
  async ends(ending, act) {
    const requests = async () => (await this.usage()).by_ending[ending]?.requests ?? 0;
    const before = await requests();
    const result = await act();
    await until(`a record with the ending ${ending}`, async () => (await requests()) === before + 1);
    return result;
  }

  async stop() {
    for (const child of [this.#gateway, this.#server, this.#twin]) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
