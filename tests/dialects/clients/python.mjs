// The Python clients: which script plays which, and what it said.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const clients = [
  { name: 'PyPI openai (chat)', format: 'openai-chat', script: 'openai_sdk.py' },
  { name: 'PyPI openai (Responses)', format: 'openai-responses', script: 'openai_sdk.py' },
  { name: 'PyPI anthropic', format: 'anthropic', script: 'anthropic_sdk.py' },
  { name: 'PyPI google-genai', format: 'gemini', script: 'genai_sdk.py' },
  { name: 'PyPI litellm (openai)', format: 'openai-chat', script: 'litellm_sdk.py' },
  { name: 'PyPI litellm (anthropic)', format: 'anthropic', script: 'litellm_sdk.py' },
  // It sends no thoughts back but those that stand in tool calls.
  { name: 'PyPI litellm (gemini)', format: 'gemini', script: 'litellm_sdk.py', forgets: true },
];

/** Speaks the format of an origin that no client speaks to the gateway: straight at its mock only. */
export const boto3 = { name: 'PyPI boto3', format: 'bedrock', script: 'bedrock_sdk.py' };

/** Plays the script's cases in each world (`client` and `name` beside a world's members); `said(line)` gets every result. */
export async function play(script, worlds, said) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.env.MOEGATE_PYTHON ?? 'python3', ['-I', '-B', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, WORLDS: JSON.stringify(worlds) },
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => line.startsWith('{') && said(JSON.parse(line)));
  const code = await new Promise((ended) => child.once('close', ended));
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
}
