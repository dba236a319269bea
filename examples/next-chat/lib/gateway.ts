import { getVercelOidcToken } from '@vercel/oidc';
import { createGateway } from 'ai';
import type { Told } from './told';

/** Without `/v4/ai`. */
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

/** It asks for the credential before each request. */
export const provider = createGateway({ baseURL: `${url}/v4/ai`, apiKey: credential });

type Attempt = { provider: string; providerApiModelId: string };
type Routed = { cost?: string; generationId?: string; routing?: { attempts?: Attempt[] } };

/** Adds what the gateway says of an answer, or of a step of a tool loop, to what it has told. */
export function add(told: Told, metadata: unknown): void {
  const { cost, generationId, routing } = (metadata as { gateway?: Routed } | undefined)?.gateway ?? {};
  told.requestId = generationId?.replace(/^gen_/, '') ?? told.requestId;
  if (cost !== undefined) told.cost = (told.cost ?? 0) + Number(cost);
  const last = routing?.attempts?.at(-1);
  if (!last) return;
  told.origin = last.provider;
  told.model = last.providerApiModelId;
  told.attempts = (told.attempts ?? 0) + (routing?.attempts?.length ?? 0);
}

/** The models that the key may use: those that chat, and those that draw. */
export async function models(): Promise<{ chat: string[]; image: string[] }> {
  const { models } = await provider.getAvailableModels();
  const of = (type: string) => models.filter(({ modelType }) => (modelType ?? 'language') === type).map(({ id }) => id);
  return { chat: of('language'), image: of('image') };
}

/** An error in words for the app's user: the gateway's own where it answered. */
export function worded(error: unknown): string {
  const { name, message } = (error ?? {}) as { name?: string; message?: unknown };
  if (name === 'TypeError' || typeof message !== 'string') return typeof error === 'string' ? error : 'The answer broke off.';
  return message;
}
