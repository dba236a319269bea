// The gateway, in workerd or in the Spin host, and two providers, for the chaos suite.
import { Gateway, key, sha256, variable } from '../gateway.mjs';
import { Provider } from './provider.mjs';

const PORT = 28740;

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
  keys = { app: key(), other: key(), poor: key(), admin: key() };
  random = seeded(19);
  first = new Provider('first', 28741, this.random);
  second = new Provider('second', 28742, this.random);
  #gateway;

  constructor(host) {
    this.host = host;
    this.#gateway = new Gateway({
      host, suite: 'ledger', port: PORT,
      worker: host === 'spin' ? undefined : variable('MOEGATE_LEDGER_WORKER', 'ledger'),
      component: host === 'spin' ? variable('MOEGATE_LEDGER_SPIN', 'ledger') : undefined,
      secrets: {
        FIRST_KEY: 'first-provider-key-0001', SECOND_KEY: 'second-provider-key-0002',
        APP_KEY_SHA256: sha256(this.keys.app), OTHER_KEY_SHA256: sha256(this.keys.other),
        POOR_KEY_SHA256: sha256(this.keys.poor), ADMIN_KEY_SHA256: sha256(this.keys.admin),
      },
    });
    this.url = this.#gateway.url;
  }

  async start() {
    await this.first.start();
    await this.second.start();
    await this.#gateway.start();
  }

  /** `kill -9`, and again with the same store. */
  async killGateway() {
    await this.#gateway.kill();
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
    await this.#gateway.stop();
    await this.first.stop();
    await this.second.stop();
  }
}
