// Every client straight at the mock provider whose SDK it is: `node direct.mjs [part of a client's name]`. This is what
// the mocks' faithfulness rests on.
import { boto3, NODE, play, PYTHON, Results } from './play.mjs';
import { endings } from './endings.mjs';
import { HOME, PROVIDERS, start } from './providers.mjs';
import { refusals } from './refusals.mjs';

const mocks = await start({ fixed: false });
const results = new Results();
const only = process.argv[2] ?? '';
const pairs = [...NODE, ...PYTHON, boto3].filter((client) => client.name.includes(only)).map((client) => {
  const { provider, reasoning, statuses = { key: 401, model: 404 } } = HOME[client.format];
  const { apiKey, wrongKey, model } = PROVIDERS[provider];
  const { url } = mocks[provider];
  return [client, { name: provider, baseURL: url, control: url, apiKey, wrongKey, model, reasoning, statuses }];
});
await play(pairs, results);
if (only === '') {
  await refusals(mocks, results);
  await endings(mocks, results);
}
for (const mock of Object.values(mocks)) await mock.stop();
process.exit(results.close());
