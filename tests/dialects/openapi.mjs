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
/** Of the requests, for each origin. */
const REACHED = 6;
/** For each host. It takes about half a minute. */
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
    if ((narrowed.in === 'path' && narrowed.name === 'model') || (narrowed.in === 'header' && narrowed.name.endsWith('model-id'))) narrowed.schema = { enum: models };
    return narrowed;
  };
  const { schemas } = document.components;
  // Answers name the origin's model.
  const requests = Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, name.endsWith('Request') ? narrow(schema) : schema]));
  return { ...document, paths: narrow(document.paths), components: { ...document.components, schemas: requests } };
}

/** A body that every origin can be told, by operation. */
const PLAIN = {
  createChatCompletion: { messages: [{ role: 'user', content: 'hello' }], max_tokens: 64 },
  createResponse: { input: 'hello', max_output_tokens: 64 },
  createMessage: { messages: [{ role: 'user', content: 'hello' }], max_tokens: 64 },
  generateContent: { contents: [{ role: 'user', parts: [{ text: 'hello' }] }] },
};

/** The document with such a request to every model, whole and streamed: what is generated is seldom one. */
function withExamples(document, models) {
  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    const plain = PLAIN[operation.operationId];
    if (!plain) continue;
    const content = operation.requestBody.content['application/json'];
    const parameter = operation.parameters?.find(({ name }) => name === 'model');
    const values = parameter ? [plain] : models.flatMap((model) => [false, true].map((stream) => ({ model, stream, ...plain })));
    content.examples = Object.fromEntries(values.map((value, at) => [`plain${at}`, { value }]));
    if (parameter) parameter.examples = Object.fromEntries(models.map((value) => [value, { value }]));
  }
  return document;
}

/** Runs it in a folder with its report; what it said. */
async function run(folder, gateway) {
  const configuration = [
    `headers = { Authorization = "Bearer ${gateway.clientKey}" }`,
    '[[operations]]',
    'include-path = "/usage"',
    `headers = { Authorization = "Bearer ${gateway.adminKey}" }`,
    // Their bodies are those of operations whose every member is tried.
    '[[operations]]',
    'include-path-regex = ":streamGenerateContent$|:countTokens$|/count_tokens$"',
    'phases.coverage.enabled = false',
  ];
  writeFileSync(join(folder, 'schemathesis.toml'), `${configuration.join('\n')}\n`);
  const args = [
    '-I', '-B', '-m', 'schemathesis.cli', '--config-file', 'schemathesis.toml', 'run', 'openapi.json', '--url', gateway.url, '--checks', CHECKS.join(','),
    '--phases', 'examples,coverage,fuzzing', '--seed', `${SEED}`, '--max-examples', `${EXAMPLES}`, '--generation-database', 'none', '--no-shrink',
    '--generation-with-security-parameters', 'false', '--continue-on-failure', '--request-timeout', '20', '--workers', '2', '--no-color', '--report', 'junit', '--report-junit-path', 'report.xml',
  ];
  const child = spawn(process.env.MOEGATE_PYTHON ?? 'python3', args, {
    cwd: folder, env: { PATH: process.env.PATH, HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  clearTimeout(timer);
  if (code === null) throw new Error(`schemathesis was not done within ${PATIENCE_MS / 1000} s:\n${said}`);
  return said;
}

/** The operations of a report, each with what is wrong; none for what is well. */
function results(report) {
  const cases = [...report.matchAll(/<testcase name="([^"]*)"[^>]*?(\/>|>(.*?)<\/testcase>)/gs)];
  return cases.map(([, name, , inner = '']) => ({ name, reason: inner.replace(/<[^>]*>/g, '').trim().replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&') }));
}

async function play(host, said) {
  const gateway = new Gateway(host);
  const folder = mkdtempSync(join(tmpdir(), 'moegate-openapi-'));
  try {
    await gateway.start();
    const get = async (path) => (await fetch(gateway.url + path, { headers: { authorization: `Bearer ${gateway.clientKey}` } })).json();
    const document = await get('/openapi.json');
    const { data } = await get('/v1/models');
    // Behind those stands a real server, several origins one after the other, or no model that generates.
    const models = data.map(({ id }) => id).filter((id) => !/moegate|outage|embeddings/.test(id));
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify(withExamples(withModels(document, models), models)));
    const output = await run(folder, gateway);
    const seen = results(readFileSync(join(folder, 'report.xml'), 'utf8'));
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    if (seen.length !== operations.length) throw new Error(`${seen.length} of ${operations.length} operations were tried:\n${output}`);
    seen.forEach(said);
    // Otherwise all of it would have been refused, and nothing said of the ways to origins and back.
    for (const [name, { log }] of Object.entries(mocks)) {
      said({ name: `requests reach ${name}`, reason: log.length >= REACHED ? '' : `${log.length} did, ${REACHED} at least should` });
      log.length = 0;
    }
  } finally {
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const mocks = await start({ fixed: true });
const count = { passed: 0, failed: 0 };
for (const host of (process.env.MOEGATE_HOSTS ?? 'workerd,spin').split(',')) {
  const said = ({ name, reason }) => {
    count[reason === '' ? 'passed' : 'failed'] += 1;
    console.log(`schemathesis > ${host}: ${name} ... ${reason === '' ? 'ok' : `FAILED\n${reason}`}`);
  };
  await play(host, said).catch((error) => said({ name: 'runs to its end', reason: error.stack }));
}
for (const mock of Object.values(mocks)) await mock.stop();
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed === 0 && count.passed > 0 ? 0 : 1);
