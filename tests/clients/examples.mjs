// The examples of the repository as somebody runs them, by the two fields and by the environment alone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOLD = /\n\d+ tokens, \$0\.0*[1-9]\d*\n$/;

/** The example ends well, and its last line has tokens and cost. */
async function runs(world, program, args) {
  const env = { ...process.env, MOEGATE_BASE_URL: `${world.url}/v1`, MOEGATE_KEY: world.clientKey, MODEL: world.model };
  const { stdout } = await promisify(execFile)(program, args, { env, timeout: 60_000 });
  assert.match(stdout, TOLD);
}

export const cases = {
  async 'openai-node'(world) {
    await runs(world, process.execPath, ['--import', join(ROOT, 'xtask/node/resolve.mjs'), join(ROOT, 'examples/openai-node/chat.mjs')]);
  },

  async 'openai-python'(world) {
    await runs(world, process.env.MOEGATE_PYTHON ?? 'python3', ['-B', join(ROOT, 'examples/openai-python/chat.py')]);
  },
};
