// The mock providers, and what a client needs to talk to each.
import * as anthropic from './mocks/anthropic.mjs';
import * as bedrock from './mocks/bedrock.mjs';
import * as gemini from './mocks/gemini.mjs';
import * as openai from './mocks/openai.mjs';

/** By origin name: the mock, its port in moegate.toml, and what its worlds have in common (see clients/common.mjs). */
export const PROVIDERS = {
  openai: { make: () => openai.openai(), port: 28731, apiKey: openai.KEY, wrongKey: 'sk-proj-wrong-key', model: 'gpt-5-mini' },
  vllm: { make: () => openai.openai('vllm'), port: 28732, apiKey: openai.KEY, wrongKey: 'sk-proj-wrong-key', model: 'Qwen/Qwen3-8B' },
  anthropic: { make: anthropic.anthropic, port: 28733, apiKey: anthropic.KEY, wrongKey: 'sk-ant-wrong', model: 'claude-haiku-4-5' },
  gemini: { make: gemini.gemini, port: 28734, apiKey: gemini.KEY, wrongKey: 'AIza-wrong', model: 'gemini-3-flash-preview' },
  bedrock: { make: bedrock.bedrock, port: 28735, apiKey: `${bedrock.CREDENTIALS.accessKey}:${bedrock.CREDENTIALS.secretKey}`, wrongKey: 'AKIAWRONG:x', model: bedrock.MODELS[0] },
};

/** What the gateway is given to reach them. */
export const SECRETS = {
  OPENAI_KEY: openai.KEY,
  VLLM_KEY: openai.KEY,
  ANTHROPIC_KEY: anthropic.KEY,
  GEMINI_KEY: gemini.KEY,
  AWS_ACCESS_KEY_ID: bedrock.CREDENTIALS.accessKey,
  AWS_SECRET_ACCESS_KEY: bedrock.CREDENTIALS.secretKey,
};

/** For each format that a client speaks: the provider whose own it is, and what holds there. */
export const HOME = {
  'openai-chat': { provider: 'openai', reasoning: 'counted' },
  'openai-responses': { provider: 'openai', reasoning: 'signed' },
  'openai-compatible': { provider: 'vllm', reasoning: 'shown' },
  anthropic: { provider: 'anthropic', reasoning: 'signed' },
  gemini: { provider: 'gemini', reasoning: 'signed', statuses: { key: 400, model: 404 } },
  bedrock: { provider: 'bedrock', reasoning: 'signed' },
};

/** Starts every mock, at moegate.toml's ports or at any. */
export async function start({ fixed }) {
  const mocks = {};
  for (const [name, { make, port }] of Object.entries(PROVIDERS)) mocks[name] = await make().start(fixed ? port : 0);
  return mocks;
}
