// A mock of OpenAI's API, and, with `flavour: 'vllm'`, of a server that speaks its dialect. Source: API reference,
// "Authentication", "Models", "Embeddings", "Moderations"; chat and Responses in the files beside.
import { array, integer, object, oneOf, string, textOr } from './shape.mjs';
import { chat } from './openai_chat.mjs';
import { failed, Refused } from './openai_errors.mjs';
import { memory, responses } from './openai_responses.mjs';
import { Mock } from './server.mjs';

export const KEY = 'sk-proj-mock';
export const MODELS = {
  openai: { 'gpt-5-mini': { reasons: true }, 'gpt-4.1-mini': { reasons: false }, 'text-embedding-3-small': { embeds: 1536 }, 'omni-moderation-latest': {} },
  vllm: { 'Qwen/Qwen3-8B': { reasons: true }, 'BAAI/bge-reranker-v2-m3': { ranks: true } },
};

const embeddingsRequest = object(
  { input: textOr(array(string, 1)), model: string },
  { dimensions: integer(1, 1536), encoding_format: oneOf('float', 'base64'), user: string },
  { nulls: true },
);

export function embeddings(exchange, body, { embeds }) {
  embeddingsRequest(body, []);
  const inputs = [body.input].flat();
  const length = body.dimensions ?? embeds;
  const data = inputs.map((text, index) => {
    const vector = Float32Array.from({ length }, (_, at) => Math.fround(((text.length + at) % 7) / 7));
    const embedding = body.encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  exchange.reply(200, { object: 'list', data, model: body.model, usage: { prompt_tokens: 8, total_tokens: 8 } });
}

const rerankRequest = object(
  { documents: array(string, 1), model: string, query: string },
  { top_n: integer(0, 1000), user: string },
  { nulls: true },
);

/** vLLM's, https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#re-rank-api: by the words that a document shares with the query. */
export function rerank(exchange, body) {
  rerankRequest(body, []);
  const words = (text) => new Set(text.toLowerCase().match(/\w+/g));
  const query = words(body.query);
  const results = body.documents.map((text, index) => {
    const own = words(text);
    const shared = [...query].filter((word) => own.has(word)).length;
    return { index, document: { text, multi_modal: null }, relevance_score: shared / Math.max(1, query.size) };
  });
  results.sort((one, other) => other.relevance_score - one.relevance_score || one.index - other.index);
  const tokens = 4 * body.documents.length;
  exchange.reply(200, { id: exchange.mock.id('rerank-'), model: body.model, usage: { prompt_tokens: tokens, total_tokens: tokens }, results: results.slice(0, body.top_n || undefined) });
}

function moderations(exchange, body) {
  object({ input: textOr(array(string, 1)) }, { model: string })(body, []);
  const one = { flagged: false, categories: { violence: false }, category_scores: { violence: 0.01 }, category_applied_input_types: { violence: ['text'] } };
  exchange.reply(200, { id: exchange.mock.id('modr-'), model: body.model ?? 'omni-moderation-latest', results: [body.input].flat().map(() => one) });
}

function authenticate(exchange) {
  const given = exchange.headers.authorization;
  if (given === undefined) {
    const message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
    throw new Refused(401, message);
  }
  if (given === `Bearer ${KEY}`) return;
  const shown = given.replace(/^Bearer /, '').replace(/^(.{5}).*(.{4})$/, '$1***$2');
  const message = `Incorrect API key provided: ${shown}. You can find your API key at https://platform.openai.com/account/api-keys.`;
  throw new Refused(401, message, { code: 'invalid_api_key' });
}

/** `flavour`: `openai` or `vllm`. */
export function openai(flavour = 'openai') {
  const models = MODELS[flavour];
  const known = memory();
  const vllm = flavour === 'vllm';
  const model = (id) => ({ id, object: 'model', created: 1_790_000_000, owned_by: vllm ? 'vllm' : 'system' });
  const posts = { '/v1/chat/completions': chat, ...(vllm ? { '/v1/rerank': rerank } : { '/v1/responses': responses, '/v1/embeddings': embeddings, '/v1/moderations': moderations }) };
  const unknown = (name) => new Refused(404, `The model \`${name}\` does not exist or you do not have access to it.`, { code: 'model_not_found' });
  const answer = async (exchange) => {
    authenticate(exchange);
    if (exchange.method === 'GET' && exchange.path === '/v1/models') return exchange.reply(200, { object: 'list', data: Object.keys(models).map(model) });
    const named = exchange.method === 'GET' && /^\/v1\/models\/(.+)$/.exec(exchange.path)?.[1];
    if (named) {
      if (!models[named]) throw unknown(named);
      return exchange.reply(200, model(named));
    }
    const serve = exchange.method === 'POST' && posts[exchange.path];
    if (!serve) throw new Refused(404, `Invalid URL (${exchange.method} ${exchange.path})`);
    if (!/^application\/json\b/.test(exchange.headers['content-type'] ?? '')) {
      throw new Refused(400, `Unsupported content type: '${exchange.headers['content-type']}'. This API method only accepts 'application/json' requests.`);
    }
    const body = exchange.json();
    if (typeof body !== 'object' || body === null) throw new Refused(400, 'We could not parse the JSON body of your request. (HINT: This likely means you aren\'t using your HTTP library correctly.)');
    if (body.model === undefined) throw new Refused(400, 'you must provide a model parameter');
    if (!models[body.model]) throw unknown(body.model);
    return serve(exchange, body, { vllm, known, ...models[body.model] });
  };
  return new Mock(flavour, { answer, failed });
}
