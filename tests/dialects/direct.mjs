// Every client straight at the mock provider whose SDK it is: `node direct.mjs [part of a client's name]`. This is what
// the mocks' faithfulness rests on.
import { clients as ai } from './clients/ai.mjs';
import { clients as anthropicClients } from './clients/anthropic.mjs';
import { clients as genaiClients } from './clients/genai.mjs';
import { clients as openaiClients } from './clients/openai.mjs';
import * as python from './clients/python.mjs';
import * as bedrock from './mocks/bedrock.mjs';
import * as anthropic from './mocks/anthropic.mjs';
import * as gemini from './mocks/gemini.mjs';
import * as openai from './mocks/openai.mjs';

const mocks = {
  openai: await openai.openai().start(),
  vllm: await openai.openai('vllm').start(),
  anthropic: await anthropic.anthropic().start(),
  gemini: await gemini.gemini().start(),
  bedrock: await bedrock.bedrock().start(),
};

const world = (mock, rest) => ({ baseURL: mock.url, control: mock.url, statuses: { key: 401, model: 404 }, ...rest });
const WORLDS = {
  'openai-chat': world(mocks.openai, { apiKey: openai.KEY, wrongKey: 'sk-proj-wrong-key', model: 'gpt-5-mini', reasoning: 'counted' }),
  'openai-responses': world(mocks.openai, { apiKey: openai.KEY, wrongKey: 'sk-proj-wrong-key', model: 'gpt-5-mini', reasoning: 'signed' }),
  'openai-compatible': world(mocks.vllm, { apiKey: openai.KEY, wrongKey: 'sk-proj-wrong-key', model: 'Qwen/Qwen3-8B', reasoning: 'shown' }),
  anthropic: world(mocks.anthropic, { apiKey: anthropic.KEY, wrongKey: 'sk-ant-wrong', model: 'claude-haiku-4-5', reasoning: 'signed' }),
  gemini: world(mocks.gemini, { apiKey: gemini.KEY, wrongKey: 'AIza-wrong', model: 'gemini-3-flash-preview', reasoning: 'signed', statuses: { key: 400, model: 404 } }),
  bedrock: world(mocks.bedrock, { apiKey: `${bedrock.CREDENTIALS.accessKey}:${bedrock.CREDENTIALS.secretKey}`, model: bedrock.MODELS[0], reasoning: 'signed' }),
};

let passed = 0;
let failed = 0;
const only = process.argv[2] ?? '';
const chosen = (clients) => clients.filter((client) => client.name.includes(only));

function count(client, feature, ok, reason) {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${client}: ${feature} ... ${ok ? 'ok' : `FAILED\n${reason}`}`);
}

for (const client of chosen([...ai, ...openaiClients, ...anthropicClients, ...genaiClients])) {
  for (const [feature, act] of Object.entries(client.cases)) {
    const error = await act(WORLDS[client.format]).then(() => null, (reason) => reason);
    count(client.name, feature, error === null, error?.stack ?? error);
  }
}
const scripts = Map.groupBy(chosen([...python.clients, python.boto3]), (client) => client.script);
for (const [script, clients] of scripts) {
  const worlds = clients.map(({ name, format }) => ({ ...WORLDS[format], client: name, name: format, format }));
  await python.play(script, worlds, ({ client, feature, ok, trace }) => count(client, feature, ok, trace)).catch((error) => count(script, 'it runs', false, error.stack));
}
for (const mock of Object.values(mocks)) await mock.stop();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
