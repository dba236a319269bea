// SDKs with their defaults: what a developer sees of one question, as `{ text }`, `{ text, error }` or `{ error }`.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { variable } from '../gateway.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const PROMPT = 'Good morning';
const MESSAGES = [{ role: 'user', content: PROMPT }];

/** An error as it reaches the developer; of the AI SDK's retries the last one has status and code. */
function shown(error) {
  const last = error.lastError ?? error;
  const data = last.data ?? last;
  return {
    class: error.name.startsWith('AI_') ? error.name : error.constructor.name,
    status: last.statusCode ?? last.status, code: data.error?.code ?? data.code, message: error.message,
  };
}

async function openaiNode({ url, key, model, stream }) {
  const client = new OpenAI({ apiKey: key, baseURL: url });
  if (!stream) return { text: (await client.chat.completions.create({ model, messages: MESSAGES })).choices[0].message.content };
  let text = '';
  for await (const chunk of await client.chat.completions.create({ model, messages: MESSAGES, stream })) {
    text += chunk.choices[0]?.delta?.content ?? '';
  }
  return { text };
}

/** A loop over a stream of the AI SDK ends without an exception; what went wrong comes to `onError`. */
const vercel = (provider) => async ({ url, key, model, stream }) => {
  const settings = { model: provider(url, key)(model), prompt: PROMPT };
  if (!stream) return { text: (await generateText(settings)).text };
  const told = [];
  const result = streamText({ ...settings, onError: ({ error }) => told.push(error) });
  let text = '';
  for await (const delta of result.textStream) text += delta;
  const last = await Promise.all([result.text, result.finishReason]).then(
    ([, reason]) => (reason === 'error' ? '`finishReason` is `error`' : undefined),
    (error) => `\`await text\` throws \`${shown(error).class}\``,
  );
  if (!told.length && !last) return { text };
  return { text, error: { ...shown(told[0]), finish: last } };
};

/** OpenAI's SDK for Python, in a process that stays: what it takes to start is no part of what is measured. */
export class Python {
  #jobs = new Map();
  #next = 0;
  #child;

  async start() {
    const script = fileURLToPath(new URL('openai_sdk.py', import.meta.url));
    this.#child = spawn(variable('MOEGATE_PYTHON', 'wake'), ['-I', '-B', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    return new Promise((started, failed) => {
      this.#child.once('exit', (code) => failed(new Error(`openai_sdk.py ended with ${code}`)));
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        const said = JSON.parse(line);
        if (said.version) started();
        else this.#jobs.get(said.id)(said);
      });
    });
  }

  ask = (job) => new Promise((done) => {
    const id = this.#next += 1;
    this.#jobs.set(id, done);
    this.#child.stdin.write(`${JSON.stringify({ id, ...job })}\n`);
  });
}

/** By their names in URLs: `ask({ url, key, model, stream })` gives what is seen. */
export const sdks = (python) => ({
  python: { title: 'openai (Python)', ask: python.ask },
  node: { title: 'openai (Node)', ask: openaiNode },
  compatible: {
    title: 'AI SDK, `@ai-sdk/openai-compatible`',
    ask: vercel((baseURL, apiKey) => createOpenAICompatible({ name: 'moegate', baseURL, apiKey })),
  },
  openai: { title: 'AI SDK, `@ai-sdk/openai`', ask: vercel((baseURL, apiKey) => createOpenAI({ baseURL, apiKey }).chat) },
});

/** What a developer sees, never an exception. */
export async function seen(sdk, job) {
  const began = Date.now();
  const { text, error } = await sdk.ask(job).catch((error) => ({ error: shown(error) }));
  return { text, error, began, ended: Date.now() };
}
