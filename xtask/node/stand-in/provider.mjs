// The stand-in provider: an OpenAI-compatible server that needs no account. Its parts are those of the mock providers in
// tests/dialects/mocks, which refuse what OpenAI refuses; what it says is in script.mjs beside.
//
//   /NAME/v1/chat/completions    any model; streamed or not, tools, JSON schemas, stop sequences, limits, usage
//   /NAME/v1/images/generations  a picture of the prompt's words, as base64
//   /NAME/v1/embeddings          the same numbers for the same text
//   /NAME/v1/rerank              by the words that a document shares with the query
//
// Failures by the model's name: `mock/error-NNN` answers with that status, `mock/stall` never answers, `mock/break` breaks the
// connection in the middle. By the prompt's words: "fail 500", "break off".
import { setTimeout as sleep } from 'node:timers/promises';
import { embeddings, rerank } from '../../../tests/dialects/mocks/openai.mjs';
import { chat } from '../../../tests/dialects/mocks/openai_chat.mjs';
import { failed, Refused } from '../../../tests/dialects/mocks/openai_errors.mjs';
import { Mock } from '../../../tests/dialects/mocks/server.mjs';
import { any, integer, object, string } from '../../../tests/dialects/mocks/shape.mjs';
import { png } from './png.mjs';
import { script } from './script.mjs';

const DIMENSIONS = 64;
const GLANCE_MS = 50;
/** Requests that are remembered for `GET /_mock/log`. */
const REMEMBERED = 100;

const imagesRequest = object(
  { model: string, prompt: string },
  { n: integer(1, 10), size: string, quality: string, style: string, response_format: any, output_format: any, background: any, moderation: any, user: string },
  { nulls: true },
);

function images(exchange, body) {
  imagesRequest(body, []);
  const data = Array.from({ length: body.n ?? 1 }, (_, at) => ({ b64_json: png(`${body.prompt}${at || ''}`).toString('base64') }));
  const input = body.prompt.split(/\s+/).length;
  const usage = { input_tokens: input, output_tokens: 0, total_tokens: input, input_tokens_details: { text_tokens: input, image_tokens: 0 } };
  exchange.reply(200, { created: Math.floor(Date.now() / 1000), data, usage });
}

function outage(status, model) {
  const message = `The stand-in provider was asked to fail with ${status} (model ${model}).`;
  const type = { 401: 'invalid_request_error', 429: 'rate_limit_error' }[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error');
  return new Refused(status, message, { type, code: status === 429 ? 'rate_limit_exceeded' : null, headers: status === 429 ? { 'retry-after': '1' } : {} });
}

async function complete(exchange, body) {
  const [, wanted] = /^mock\/(.+)$/.exec(body.model) ?? [];
  const status = /^error-([45]\d\d)$/.exec(wanted ?? '')?.[1];
  if (status) throw outage(Number(status), body.model);
  if (wanted === 'stall') {
    while (!exchange.gone) await sleep(GLANCE_MS);
    return;
  }
  await chat(exchange, body, { vllm: false, reasons: false, script: (view) => script(view, { breaks: wanted === 'break' }) });
}

const POSTS = {
  'chat/completions': complete,
  embeddings: (exchange, body) => embeddings(exchange, body, { embeds: DIMENSIONS }),
  rerank,
  'images/generations': images,
};

async function answer(exchange) {
  const { log } = exchange.mock;
  if (log.length > REMEMBERED) log.shift();
  const endpoint = /^(?:\/[\w-]+)?\/v1\/(.+)$/.exec(exchange.path)?.[1];
  const serve = exchange.method === 'POST' && POSTS[endpoint];
  if (!serve) throw new Refused(404, `The stand-in provider has no ${exchange.method} ${exchange.path}.`);
  const body = exchange.json();
  if (typeof body?.model !== 'string') throw new Refused(400, 'you must provide a model parameter', { param: 'model' });
  await serve(exchange, body);
}

export const standIn = () => new Mock('stand-in', { answer, failed });
