// The gateway as `cargo xtask run` starts it, with the MoE server and the stand-in provider, and the built example before it.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const GATEWAY_PORT = 28780;
const STAND_IN = 'http://127.0.0.1:28782';
const APP_PORT = 28783;
const PATIENCE_MS = 60_000;
const GLANCE_MS = 20;

export const variable = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask test browser\``);
  return value;
};

/** Looks until `look` gives something truthy, `ms` at most. */
export async function until(what, look, ms = PATIENCE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
    await sleep(GLANCE_MS);
  }
}

export class World {
  page = `http://127.0.0.1:${APP_PORT}`;
  #children = [];
  #gateway;

  async start(host) {
    const args = ['run', '--json', '--host', host, '--port', `${GATEWAY_PORT}`, '--config', variable('MOEGATE_BROWSER_CONFIG'), '--with-mock'];
    const run = this.#spawn(variable('MOEGATE_XTASK'), args, {});
    const line = await new Promise((resolve, reject) => {
      createInterface({ input: run.stdout }).once('line', resolve);
      run.once('exit', (code) => reject(new Error(`\`xtask run\` ended with ${code}`)));
    });
    this.#gateway = JSON.parse(line);
    const app = variable('MOEGATE_BROWSER_APP');
    const env = { MOEGATE_URL: this.#gateway.gateway_url, MOEGATE_KEY: this.#gateway.client_key, NEXT_TELEMETRY_DISABLED: '1' };
    const next = join(app, 'node_modules/next/dist/bin/next');
    this.#spawn(process.execPath, [next, 'start', '--hostname', '127.0.0.1', '--port', `${APP_PORT}`], { ...env }, app);
    await until('the app', () => fetch(this.page).then((reply) => reply.ok, () => false));
  }

  #spawn(program, args, env, cwd) {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdout.resume();
    this.#children.push(child);
    return child;
  }

  /** Whether the stand-in's client went away before its answer to the prompt was whole. */
  async stopped(prompt) {
    return (await fetch(`${STAND_IN}/_mock/broken?text=${encodeURIComponent(prompt)}`)).json();
  }

  /** The rows of the request with this id, the first attempt first. */
  async records(id) {
    const url = `${this.#gateway.gateway_url}/usage/export`;
    const reply = await fetch(url, { headers: { authorization: `Bearer ${this.#gateway.admin_key}` } });
    if (!reply.ok) throw new Error(`/usage/export: ${reply.status} ${await reply.text()}`);
    const rows = (await reply.text()).trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
    const own = rows.filter((row) => row.id === id || row.id.startsWith(`${id}-`));
    return own.sort((a, b) => a.attempt - b.attempt);
  }

  async stop() {
    for (const child of this.#children.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
  }
}
