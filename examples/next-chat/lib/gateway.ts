import { createOpenAICompatible, type MetadataExtractor } from '@ai-sdk/openai-compatible';
import { getVercelOidcToken } from '@vercel/oidc';
import { APICallError, type JSONValue, type LanguageModelUsage } from 'ai';
import type { Told } from './told';

/** Without `/v1`. */
const url = (process.env.MOEGATE_URL ?? 'http://127.0.0.1:8787').replace(/\/+$/, '');

/**
 * On Vercel the deployment's own short-lived token, made out to the gateway alone; the gateway's configuration says which
 * project and environment it takes. Elsewhere a client key from the environment.
 */
async function credential(): Promise<string> {
  if (process.env.MOEGATE_KEY) return process.env.MOEGATE_KEY;
  if (process.env.VERCEL) return getVercelOidcToken({ audience: url });
  throw new Error('MOEGATE_KEY is not set: copy .env.example to .env.local and put the key there that `cargo xtask run` prints');
}

type Choice = { moegate?: { origin?: string; model?: string; attempts?: JSONValue[] } };

/** A stream that another origin went on with says so on its last event; its headers are those of the first origin. */
const metadataExtractor: MetadataExtractor = {
  extractMetadata: async () => undefined,
  createStreamExtractor: () => {
    let last: Choice['moegate'];
    return {
      processChunk: (chunk) => {
        last = (chunk as Choice | undefined)?.moegate ?? last;
      },
      buildMetadata: () => (last ? { moegate: last } : undefined),
    };
  },
};

/** For one request of the app: the provider, and what the gateway has told of the answers so far. */
export function openGateway() {
  const told: Told = {};
  let atHead = 0;
  const provider = createOpenAICompatible({
    name: 'moegate',
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
    metadataExtractor,
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers);
      headers.set('authorization', `Bearer ${await credential()}`);
      const response = await fetch(input, { ...init, headers });
      told.requestId = response.headers.get('x-moegate-request-id') ?? told.requestId;
      told.origin = response.headers.get('x-moegate-origin') ?? told.origin;
      told.model = response.headers.get('x-moegate-model') ?? told.model;
      atHead = Number(response.headers.get('x-moegate-attempts') ?? 0);
      told.attempts = (told.attempts ?? 0) + atHead;
      const cost = response.headers.get('x-moegate-cost');
      if (cost !== null) told.cost = (told.cost ?? 0) + Number(cost);
      return response;
    },
  });
  /** For each step of a stream that has come to its end: its cost stands on its last event, not in a header. */
  const streamed = (usage: LanguageModelUsage, metadata: unknown) => {
    const { cost } = (usage.raw ?? {}) as { cost?: number };
    if (cost !== undefined) told.cost = (told.cost ?? 0) + cost;
    const last = (metadata as Choice | undefined)?.moegate;
    if (!last) return;
    told.origin = last.origin ?? told.origin;
    told.model = last.model ?? told.model;
    // Those since the head were not counted yet.
    told.attempts = (told.attempts ?? 0) - atHead + (last.attempts?.length ?? atHead);
  };
  return { provider, told, streamed };
}

/** The models that the key may use: those that chat, and those that draw. */
export async function models(): Promise<{ chat: string[]; image: string[] }> {
  const headers = { authorization: `Bearer ${await credential()}` };
  const response = await fetch(`${url}/v1/models`, { headers, cache: 'no-store' });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error?.message ?? `the gateway answered ${response.status}`);
  const ids: string[] = body.data.map((model: { id: string }) => model.id);
  const image = ids.filter((id) => /image/.test(id));
  return { chat: ids.filter((id) => !/image|embedding/.test(id)), image };
}

/** An error in words for the app's user: the gateway's own where it answered. */
export function worded(error: unknown): string {
  if (APICallError.isInstance(error) && error.responseBody !== undefined) return error.message;
  if (error instanceof Error && error.message.startsWith('MOEGATE_KEY')) return error.message;
  // Where a stream breaks off the gateway says so in an error event, which is no exception of the SDK's own.
  const message = (error as { message?: unknown } | null)?.message ?? error;
  return typeof message === 'string' ? message : 'The answer broke off.';
}
