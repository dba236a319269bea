// OpenAI's `POST /v1/chat/completions`. Source: API reference, "Chat Completions" > "Create chat completion", "The chat
// completion object" and "The chat completion chunk object"; guides "Function calling", "Structured Outputs", "Reasoning".
//
// As vLLM (`flavour: 'vllm'`): reasoning is shown as `reasoning`, parameters of its own are taken, and the limits that
// OpenAI sets on its reasoning models do not hold. Source: vLLM's docs, "OpenAI-Compatible Server", "Reasoning Outputs".
import { any, array, boolean, filled, integer, json, map, matching, nullable, number, object, oneOf, string, tagged, textOr } from './shape.mjs';
import { imageOf, named, outage, Refused, strictSchema } from './openai_errors.mjs';
import { plan, steps } from './script.mjs';

const NULLS = { nulls: true };
const textPart = object({ type: any, text: string });
const imagePart = object({ type: any, image_url: object({ url: string }, { detail: oneOf('auto', 'low', 'high', 'original') }) });
const filePart = object({ type: any, file: object({}, { file_data: string, file_id: string, filename: string }) });
const audioPart = object({ type: any, input_audio: object({ data: string, format: oneOf('wav', 'mp3') }) });
const texts = textOr(array(tagged('type', { text: textPart }), 1));
const userParts = textOr(array(tagged('type', { text: textPart, image_url: imagePart, file: filePart, input_audio: audioPart }), 1));
const assistantParts = textOr(array(tagged('type', { text: textPart, refusal: object({ type: any, refusal: string }) }), 1));
const functionName = matching(/^[a-zA-Z0-9_-]{1,64}$/);
const toolCall = tagged('type', {
  function: object({ id: matching(/^.{1,40}$/), type: any, function: object({ name: functionName, arguments: string }) }),
  custom: object({ id: filled, type: any, custom: object({ name: string, input: string }) }),
});

const message = (vllm) => tagged('role', {
  developer: object({ role: any, content: texts }, { name: string }, NULLS),
  system: object({ role: any, content: texts }, { name: string }, NULLS),
  user: object({ role: any, content: userParts }, { name: string }, NULLS),
  assistant: object(
    { role: any },
    { content: assistantParts, refusal: string, name: string, tool_calls: array(toolCall, 1), function_call: json, audio: json, annotations: array(json), ...(vllm ? { reasoning: string, reasoning_content: string } : {}) },
    // vLLM passes over members that it does not know (its ChatCompletionMessageParam is a plain TypedDict).
    { ...NULLS, others: vllm },
  ),
  tool: object({ role: any, content: texts, tool_call_id: matching(/^.{1,40}$/) }, { name: string }, NULLS),
  function: object({ role: any, name: string, content: nullable(string) }),
});

const tool = tagged('type', {
  function: object({ type: any, function: object({ name: functionName }, { description: string, parameters: json, strict: boolean }, NULLS) }),
  custom: object({ type: any, custom: json }),
});
const format = tagged('type', {
  text: object({ type: any }),
  json_object: object({ type: any }),
  json_schema: object({ type: any, json_schema: object({ name: functionName }, { description: string, schema: json, strict: boolean }, NULLS) }),
});
const choice = (value, path) => (typeof value === 'string' ? oneOf('none', 'auto', 'required')(value, path) : tagged('type', {
  function: object({ type: any, function: object({ name: string }) }),
  allowed_tools: object({ type: any, allowed_tools: json }),
  custom: object({ type: any, custom: json }),
})(value, path));

const ofVllm = {
  top_k: integer(-1), min_p: number(0, 1), repetition_penalty: number(0), chat_template_kwargs: json, structured_outputs: json, continue_final_message: boolean,
  add_generation_prompt: boolean, ignore_eos: boolean, min_tokens: integer(0), include_reasoning: boolean, stop_token_ids: array(integer()),
};
const request = (vllm) => object(
  { model: string, messages: array(message(vllm), 1) },
  {
    audio: json, frequency_penalty: number(-2, 2), function_call: any, functions: array(json), logit_bias: map(number(-100, 100)), logprobs: boolean,
    max_completion_tokens: integer(1), max_tokens: integer(1), metadata: map(string), modalities: array(oneOf('text', 'audio')), moderation: any, n: integer(1, 128),
    parallel_tool_calls: boolean, prediction: json, presence_penalty: number(-2, 2), prompt_cache_key: string, prompt_cache_options: json,
    prompt_cache_retention: oneOf('in_memory', '24h'), reasoning_effort: oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'), response_format: format,
    safety_identifier: string, seed: integer(), service_tier: oneOf('auto', 'default', 'flex', 'scale', 'priority', 'fast'), stop: textOr(array(string)), store: boolean, stream: boolean,
    stream_options: object({}, { include_usage: boolean, include_obfuscation: boolean }, NULLS), temperature: number(0, 2), tool_choice: choice, tools: array(tool, 1),
    top_logprobs: integer(0, 20), top_p: number(0, 1), user: string, verbosity: oneOf('low', 'medium', 'high'), web_search_options: json, ...(vllm ? ofVllm : {}),
  },
  NULLS,
);

