// Starts the gateway in workerd, as wrangler.toml describes it, and ends it on SIGTERM or when standard input ends.
//
//   gateway.mjs [--config wrangler.toml] [--vars FILE] [--persist DIR] [--host H] [--port N] [--entry FILE] [--verbose]
//               [--control] [--watch]
//
// --watch: what changes in --vars holds at once.
// Prints one JSON line {"ready":true,"url":...} once requests are answered. The worker listens on the port itself:
// Miniflare's own front proxy would stand between a client that leaves and the worker's request.signal.
import { readFileSync, watchFile } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

// Set before wrangler loads: it reads .dev.vars and reports usage unless told otherwise.
process.env.CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV = 'false';
process.env.WRANGLER_SEND_METRICS = 'false';

const { values: args } = parseArgs({
  options: {
    config: { type: 'string', default: 'wrangler.toml' },
    vars: { type: 'string' },
    persist: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8787' },
    entry: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    control: { type: 'boolean', default: false },
    watch: { type: 'boolean', default: false },
  },
});

/** KEY=value lines; blank lines and # comments are passed over, one pair of quotes around a value is taken off. */
function parseVars(file) {
  const vars = {};
  readFileSync(file, 'utf8').split(/\r?\n/).forEach((line, index) => {
    if (/^\s*(#|$)/.test(line)) return;
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line);
    // The line itself stays out of the message: it may hold a secret.
    if (!match) throw new Error(`${file}:${index + 1}: expected KEY=value`);
    vars[match[1]] = match[2].replace(/^(["'])(.*)\1$/, '$2');
  });
  return vars;
}

/** The entry and what it imports as one module, and every wasm module beside it. */
async function bundle(entry) {
  const { build } = await import('esbuild');
  const wasm = new Map();
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    target: 'es2024',
    write: false,
    logLevel: 'silent',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    plugins: [
      {
        name: 'wasm',
        setup(hooks) {
          hooks.onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
            const file = resolve(resolveDir, path);
            const known = [...wasm].find(([, at]) => at === file);
            const name = known?.[0] ?? `module${wasm.size}.wasm`;
            wasm.set(name, file);
            return { path: `./${name}`, external: true };
          });
        },
      },
    ],
  });
  return [
    { type: 'ESModule', path: 'entry.mjs', contents: result.outputFiles[0].text },
    ...[...wasm].map(([path, file]) => ({ type: 'CompiledWasm', path, contents: readFileSync(file) })),
  ];
}

async function start() {
  const [wrangler, { Miniflare, convertV4MiniflareOptions }] = await Promise.all([
    import('wrangler'),
    import('miniflare'),
  ]);
  const configPath = resolve(args.config);
  const config = wrangler.unstable_readConfig({ config: configPath }, { hideWarnings: true });
  // A list of variable files that names none that exist keeps wrangler from reading .dev.vars: only --vars counts.
  const { workerOptions, externalWorkers } = wrangler.unstable_getMiniflareWorkerOptions(config, undefined, {
    envFiles: ['.no-variables'],
  });
  const modules = await bundle(args.entry ? resolve(args.entry) : resolve(dirname(configPath), config.main));
  const port = Number(args.port);
  const options = (vars) => convertV4MiniflareOptions({
    // The front proxy of Miniflare; nothing uses it.
    host: '127.0.0.1',
    port: 0,
    cf: false,
    logRequests: false,
    resourcePersistencePath: args.persist && resolve(args.persist),
    handleStructuredLogs: ({ level, message }) => {
      if (args.verbose || level === 'error' || level === 'warn') console.error(`${level}: ${message}`);
    },
    workers: [
      {
        ...workerOptions,
        name: config.name,
        modulesRules: undefined,
        modules,
        modulesRoot: '/',
        bindings: { ...workerOptions.bindings, ...vars },
        unsafeDirectSockets: [{ host: args.host, port }],
      },
      ...(externalWorkers ?? []),
    ],
  });
  const read = () => (args.vars ? parseVars(args.vars) : {});
  const miniflare = new Miniflare(options(read()));
  stop.miniflare = miniflare;
  await miniflare.ready;
  if (args.control) await control(miniflare);
  if (args.watch && args.vars) {
    watchFile(args.vars, { interval: 500 }, async () => {
      try {
        await miniflare.setOptions(options(read()));
        console.error(`${args.vars} has changed, and holds now`);
      } catch (error) {
        console.error(`${args.vars} has changed, but cannot be used: ${error.message}`);
      }
    });
  }
  const url = await miniflare.unsafeGetDirectURL(config.name);
  return url.origin;
}

/**
 * For tests: a line `{"keys":PREFIX}` on standard input is answered with a line `{"keys":[…]}`, and `{"record":KEY}` with
 * `{"value":…,"summary":…}`, both from the usage store; `{"ledger":SHARD,"operations":[…]}` with `{"answers":[…]}`, from
 * the ledger's shard.
 */
async function answer(line, store, objects) {
  const { keys: prefix, record, ledger, operations } = JSON.parse(line);
  if (ledger !== undefined) {
    const answers = await objects.getByName(ledger).apply(ledger, operations.join('\n'));
    return { answers: answers.split('\n') };
  }
  if (record !== undefined) {
    const { value, metadata } = await store.getWithMetadata(record);
    return { value, summary: JSON.stringify(metadata) };
  }
  const keys = [];
  for (let cursor; ; ) {
    const page = await store.list({ prefix, cursor });
    keys.push(...page.keys.map(({ name }) => name));
    if (page.list_complete) return { keys };
    cursor = page.cursor;
  }
}

async function control(miniflare) {
  const store = await miniflare.getKVNamespace('USAGE');
  const objects = await miniflare.getDurableObjectNamespace('LEDGER');
  createInterface({ input: process.stdin }).on('line', async (line) => {
    const reply = await answer(line, store, objects).catch((error) => ({ error: `${error}` }));
    console.log(JSON.stringify(reply));
  });
}

async function stop(code) {
  if (stop.begun) return;
  stop.begun = true;
  // Whatever becomes of the orderly way, this process ends; workerd is in its process group.
  setTimeout(() => process.exit(code || 1), 4000).unref();
  await stop.miniflare?.dispose().catch((error) => console.error(error.message));
  process.exit(code);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => stop(0));
process.stdin.on('end', () => stop(0)).on('error', () => stop(0)).resume();

try {
  const url = await start();
  console.log(JSON.stringify({ ready: true, url }));
} catch (error) {
  if (!stop.begun) {
    console.error(args.verbose ? error : `error: ${error.message}`);
    await stop(1);
  }
}
