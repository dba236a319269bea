// A mock of Anthropic's API. Source: API reference, "Messages", "Count tokens in a Message", "Models", "Errors",
// "Versions" (2023-06-01 and 2026-10-21); guide "Streaming Messages", in whose order the events come.
import { Flaw } from './shape.mjs';
import { blocks, checked, common, counted, Refused, worded } from './anthropic_shapes.mjs';
import { Mock } from './server.mjs';
import { plan, steps } from './script.mjs';

export const KEY = 'sk-ant-mock';
const VERSIONS = ['2023-06-01', '2026-10-21'];
/** `adaptive`: takes adaptive thinking and no prefill; `budget`: takes a thinking budget; `sampling`: takes temperature and its like. */
export const MODELS = {
  'claude-haiku-4-5': { adaptive: false, budget: true, sampling: true },
  'claude-opus-4-6': { adaptive: true, budget: true, sampling: true },
  'claude-sonnet-5-5': { adaptive: true, budget: false, sampling: false },
};

function failed(exchange, error) {
  const known = error instanceof Flaw ? worded(error) : error instanceof Refused ? error : new Refused(500, 'api_error', `The mock failed: ${error.stack}`);
  const id = exchange.mock.id('req_');
  exchange.reply(known.status, { type: 'error', error: { type: known.type, message: known.message }, request_id: id }, { 'request-id': id, ...known.headers });
}

function outage(fail) {
  if (fail === 'overloaded') return new Refused(529, 'overloaded_error', 'Overloaded');
  if (fail === 429) return new Refused(429, 'rate_limit_error', 'This request would exceed the rate limit for your organization of 50 requests per minute.', { 'retry-after': '1' });
  return new Refused(fail, fail < 500 ? 'invalid_request_error' : 'api_error', 'Internal server error');
}

const words = (content) => (typeof content === 'string' ? content : (content ?? []).map((block) => block.text ?? '').join('\n'));
const fileOf = ({ source }) => (source.type === 'base64' ? { media: source.media_type, bytes: Buffer.from(source.data, 'base64').length } : { url: source.url ?? source.file_id });
const filesIn = (content, type) => (typeof content === 'string' ? [] : content ?? []).filter((block) => block.type === type).map(fileOf);

function viewOf(body, signed) {
  const { messages } = body;
  const texts = (one) => blocks(one.content).filter((block) => block.type === 'text');
  const user = messages.findLast((one) => one.role === 'user' && blocks(one.content).some((block) => block.type !== 'tool_result'));
  const names = Object.fromEntries(messages.flatMap((one) => blocks(one.content)).filter((block) => block.type === 'tool_use').map((block) => [block.id, block.name]));
  const last = messages.at(-1);
  // Up to a prefill.
  const asked = last.role === 'assistant' ? messages.slice(0, -1) : messages;
  const after = asked.slice(asked.findLastIndex((one) => one.role === 'assistant') + 1);
  const choice = body.tool_choice ?? { type: 'auto' };
  return {
    prompt: words(user ? texts(user) : ''),
    images: filesIn(user?.content, 'image'),
    files: filesIn(user?.content, 'document'),
    system: words(body.system ?? ''),
    tools: Object.fromEntries((body.tools ?? []).map((one) => [one.name, one.input_schema ?? {}])),
    choice: choice.type === 'tool' ? { name: choice.name } : choice.type,
    parallel: !choice.disable_parallel_tool_use,
    results: after.flatMap((one) => blocks(one.content)).filter((block) => block.type === 'tool_result').map((block) => ({
      name: names[block.tool_use_id], text: words(block.content), images: filesIn(block.content, 'image'),
    })),
    schema: (body.output_config?.format ?? body.output_format)?.schema,
    think: ['enabled', 'adaptive'].includes(body.thinking?.type),
    carried: messages.flatMap((one) => blocks(one.content)).filter((block) => signed.has(block.signature)).length,
    prefill: last.role === 'assistant' ? words(texts(last)) : undefined,
    stop: body.stop_sequences,
    max: body.max_tokens,
  };
}

const STOP = { stop: 'end_turn', tools: 'tool_use', length: 'max_tokens', refusal: 'refusal', stop_sequence: 'stop_sequence' };

const usageOf = ({ usage }) => ({
  input_tokens: usage.input - usage.read - usage.write, cache_creation_input_tokens: usage.write, cache_read_input_tokens: usage.read,
  cache_creation: { ephemeral_5m_input_tokens: usage.write, ephemeral_1h_input_tokens: 0 }, output_tokens: usage.output, service_tier: 'standard', inference_geo: 'global',
});
const spent = ({ usage }) => ({ ...(usage.reasoning > 0 ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}), output_tokens: usage.output });