const textOf = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? part.refusal ?? '').join(''));

/** Every tool call is answered, and nothing answers a call that is not there. */
function pairing(messages) {
  let open = new Set();
  for (const [index, one] of messages.entries()) {
    if (one.role === 'tool') {
      if (!open.delete(one.tool_call_id)) {
        const param = `messages.[${index}].role`;
        throw new Refused(400, "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.", { param });
      }
      continue;
    }
    if (open.size > 0) break;
    open = new Set((one.tool_calls ?? []).map((call) => call.id));
  }
  if (open.size > 0) {
    const message = `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...open].join(', ')}`;
    throw new Refused(400, message, { param: 'messages' });
  }
}

/** What reasoning models refuse. Guide "Reasoning models" and "Using GPT-5" > "Parameter compatibility". */
export function limits(body, reasons) {
  if (!reasons) return;
  if (body.max_tokens != null) {
    const message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    throw new Refused(400, message, { param: 'max_tokens', code: 'unsupported_parameter' });
  }
  for (const param of ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty']) {
    const usual = param.endsWith('penalty') ? 0 : 1;
    if (body[param] == null || body[param] === usual) continue;
    const message = `Unsupported value: '${param}' does not support ${body[param]} with this model. Only the default (${usual}) value is supported.`;
    throw new Refused(400, message, { param, code: 'unsupported_value' });
  }
  for (const param of ['logprobs', 'top_logprobs', 'logit_bias', 'stop']) {
    if (body[param] == null) continue;
    throw new Refused(400, `Unsupported parameter: '${param}' is not supported with this model.`, { param, code: 'unsupported_parameter' });
  }
}

