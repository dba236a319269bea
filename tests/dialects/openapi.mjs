// PyPI schemathesis at the gateway, by the document that it serves, with mock providers behind it: good and bad requests to
// every operation, in workerd and in the Spin host. `cargo xtask test dialects`, or by hand with its variables; MOEGATE_HOSTS
// names one host alone.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gateway } from './gateway.mjs';
import { start } from './providers.mjs';

const SEED = 18;
const EXAMPLES = 12;
/** For each host: the end of what is generated, and the end of patience. */
const SECONDS = 45;
const PATIENCE_MS = 120_000;
const CHECKS = [
  'not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_schema_conformance', 'ignored_auth', 'unsupported_method',
];

/** The document with the models that there are: others are all the same 404. */
function withModels(document, models) {
  const narrow = (node) => {
    if (node === null || typeof node !== 'object') return node;
    if (Array.isArray(node)) return node.map(narrow);
    const narrowed = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, narrow(value)]));
    if (narrowed.properties?.model && narrowed.required?.includes('model')) narrowed.properties.model = { enum: models };
    if (narrowed.in === 'path' && narrowed.name === 'model') narrowed.schema = { enum: models };
    return narrowed;
  };
  const { schemas } = document.components;
  // Answers name the origin's model.
  const requests = Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, name.endsWith('Request') ? narrow(schema) : schema]));
  return { ...document, paths: narrow(document.paths), components: { ...document.components, schemas: requests } };
}

function run(folder, gateway) {
  const configuration = [
    `headers = { Authorization = "Bearer ${gateway.clientKey}" }`,
    '[[operations]]',
    'include-path = "/usage"',
    `headers = { Authorization = "Bearer ${gateway.adminKey}" }`,
  ];
  writeFileSync(join(folder, 'schemathesis.toml'), `${configuration.join('\n')}\n`);
  const args = [
    '-I', '-B', '-m', 'schemathesis.cli', '--config-file', 'schemathesis.toml', 'run', 'openapi.json', '--url', gateway.url, '--checks', CHECKS.join(','),
    '--phases', 'examples,coverage,fuzzing', '--seed', `${SEED}`, '--max-examples', `${EXAMPLES}`, '--generation-database', 'none', '--no-shrink',
    '--continue-on-failure', '--request-timeout', '20', '--no-color', '--report', 'junit', '--report-junit-path', 'report.xml',
  ];
  const child = spawn(process.env.MOEGATE_PYTHON ?? 'python3', args, {
    cwd: folder, env: { PATH: process.env.PATH, HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, said });
    });
  });
}

async function play(host, document) {
  const gateway = new Gateway(host);
  const folder = mkdtempSync(join(tmpdir(), 'moegate-openapi-'));
  try {
    await gateway.start();
    const served = await (await fetch(`${gateway.url}/openapi.json`)).json();
    const { data } = await (await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${gateway.clientKey}` } })).json();
    const models = data.map(({ id }) => id).filter((id) => !/moegate|outage/.test(id));
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify(withModels(served, models)));
    const { code, said } = await run(folder, gateway);
    console.log(said); 
    return { code, report: readFileSync(join(folder, 'report.xml'), 'utf8') };
  } finally {
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
const mocks = await start({ fixed: true });
for (const host of (process.env.MOEGATE_HOSTS ?? 'workerd,spin').split(',')) { const r = await play(host); console.log(r.code, r.report.slice(0, 3000)); }
for (const mock of Object.values(mocks)) await mock.stop();
