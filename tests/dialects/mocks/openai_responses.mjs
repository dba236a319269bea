// OpenAI's `POST /v1/responses`. Source: API reference, "Responses" > "The response object" and "Streaming events", in
// whose order the events come; guide "Streaming API responses".
import { limits } from './openai_chat.mjs';
import { imageOf, outage } from './openai_errors.mjs';
import { itemsOf } from './openai_responses_shapes.mjs';
import { plan, steps } from './script.mjs';

/** What the service remembers: stored items and responses, the reasoning it sealed, and which item needs which reasoning. */
export const memory = () => ({ items: new Map(), responses: new Map(), sealed: new Set(), needs: new Map() });

const textOf = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? part.refusal ?? '').join('\n'));
const isOutput = (one) => one.role === 'assistant' || ['function_call', 'reasoning'].includes(one.type);
const filesIn = (content) => (Array.isArray(content) ? content : []).filter((part) => part.type === 'input_file' && part.file_data).map((part) => {
  const [, media, data] = /^data:([^;]+);base64,(.*)$/s.exec(part.file_data) ?? [];
  return { media, bytes: Buffer.from(data ?? '', 'base64').length };
});
const imagesIn = (content) => (Array.isArray(content) ? content : []).filter((part) => part.type === 'input_image').map((part) => imageOf(part.image_url, 'input'));

function viewOf(body, items, reasons, known) {
  const user = items.findLast((one) => one.role === 'user');
  const calls = Object.fromEntries(items.filter((one) => one.type === 'function_call').map((one) => [one.call_id, one.name]));
  const after = items.slice(items.findLastIndex(isOutput) + 1);
  const last = items.at(-1);
  return {
    prompt: textOf(user?.content),
    images: imagesIn(user?.content),
    files: filesIn(user?.content),
    system: [body.instructions ?? [], items.filter((one) => ['system', 'developer'].includes(one.role)).map((one) => textOf(one.content))].flat().join('\n'),
    tools: Object.fromEntries((body.tools ?? []).filter((one) => one.type === 'function').map((one) => [one.name, one.parameters ?? {}])),
    choice: body.tool_choice?.name ? { name: body.tool_choice.name } : { required: 'any' }[body.tool_choice] ?? body.tool_choice ?? 'auto',
    parallel: body.parallel_tool_calls ?? true,
    results: after.filter((one) => one.type === 'function_call_output').map((one) => ({
      name: calls[one.call_id], text: textOf(one.output), images: imagesIn(one.output),
    })),
    schema: body.text?.format?.schema ?? (body.text?.format?.type === 'json_object' ? { type: 'object' } : undefined),
    think: reasons,
    carried: items.filter((one) => one.type === 'reasoning' && (known.sealed.has(one.encrypted_content) || known.items.has(one.id))).length,
    prefill: last.role === 'assistant' ? textOf(last.content) : undefined,
    max: body.max_output_tokens ?? undefined,
  };
}

const usageOf = ({ usage }) => ({
  input_tokens: usage.input, input_tokens_details: { cached_tokens: usage.read, cache_write_tokens: 0 },
  output_tokens: usage.output, output_tokens_details: { reasoning_tokens: usage.reasoning }, total_tokens: usage.input + usage.output,
});

/** Every item of the output, finished, in its order. */
function outputOf(mock, body, answer, known) {
  const output = [];
  if (answer.reasoning) {
    const summary = body.reasoning?.summary ? [{ type: 'summary_text', text: answer.reasoning }] : [];
    const item = { id: mock.id('rs_'), type: 'reasoning', summary };
    if (body.include?.includes('reasoning.encrypted_content')) {
      item.encrypted_content = Buffer.from(mock.id('sealed-')).toString('base64');
      known.sealed.add(item.encrypted_content);
    }
    output.push(item);
  }
  if (answer.text) {
    const part = answer.finish === 'refusal' ? { type: 'refusal', refusal: answer.text } : { type: 'output_text', annotations: [], logprobs: [], text: answer.text };
    const status = answer.finish === 'length' ? 'incomplete' : 'completed';
    output.push({ id: mock.id('msg_'), type: 'message', status, content: [part], phase: answer.calls.length > 0 ? 'commentary' : 'final_answer', role: 'assistant' });
  }
  for (const call of answer.calls) {
    output.push({ id: mock.id('fc_'), type: 'function_call', status: 'completed', arguments: JSON.stringify(call.args), call_id: mock.id('call_'), name: call.name });
  }
  const [first, second] = output;
  if (first?.type === 'reasoning' && second) known.needs.set(second.id, first.id);
  return output;
}

