// A gateway as a process: in workerd or in the Spin host, for suites that bring a configuration of their own.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** An environment variable that the suite's command sets. */
export function variable(name, suite) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask test ${suite}\``);
  return value;
}

/** A new client key. */
export const key = () => `mg-${randomBytes(24).toString('base64url')}`;

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** Starts a program and waits for its first line. */
export async function started(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', process.env.MOEGATE_VERBOSE ? 'inherit' : 'ignore'], ...options });
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`${program} ended at once (${code ?? signal})`)));
  });
  return { child, line };
}

/** Ends a process that was started here. */
export async function ended(child, signal = 'SIGTERM') {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

export class Gateway {
  #folder = mkdtempSync(join(tmpdir(), 'moegate-suite-'));
  #child;

  /**
   * @param host `workerd` or `spin`
   * @param suite its name; `tests/SUITE/spin.toml` is its manifest
   * @param secrets by name
   * @param worker the Worker's entry; @param component the component for Spin
   */
  constructor({ host, suite, port, secrets, worker, component }) {
    Object.assign(this, { host, suite, port, secrets, worker, component });
    this.url = `http://127.0.0.1:${port}`;
  }

  async start() {
    const [program, args, env] = this.host === 'spin' ? this.#spin() : this.#workerd();
    this.#child = (await started(program, args, { cwd: this.#folder, env })).child;
  }

  #workerd() {
    const vars = join(this.#folder, 'vars');
    writeFileSync(vars, Object.entries(this.secrets).map(([name, value]) => `${name}=${value}\n`).join(''));
    return [process.execPath, [
      '--import', join(ROOT, 'xtask/node/resolve.mjs'), join(ROOT, 'xtask/node/gateway.mjs'),
      '--config', join(ROOT, 'wrangler.toml'), '--entry', this.worker, '--port', `${this.port}`,
      '--vars', vars, '--persist', join(this.#folder, 'state'),
    ], process.env];
  }

  #spin() {
    const env = { ...process.env };
    for (const [name, value] of Object.entries(this.secrets)) env[`SPIN_VARIABLE_${name}`] = value;
    return [variable('MOEGATE_SPIN_HOST', this.suite), [
      '--manifest', join(ROOT, 'tests', this.suite, 'spin.toml'), '--wasm', this.component, '--listen', `127.0.0.1:${this.port}`,
      '--kv', join(this.#folder, 'kv.sqlite'),
    ], env];
  }

  /** `kill -9`, and again with the same store. */
  async kill() {
    // workerd is a child of the process that was started here.
    const children = readFileSync(`/proc/${this.#child.pid}/task/${this.#child.pid}/children`, 'utf8');
    for (const pid of children.split(' ').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
    await ended(this.#child, 'SIGKILL');
    await this.start();
  }

  async stop() {
    await ended(this.#child);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
