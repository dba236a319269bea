// Real SDKs against the gateway and moe-server: `cargo xtask test clients`.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { cases as aiCases } from './ai.mjs';
import { cases as openaiCases } from './openai.mjs';
import { cases as exampleCases } from './examples.mjs';
import { cases as accountCases } from './account.mjs';
import { cases as neverDownCases } from './never_down.mjs';
import { cases as streamCases } from './streams.mjs';
import { cases as traceCases } from './traces.mjs';
import { World } from './world.mjs';

let passed = 0;
let failed = 0;

async function play(world, suite, cases) {
  for (const [name, act] of Object.entries(cases)) {
    try {
      await act(world);
      passed += 1;
      console.log(`${world.host}, ${suite}: ${name} ... ok`);
    } catch (error) {
      failed += 1;
      console.log(`${world.host}, ${suite}: ${name} ... FAILED\n${error.stack ?? error}`);
    }
  }
}

/** The Python script says its own lines; its last one has the numbers. */
async function python(world) {
  const script = fileURLToPath(new URL('openai_client.py', import.meta.url));
  const child = spawn(process.env.MOEGATE_PYTHON ?? 'python3', ['-I', '-B', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      GATEWAY_URL: world.url,
      CLIENT_KEY: world.clientKey,
      ADMIN_KEY: world.adminKey,
      MODEL: world.model,
    },
  });
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += bytes;
  });
  await new Promise((ended) => child.once('close', ended));
  const lines = text.trimEnd().split('\n');
  const [, ok, bad] = /^(\d+) passed, (\d+) failed$/.exec(lines.pop()) ?? [null, 0, 1];
  console.log(lines.map((line) => `${world.host}, ${line}`).join('\n'));
  passed += Number(ok);
  failed += Number(bad);
}

for (const host of ['workerd', 'spin']) {
  const world = new World(host);
  try {
    await world.start();
    await play(world, 'npm ai', aiCases);
    await play(world, 'npm openai', openaiCases);
    await python(world);
    await play(world, 'examples', exampleCases);
    await play(world, 'account', accountCases);
    await play(world, 'streams', streamCases);
    await play(world, 'traces', traceCases);
    await world.startTwin();
    await play(world, 'never down', neverDownCases);
  } catch (error) {
    failed += 1;
    console.log(`${error.stack ?? error}`);
  } finally {
    await world.stop();
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