function rules(body) {
  pairing(body.messages);
  const tools = body.tools ?? [];
  for (const [index, { function: one }] of tools.entries()) {
    if (one?.strict) strictSchema(one.parameters, one.name, `tools[${index}].function.parameters`);
  }
  if (body.tool_choice != null && tools.length === 0) throw new Refused(400, "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", { param: 'tool_choice' });
  if (body.parallel_tool_calls != null && tools.length === 0) throw new Refused(400, "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.", { param: 'parallel_tool_calls' });
  const forced = body.tool_choice?.function?.name;
  if (forced && !tools.some((one) => one.function?.name === forced)) throw new Refused(400, `Invalid value for 'tool_choice': no function named '${forced}' was specified in the 'tools' parameter.`, { param: 'tool_choice' });
  if (body.stream_options != null && !body.stream) throw new Refused(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", { param: 'stream_options' });
  if (body.top_logprobs != null && !body.logprobs) throw new Refused(400, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", { param: 'top_logprobs' });
  const { type, json_schema: shape } = body.response_format ?? {};
  if (type === 'json_schema' && shape.strict) strictSchema(shape.schema, shape.name, 'response_format');
  if (type === 'json_object' && !/json/i.test(JSON.stringify(body.messages))) throw new Refused(400, "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.", { param: 'messages' });
}

function viewOf(body, reasons) {
  const { messages } = body;
  const lastUser = messages.findLastIndex((one) => one.role === 'user');
  const lastAssistant = messages.findLastIndex((one) => one.role === 'assistant');
  const names = Object.fromEntries(messages.flatMap((one) => one.tool_calls ?? []).map((call) => [call.id, call.function?.name]));
  const parts = typeof messages[lastUser]?.content === 'string' ? [] : messages[lastUser]?.content ?? [];
  const last = messages.at(-1);
  return {
    prompt: parts.length > 0 ? parts.filter((part) => part.type === 'text').map((part) => part.text).join('\n') : textOf(messages[lastUser]?.content),
    images: parts.filter((part) => part.type === 'image_url').map((part, index) => imageOf(part.image_url.url, named(['messages', lastUser, 'content', index, 'image_url', 'url']))),
    files: parts.filter((part) => part.type === 'file' && part.file.file_data).map(({ file }) => {
      const [, media, data] = /^data:([^;]+);base64,(.*)$/s.exec(file.file_data) ?? [];
      return { media, bytes: Buffer.from(data ?? '', 'base64').length };
    }),
    system: messages.filter((one) => ['system', 'developer'].includes(one.role)).map((one) => textOf(one.content)).join('\n'),
    tools: Object.fromEntries((body.tools ?? []).filter((one) => one.function).map((one) => [one.function.name, one.function.parameters ?? {}])),
    choice: body.tool_choice?.function ?? { required: 'any' }[body.tool_choice] ?? body.tool_choice ?? 'auto',
    parallel: body.parallel_tool_calls ?? true,
    results: messages.slice(lastAssistant + 1).filter((one) => one.role === 'tool').map((one) => ({ name: names[one.tool_call_id], text: textOf(one.content), images: [] })),
    schema: body.response_format?.json_schema?.schema ?? (body.response_format?.type === 'json_object' ? { type: 'object' } : undefined),
    think: reasons,
    carried: 0,
    prefill: last.role === 'assistant' && !last.tool_calls ? textOf(last.content) : undefined,
    stop: [body.stop ?? []].flat(),
    max: body.max_completion_tokens ?? body.max_tokens ?? undefined,
  };
}

const FINISH = { stop: 'stop', tools: 'tool_calls', length: 'length', refusal: 'stop', stop_sequence: 'stop' };

function usageOf({ usage }) {
  return {
    prompt_tokens: usage.input, completion_tokens: usage.output, total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.read, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: usage.reasoning, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
  };
}

/** `reasons`: the model reasons by itself. `script`: what is answered. */
export async function chat(exchange, body, { vllm, reasons, script = plan }) {
  request(vllm)(body, []);
  if (!vllm) limits(body, reasons);
  rules(body);
  const answer = script(viewOf(body, reasons), exchange.mock.force);
  if (answer.fail) throw outage(answer.fail);
  const head = { id: exchange.mock.id('chatcmpl-'), object: 'chat.completion', created: 1_790_000_000, model: body.model, service_tier: 'default', system_fingerprint: 'fp_mock' };
  const ids = answer.calls.map(() => exchange.mock.id('call_'));
  if (body.stream) return streamed(exchange, body, answer, { ...head, object: 'chat.completion.chunk' }, ids, vllm);
  const refusal = answer.finish === 'refusal' ? answer.text : null;
  const message = { role: 'assistant', content: refusal || !answer.text ? null : answer.text, refusal, annotations: [] };
  if (vllm && answer.reasoning) message.reasoning = answer.reasoning;
  if (ids.length > 0) message.tool_calls = answer.calls.map((call, index) => ({ id: ids[index], type: 'function', function: { name: call.name, arguments: JSON.stringify(call.args) } }));
  if (answer.fault) return exchange.die();
  const forced = body.tool_choice?.function && ids.length > 0;
  return exchange.reply(200, { ...head, choices: [{ index: 0, message, logprobs: null, finish_reason: forced ? 'stop' : FINISH[answer.finish] }], usage: usageOf(answer) });
}

async function streamed(exchange, body, answer, head, ids, vllm) {
  const usage = body.stream_options?.include_usage ? { usage: null } : {};
  const hidden = !vllm && body.stream_options?.include_obfuscation !== false;
  const send = (delta, finish_reason = null) => {
    exchange.event({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason }], ...usage, ...(hidden ? { obfuscation: 'Xq3' } : {}) });
  };
  exchange.open('text/event-stream; charset=utf-8', { 'x-request-id': exchange.mock.id('req_') });
  const refusal = answer.finish === 'refusal';
  // A message of calls alone begins with the first call; every other with an empty piece.
  const bare = !answer.text && ids.length > 0;
  if (!bare || (vllm && answer.reasoning)) send({ role: 'assistant', content: refusal ? null : '', refusal: refusal ? '' : null });
  for await (const step of steps(answer, exchange)) {
    if (step.kind === 'die') return exchange.die();
    if (step.kind === 'gone') return undefined;
    if (step.kind === 'error') {
      exchange.event({ error: { message: 'The server had an error while processing your request. Sorry about that!', type: 'server_error', param: null, code: null } });
      return exchange.end();
    }
    if (step.kind === 'reasoning' && vllm) send({ reasoning: step.piece });
    if (step.kind === 'text') send(refusal ? { refusal: step.piece } : { content: step.piece });
    if (step.kind === 'call-start') {
      const call = { index: step.index, id: ids[step.index], type: 'function', function: { name: step.call.name, arguments: '' } };
      send({ ...(bare && step.index === 0 ? { role: 'assistant', content: null } : {}), tool_calls: [call] });
    }
    if (step.kind === 'args') send({ tool_calls: [{ index: step.index, function: { arguments: step.piece } }] });
  }
  send({}, body.tool_choice?.function && ids.length > 0 ? 'stop' : FINISH[answer.finish]);
  if (body.stream_options?.include_usage) exchange.event({ ...head, choices: [], usage: usageOf(answer), ...(hidden ? { obfuscation: '' } : {}) });
  exchange.event('[DONE]');
  return exchange.end();
}
