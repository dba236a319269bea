// Real SDKs at the gateway, with mock providers behind it: `cargo xtask test dialects`. Arguments: parts of names of
// clients and of routes (`node run.mjs anthropic to-gemini`); with any, the page of the docs is left alone.
import { writeFileSync } from 'node:fs';
import { GATEWAY, NODE, play, PYTHON, Results } from './play.mjs';
import { Gateway } from './gateway.mjs';
import { outage } from './outage.mjs';
import { protocol } from './protocol.mjs';
import { start } from './providers.mjs';
import { compare } from './record.mjs';

/**
 * Where each route leads, and how reasoning comes from there to a client that can show it. `carries`: its signature stands
 * in the ids of tool calls, which every client sends back. The rest are members of a world.
 */
const ROUTES = {
  'to-openai': { provider: 'openai', reasoning: () => 'counted' },
  'to-openai-responses': { provider: 'openai', reasoning: (format) => (format === 'openai-responses' ? 'signed' : 'counted') },
  'to-vllm': { provider: 'vllm', reasoning: () => 'maybe' },
  'to-anthropic': { provider: 'anthropic', reasoning: signed },
  'to-gemini': { provider: 'gemini', reasoning: signed, carries: true },
  'to-moegate': { reasoning: () => 'counted', own: true, most: 200, features: ['text', 'stream', 'wrong key', 'unknown model'] },
  'to-bedrock': { provider: 'bedrock', reasoning: signed, uncounted: true },
};

/** Chat completions have no place for signatures that every client sends back. */
function signed(format) {
  return format.startsWith('openai-c') ? 'maybe' : 'signed';
}

const [clientPart = '', routePart = ''] = process.argv.slice(2);
const hosts = (process.env.MOEGATE_HOSTS ?? 'workerd,spin').split(',');
const results = new Results();
const mocks = await start({ fixed: true });

for (const host of hosts) {
  const gateway = new Gateway(host);
  try {
    await gateway.start();
    // First: it looks at the whole ledger.
    if (routePart === '' || routePart === 'outage') {
      const error = await outage(gateway, mocks).then(() => null, (reason) => reason);
      results.add('npm ai, an app with tools', `${host}, outage`, 'one answer from three origins', error === null, error?.message, error?.stack);
    }
    if (routePart === '' || routePart === 'protocol') await protocol(gateway, mocks, results, host);
    const pairs = [...NODE, ...GATEWAY, ...PYTHON].filter((client) => client.name.includes(clientPart)).flatMap((client) => (
      Object.entries(ROUTES).filter(([route]) => route.includes(routePart) && client.routes?.includes(route) !== false).map(([model, { provider, reasoning, carries, ...rest }]) => [client, {
        name: `${host}, ${model}`, baseURL: gateway.url, apiKey: gateway.clientKey, wrongKey: 'mg-wrong', model, control: mocks[provider]?.url,
        reasoning: client.blind ? 'counted' : reasoning(client.format), ...rest, statuses: { key: 401, model: 404 },
        ...(carries ? { carried: true } : client.forgets ? { carried: false } : {}),
      }])
    ));
    await play(pairs, results);
  } catch (error) {
    results.add('the gateway', host, 'starts', false, error.message, error.stack);
  } finally {
    await gateway.stop();
  }
}
for (const mock of Object.values(mocks)) await mock.stop();
if (process.env.MOEGATE_RESULTS) writeFileSync(process.env.MOEGATE_RESULTS, JSON.stringify(results.all, null, 1));
if (clientPart === '' && routePart === '' && hosts.length === 2) {
  const flaw = compare(results.all);
  results.add('docs/reference/sdks.md', 'the repository', 'says what was seen', flaw === null, flaw);
}
process.exit(results.close());