async function messages(exchange, body, model, signed) {
  checked(body, { ...model, signed, version: exchange.headers['anthropic-version'], beta: exchange.headers['anthropic-beta'] ?? '' });
  const answer = plan(viewOf(body, signed), exchange.mock.force);
  if (answer.fail) throw outage(answer.fail);
  const head = { model: body.model, id: exchange.mock.id('msg_01'), type: 'message', role: 'assistant' };
  let signature;
  if (answer.reasoning) {
    signature = Buffer.from(exchange.mock.id('signed-')).toString('base64');
    signed.set(signature, answer.reasoning);
  }
  const ids = answer.calls.map(() => exchange.mock.id('toolu_01'));
  if (body.stream) return streamed(exchange, answer, head, signature, ids);
  if (answer.fault) return exchange.die();
  const content = [
    ...(answer.reasoning ? [{ type: 'thinking', thinking: answer.reasoning, signature }] : []),
    ...(answer.text ? [{ type: 'text', text: answer.text }] : []),
    ...answer.calls.map((call, index) => ({ type: 'tool_use', id: ids[index], name: call.name, input: call.args })),
  ];
  const usage = { ...usageOf(answer), ...spent(answer) };
  return exchange.reply(200, { ...head, content, stop_reason: STOP[answer.finish], stop_sequence: answer.stopped ?? null, usage }, { 'request-id': exchange.mock.id('req_') });
}

async function streamed(exchange, answer, head, signature, ids) {
  const send = (type, members = {}) => exchange.event({ type, ...members }, type);
  exchange.open('text/event-stream; charset=utf-8', { 'request-id': exchange.mock.id('req_') });
  send('message_start', { message: { ...head, content: [], stop_reason: null, stop_sequence: null, usage: { ...usageOf(answer), output_tokens: 1 } } });
  let index = -1;
  const start = (content_block) => {
    index += 1;
    send('content_block_start', { index, content_block });
    if (index === 0) send('ping');
  };
  const delta = (one) => send('content_block_delta', { index, delta: one });
  for await (const step of steps(answer, exchange)) {
    switch (step.kind) {
      case 'die':
        return exchange.die();
      case 'gone':
        return undefined;
      case 'error':
        send('error', { error: { details: null, type: 'overloaded_error', message: 'Overloaded' }, request_id: exchange.mock.id('req_') });
        return exchange.end();
      case 'reasoning-start':
        start({ type: 'thinking', thinking: '', signature: '' });
        break;
      case 'reasoning':
        delta({ type: 'thinking_delta', thinking: step.piece });
        break;
      case 'text-start':
        start({ type: 'text', text: '' });
        break;
      case 'text':
        delta({ type: 'text_delta', text: step.piece });
        break;
      case 'call-start':
        start({ type: 'tool_use', id: ids[step.index], name: step.call.name, input: {} });
        delta({ type: 'input_json_delta', partial_json: '' });
        break;
      case 'args':
        delta({ type: 'input_json_delta', partial_json: step.piece });
        break;
      default:
        if (step.kind === 'reasoning-end') delta({ type: 'signature_delta', signature });
        send('content_block_stop', { index });
    }
  }
  send('message_delta', { delta: { stop_reason: STOP[answer.finish], stop_sequence: answer.stopped ?? null }, usage: { ...usageOf(answer), ...spent(answer) } });
  send('message_stop');
  return exchange.end();
}

const modelOf = (id) => ({ type: 'model', id, display_name: id, created_at: '2026-02-05T00:00:00Z' });

export function anthropic() {
  const signed = new Map();
  const answer = async (exchange) => {
    const { method, path, headers } = exchange;
    if (headers['x-api-key'] === undefined && headers.authorization === undefined) throw new Refused(401, 'authentication_error', 'x-api-key header is required');
    // Its SDKs sent `x-api-key` up to version 2023-06-01, and since 2026-10-21 the same key as bearer token. The first counts.
    if ((headers['x-api-key'] ?? headers.authorization.replace(/^Bearer /, '')) !== KEY) throw new Refused(401, 'authentication_error', 'invalid x-api-key');
    if (headers['anthropic-version'] === undefined) throw new Refused(400, 'invalid_request_error', 'anthropic-version: header is required');
    if (!VERSIONS.includes(headers['anthropic-version'])) throw new Refused(400, 'invalid_request_error', `anthropic-version: "${headers['anthropic-version']}" is not a valid version`);
    if (method === 'GET' && path === '/v1/models') {
      const ids = Object.keys(MODELS);
      return exchange.reply(200, { data: ids.map(modelOf), has_more: false, first_id: ids[0], last_id: ids.at(-1) });
    }
    if (method === 'GET' && MODELS[/^\/v1\/models\/([^/]+)$/.exec(path)?.[1]]) return exchange.reply(200, modelOf(path.split('/').at(-1)));
    if (method !== 'POST' || !['/v1/messages', '/v1/messages/count_tokens'].includes(path)) throw new Refused(404, 'not_found_error', 'Not found');
    const body = exchange.json();
    if (typeof body !== 'object' || body === null) throw new Refused(400, 'invalid_request_error', 'The request body is not valid JSON');
    if (body.model !== undefined && !MODELS[body.model]) throw new Refused(404, 'not_found_error', `model: ${body.model}`);
    if (path === '/v1/messages') return messages(exchange, body, MODELS[body.model], signed);
    counted(body, []);
    common(body);
    return exchange.reply(200, { input_tokens: 40 });
  };
  return new Mock('anthropic', { answer, failed });
}
