// How often a request crosses into wasm: the Worker as it is built, over stubs of fetch and the ledger, with every call of
// an export of the module counted, those of wasm-bindgen's own included.
// Exceeding tests/contract/budget.json fails.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const budget = JSON.parse(readFileSync(new URL('budget.json', import.meta.url))).crossings;
const file = process.env.MOEGATE_CONTRACT_WORKER;
if (!file) throw new Error('MOEGATE_CONTRACT_WORKER is not set: run `cargo xtask test contract`');

let crossings = 0;
const { Instance } = WebAssembly;
WebAssembly.Instance = function counted(module, imports) {
  const { exports } = new Instance(module, imports);
  const counting = ([name, value]) => [
    name,
    typeof value !== 'function' ? value : (...values) => {
      crossings += 1;
      return value(...values);
    },
  ];
  return { exports: Object.fromEntries(Object.entries(exports).map(counting)) };
};
globalThis.IdentityTransformStream = TransformStream;
globalThis.addEventListener ??= () => {};
globalThis.caches ??= { default: { put: async () => {}, match: async () => undefined } };

// Node has no imports of wasm modules: a copy of what was built reads its own.
const folder = mkdtempSync(join(tmpdir(), 'moegate-crossings-'));
cpSync(dirname(file), folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
const bound = readFileSync(join(folder, 'moegate.js'), 'utf8');
const imported = 'import wasmModule from "./moegate_bg.wasm";';
if (!bound.includes(imported)) throw new Error('moegate.js does not import its wasm as it did');
const read = `import { readFileSync } from 'node:fs';
const wasmModule = new WebAssembly.Module(readFileSync(new URL('moegate_bg.wasm', import.meta.url)));`;
writeFileSync(join(folder, 'moegate.js'), bound.replace(imported, read));
// Its objects run elsewhere: the ledger is a stub below.
const objects = readFileSync(join(folder, 'ledger.js'), 'utf8');
const runtime = 'import { DurableObject } from "cloudflare:workers";';
if (!objects.includes(runtime)) throw new Error('ledger.js does not import its base as it did');
writeFileSync(join(folder, 'ledger.js'), objects.replace(runtime, 'class DurableObject {}'));
const { default: worker } = await import(pathToFileURL(join(folder, 'entry.js')));
rmSync(folder, { recursive: true });

const env = {
  APP_KEY_SHA256: createHash('sha256').update('key').digest('hex'),
  OWN_KEY: 'own',
  FAR_KEY: 'far',
  FAR_ACCESS: 'access',
  LEDGER: { settled: 0, getByName: () => ({ apply: async (_, operations) => operations.split('\n').map(answer).join('\n') }) },
};

/** What the ledger answers. */
function answer(operation) {
  if (operation.startsWith('{"reserve"')) return '{"reserved":{"left":[]}}';
  env.LEDGER.settled += operation.startsWith('{"settle"');
  return '"done"';
}

const encoder = new TextEncoder();
const event = encoder.encode('data: {"choices":[{"delta":{"content":"word"},"finish_reason":null}]}\n\n');
const end = encoder.encode('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');

function stream(events) {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(sent < events ? event : end);
      if (sent === events) controller.close();
      sent += 1;
    },
  });
}

/** Crossings of one request with this answer. */
async function count(model, streamed, events) {
  globalThis.fetch = async (url) => {
    if (url.includes('/receipts/')) return Response.json({}, { status: 404 });
    if (streamed) return new Response(stream(events), { headers: { 'content-type': 'text/event-stream' } });
    return Response.json({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 5 } });
  };
  const body = encoder.encode(JSON.stringify({ model, stream: streamed, messages: [] }));
  const request = {
    method: 'POST',
    url: 'http://gateway/v1/chat/completions',
    headers: new Headers({ authorization: 'Bearer key', 'content-length': `${body.length}` }),
    body: true,
    arrayBuffer: async () => body.buffer,
    signal: new AbortController().signal,
  };
  const before = [crossings, env.LEDGER.settled];
  const running = [];
  const reply = await worker.fetch(request, env, { waitUntil: (promise) => running.push(promise) });
  const text = await reply.text();
  await Promise.all(running);
  if (reply.status !== 200 || env.LEDGER.settled !== before[1] + 1) throw new Error(`the request failed: ${text}`);
  if (streamed && text.split('data:').length !== events + 3) throw new Error(`events are missing: ${text}`);
  return crossings - before[0];
}

// The first request of an instance also hands the secrets over.
await count('far-model', false, 0);
const pumped = [await count('far-model', true, 100), await count('far-model', true, 200)];
const perEvent = (pumped[1] - pumped[0]) / 100;
const measured = {
  unstreamed: await count('far-model', false, 0),
  relayed: await count('own-model', true, 100),
  pumped: pumped[0] - 100 * perEvent,
  pumped_per_event: perEvent,
};
let failed = 0;
for (const [name, value] of Object.entries(measured)) {
  const over = !(value <= budget[name]);
  failed += over;
  console.log(`crossings, ${name}: ${value}, budget ${budget[name]} ... ${over ? 'FAILED' : 'ok'}`);
}
console.log(`${Object.keys(measured).length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