function responseOf(mock, body, reasons) {
  const usual = reasons ? { temperature: 1, top_p: 1 } : { temperature: body.temperature ?? 1, top_p: body.top_p ?? 1 };
  return {
    id: mock.id('resp_'), object: 'response', created_at: 1_790_000_000, status: 'in_progress', background: false, completed_at: null, error: null, incomplete_details: null,
    instructions: body.instructions ?? null, max_output_tokens: body.max_output_tokens ?? null, max_tool_calls: null, model: body.model, output: [],
    parallel_tool_calls: body.parallel_tool_calls ?? true, previous_response_id: body.previous_response_id ?? null, prompt_cache_key: body.prompt_cache_key ?? null,
    reasoning: { effort: body.reasoning?.effort ?? (reasons ? 'medium' : null), summary: body.reasoning?.summary ?? null }, safety_identifier: null, service_tier: 'default',
    store: body.store ?? true, ...usual, text: { format: body.text?.format ?? { type: 'text' }, verbosity: body.text?.verbosity ?? 'medium' },
    tool_choice: body.tool_choice ?? 'auto', tools: body.tools ?? [], top_logprobs: 0, truncation: body.truncation ?? 'disabled', usage: null, user: null, metadata: body.metadata ?? {},
  };
}

export async function responses(exchange, body, { reasons, known }) {
  const items = itemsOf(body, known);
  limits(body, reasons);
  const answer = plan(viewOf(body, items, reasons, known), exchange.mock.force);
  if (answer.fail) throw outage(answer.fail);
  const response = responseOf(exchange.mock, body, reasons);
  const output = outputOf(exchange.mock, body, answer, known);
  const finished = { ...response, status: 'completed', completed_at: 1_790_000_001, output, usage: usageOf(answer) };
  if (answer.finish === 'length') Object.assign(finished, { status: 'incomplete', completed_at: null, incomplete_details: { reason: 'max_output_tokens' } });
  if (response.store) {
    for (const one of output) known.items.set(one.id, one);
    known.responses.set(response.id, [...items, ...output]);
  }
  if (body.stream) return streamed(exchange, body, answer, response, finished);
  return answer.fault ? exchange.die() : exchange.reply(200, finished, { 'x-request-id': exchange.mock.id('req_') });
}

async function streamed(exchange, body, answer, response, finished) {
  let sequence = 0;
  const send = (type, members) => {
    exchange.event({ type, sequence_number: sequence, ...members }, type);
    sequence += 1;
  };
  exchange.open('text/event-stream; charset=utf-8', { 'x-request-id': exchange.mock.id('req_') });
  send('response.created', { response });
  send('response.in_progress', { response });
  const hidden = body.stream_options?.include_obfuscation === false ? {} : { obfuscation: 'Xq3' };
  const refusal = answer.finish === 'refusal';
  const kind = refusal ? 'refusal' : 'output_text';
  const { output } = finished;
  let at = -1;
  const place = () => ({ item_id: output[at].id, output_index: at });
  const added = (item) => {
    at += 1;
    send('response.output_item.added', { output_index: at, item });
  };
  const done = () => send('response.output_item.done', { output_index: at, item: output[at] });
  const piece = (text) => (refusal ? { type: 'refusal', refusal: text } : { type: 'output_text', annotations: [], logprobs: [], text });
  for await (const step of steps(answer, exchange)) {
    const shown = output[at]?.summary?.length > 0;
    switch (step.kind) {
      case 'die':
        return exchange.die();
      case 'gone':
        return undefined;
      case 'error': {
        const error = { code: 'server_error', message: 'The server had an error processing your request. Sorry about that!' };
        send('response.failed', { response: { ...response, status: 'failed', error } });
        return exchange.end();
      }
      case 'reasoning-start':
        added({ ...output[0], summary: [] });
        if (output[0].summary.length > 0) send('response.reasoning_summary_part.added', { ...place(), summary_index: 0, part: { type: 'summary_text', text: '' } });
        break;
      case 'reasoning':
        if (shown) send('response.reasoning_summary_text.delta', { ...place(), summary_index: 0, delta: step.piece, ...hidden });
        break;
      case 'reasoning-end':
        if (shown) {
          send('response.reasoning_summary_text.done', { ...place(), summary_index: 0, text: step.text });
          send('response.reasoning_summary_part.done', { ...place(), summary_index: 0, part: { type: 'summary_text', text: step.text } });
        }
        done();
        break;
      case 'text-start':
        added({ ...output[at + 1], status: 'in_progress', content: [] });
        send('response.content_part.added', { ...place(), content_index: 0, part: piece('') });
        break;
      case 'text':
        send(`response.${kind}.delta`, { ...place(), content_index: 0, delta: step.piece, ...(refusal ? {} : { logprobs: [] }), ...hidden });
        break;
      case 'text-end':
        send(`response.${kind}.done`, { ...place(), content_index: 0, ...(refusal ? { refusal: step.text } : { text: step.text, logprobs: [] }) });
        send('response.content_part.done', { ...place(), content_index: 0, part: piece(step.text) });
        done();
        break;
      case 'call-start':
        added({ ...output[at + 1], status: 'in_progress', arguments: '' });
        break;
      case 'args':
        send('response.function_call_arguments.delta', { ...place(), delta: step.piece, ...hidden });
        break;
      default:
        send('response.function_call_arguments.done', { ...place(), arguments: step.args });
        done();
    }
  }
  send(finished.status === 'incomplete' ? 'response.incomplete' : 'response.completed', { response: finished });
  return exchange.end();
}
