// Plays clients in worlds, and keeps what came of it.
import { clients as ai } from './clients/ai.mjs';
import { clients as anthropic } from './clients/anthropic.mjs';
import { clients as gateway } from './clients/gateway.mjs';
import { clients as genai } from './clients/genai.mjs';
import { clients as openai } from './clients/openai.mjs';
import * as python from './clients/python.mjs';

export const NODE = [...ai, ...openai, ...anthropic, ...genai];
/** Those that speak to no provider but a gateway. */
export const GATEWAY = gateway;
export const PYTHON = python.clients;
export const { boto3 } = python;

/** Every result: client, world, feature, whether it went well, and if not, why in one line. */
export class Results {
  all = [];

  add(client, world, feature, ok, reason, trace) {
    this.all.push({ client, world, feature, ok, ...(ok ? {} : { reason: `${reason}`.split('\n')[0] }) });
    console.log(`${client} > ${world}: ${feature} ... ${ok ? 'ok' : `FAILED\n${trace ?? reason}`}`);
  }

  get passed() {
    return this.all.filter((one) => one.ok).length;
  }

  get failed() {
    return this.all.length - this.passed;
  }

  /** Prints the sums as `cargo xtask test` reads them; the exit status that fits. */
  close() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}

/** `pairs`: `[client, world]`. A world's `name` says where it leads, its `features`, if it has any, which cases fit. Clients are played side by side, each in its worlds in turn. */
export async function play(pairs, results) {
  const scripts = Map.groupBy(pairs.filter(([client]) => client.script), ([client]) => client.script);
  const said = ({ client, world, feature, ok, reason, trace }) => results.add(client, world, feature, ok, reason, trace);
  const scripted = [...scripts].map(async ([script, its]) => {
    const worlds = its.map(([client, world]) => ({ ...world, client: client.name, format: client.format }));
    await python.play(script, worlds, said).catch((error) => results.add(script, 'all', 'runs to its end', false, error.message));
  });
  const own = Map.groupBy(pairs.filter(([client]) => client.cases), ([client]) => client);
  const played = [...own].map(async ([client, its]) => {
    for (const [, world] of its) {
      for (const [feature, act] of Object.entries(client.cases)) {
        if (world.features?.includes(feature) === false) continue;
        const error = await act({ ...world, client: client.name }).then(() => null, (reason) => reason);
        results.add(client.name, world.name, feature, error === null, error?.message ?? error, error?.stack);
      }
    }
  });
  await Promise.all([...scripted, ...played]);
}
