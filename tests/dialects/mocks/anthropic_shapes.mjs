// The body of Anthropic's `POST /v1/messages` and `/v1/messages/count_tokens`, and its rules. Source: API reference,
// "Messages" > "Create a Message" and "Count tokens in a Message"; guides "Tool use", "Extended thinking" (thinking
// blocks come back unchanged in a tool loop), "Prompt caching", "Structured outputs", "Vision".
import { any, array, base64, boolean, filled, Flaw, integer, json, matching, nullable, number, object, oneOf, string, tagged, textOr } from './shape.mjs';

/** An answer that is an error: HTTP status, and `error.type` and `error.message` of the body. */
export class Refused extends Error {
  constructor(status, type, message, headers = {}) {
    super(message);
    Object.assign(this, { status, type, headers });
  }
}
const bad = (message) => {
  throw new Refused(400, 'invalid_request_error', message);
};

/** A flaw of the body in the service's words. */
export function worded({ kind, path, detail }) {
  const at = path.join('.');
  if (kind === 'missing') return new Refused(400, 'invalid_request_error', `${at}: Field required`);
  if (kind === 'unknown') return new Refused(400, 'invalid_request_error', `${at}: Extra inputs are not permitted`);
  if (kind === 'type') return new Refused(400, 'invalid_request_error', `${at}: Input should be ${detail.expected.replace('a ', 'a valid ').replace('an object', 'an object')}`);
  if (detail.allowed) {
    const tag = path.at(-1) === 'type' ? `Input tag '${detail.found}' found using 'type' does not match any of the expected tags: ` : 'Input should be ';
    return new Refused(400, 'invalid_request_error', `${at}: ${tag}${detail.allowed.map((one) => `'${one}'`).join(', ')}`);
  }
  if (detail.pattern) return new Refused(400, 'invalid_request_error', `${at}: String should match pattern '${detail.pattern}'`);
  if (detail.empty) return new Refused(400, 'invalid_request_error', `${at}: String should have at least 1 character`);
  if (detail.items !== undefined) return new Refused(400, 'invalid_request_error', `${at}: at least ${detail.items} item is required`);
  if (detail.least > detail.found) return new Refused(400, 'invalid_request_error', `${at}: Input should be greater than or equal to ${detail.least}`);
  if (detail.most < detail.found) return new Refused(400, 'invalid_request_error', `${at}: Input should be less than or equal to ${detail.most}`);
  return new Refused(400, 'invalid_request_error', `${at}: Invalid value ${JSON.stringify(detail)}`);
}

const cache = nullable(object({ type: oneOf('ephemeral') }, { ttl: oneOf('5m', '1h') }));
const text = object({ type: any, text: string }, { cache_control: cache, citations: nullable(array(json)) });
const imageType = oneOf('image/jpeg', 'image/png', 'image/gif', 'image/webp');
const source = (media) => tagged('type', {
  base64: object({ type: any, media_type: media, data: base64 }),
  url: object({ type: any, url: matching(/^https?:\/\//) }),
  file: object({ type: any, file_id: filled }),
});
const image = object({ type: any, source: source(imageType) }, { cache_control: cache, transformations: any });
const document = object(
  { type: any, source: (value, path) => (value?.type === 'text' ? object({ type: any, media_type: oneOf('text/plain'), data: string })(value, path) : source(oneOf('application/pdf'))(value, path)) },
  { cache_control: cache, citations: nullable(object({}, { enabled: boolean })), context: nullable(string), title: nullable(string) },
);
const toolUse = object({ type: any, id: matching(/^[a-zA-Z0-9_-]+$/), name: filled, input: json }, { cache_control: cache, caller: any });
const toolResult = object(
  { type: any, tool_use_id: matching(/^[a-zA-Z0-9_-]+$/) },
  { content: textOr(array(tagged('type', { text, image, document }))), is_error: boolean, cache_control: cache },
);
const thinking = object({ type: any, thinking: string, signature: string });
const userBlock = tagged('type', { text, image, document, tool_result: toolResult });
const assistantBlock = tagged('type', { text, tool_use: toolUse, thinking, redacted_thinking: object({ type: any, data: string }) });
const message = tagged('role', {
  system: object({ role: any, content: textOr(array(tagged('type', { text }))) }),
  user: object({ role: any, content: textOr(array(userBlock)) }),
  assistant: object({ role: any, content: textOr(array(assistantBlock)) }),
});
const tool = (value, path) => (value?.type === undefined || value.type === null || value.type === 'custom' ? object(
  { name: matching(/^[a-zA-Z0-9_-]{1,128}$/), input_schema: (schema, at) => {
    json(schema, at);
    if (schema.type === undefined) throw new Flaw('missing', [...at, 'type']);
    oneOf('object')(schema.type, [...at, 'type']);
  } },
  { type: any, description: string, cache_control: cache, strict: boolean, eager_input_streaming: nullable(boolean), defer_loading: boolean, input_examples: array(json), allowed_callers: array(string) },
)(value, path) : matching(/^(bash|text_editor|web_search|web_fetch|code_execution|computer|memory)_\d{8}$/)(value.type, [...path, 'type']));
const choice = tagged('type', {
  auto: object({ type: any }, { disable_parallel_tool_use: boolean }),
  any: object({ type: any }, { disable_parallel_tool_use: boolean }),
  tool: object({ type: any, name: string }, { disable_parallel_tool_use: boolean }),
  none: object({ type: any }),
});
const display = nullable(oneOf('summarized', 'omitted'));
const shared = {
  cache_control: cache,
  output_config: object({}, { effort: nullable(oneOf('low', 'medium', 'high', 'xhigh', 'max')), format: nullable(object({ type: oneOf('json_schema'), schema: json })) }),
  system: textOr(array(tagged('type', { text }))),
  thinking: tagged('type', {
    enabled: object({ type: any, budget_tokens: integer(1024) }, { display }),
    disabled: object({ type: any }),
    adaptive: object({ type: any }, { display }),
    between_tools: object({ type: any }, { display }),
  }),
  tool_choice: choice,
  tools: array(tool),
};
export const counted = object({ model: string, messages: array(message, 1) }, shared);
const request = object({ model: string, max_tokens: integer(1), messages: array(message, 1) }, {
  ...shared,
  // As it was named in beta (`anthropic-beta: structured-outputs-2025-11-13`).
  output_format: object({ type: oneOf('json_schema'), schema: json }),
  container: nullable(any), inference_geo: nullable(string), metadata: object({}, { user_id: nullable(string) }), service_tier: oneOf('auto', 'standard_only'), speed: nullable(oneOf('standard', 'fast')),
  stop_sequences: array(string), stream: boolean, temperature: number(0, 1), top_k: integer(0), top_p: number(0, 1),
});

const blocks = (content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content);

function pairing(messages) {
  let open = [];
  for (const [index, one] of messages.entries()) {
    const results = blocks(one.content).filter((block) => block.type === 'tool_result').map((block) => block.tool_use_id);
    const lacking = open.filter((id) => !results.includes(id));
    if (lacking.length > 0) {
      bad(`messages.${index - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${lacking.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`);
    }
    for (const [at, id] of results.entries()) {
      if (open.includes(id)) continue;
      bad(`messages.${index}.content.${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`);
    }
    open = blocks(one.content).filter((block) => block.type === 'tool_use').map((block) => block.id);
    if (new Set(open).size < open.length) bad(`messages.${index}: \`tool_use\` ids must be unique`);
  }
  if (open.length > 0) bad(`messages.${messages.length - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`);
}

function contents(messages) {
  for (const [index, one] of messages.entries()) {
    const last = index === messages.length - 1;
    if (one.content.length === 0 && !(last && one.role === 'assistant')) bad(`messages.${index}: all messages must have non-empty content except for the optional final assistant message`);
    if (typeof one.content !== 'string' && one.content.some((block) => block.type === 'text' && block.text === '')) bad('messages: text content blocks must be non-empty');
  }
  const final = messages.at(-1);
  const tail = blocks(final.content).at(-1);
  if (final.role === 'assistant' && tail?.type === 'text' && /\s$/.test(tail.text)) bad('messages: final assistant content cannot end with trailing whitespace');
}

/** Thinking blocks: whole, as they were signed, and there where a tool loop is under way. `signed`: signature to text. */
function thoughts(body, signed) {
  const { messages, thinking: mode } = body;
  for (const [index, one] of messages.entries()) {
    for (const [at, block] of blocks(one.content).entries()) {
      if (block.type === 'thinking' && signed.get(block.signature) !== block.thinking) bad(`messages.${index}.content.${at}: Invalid \`signature\` in \`thinking\` block`);
    }
  }
  if (!mode || mode.type === 'disabled') return;
  const loop = messages.findLastIndex((one) => one.role === 'assistant');
  const begun = blocks(messages[loop]?.content ?? []);
  const inLoop = begun.some((block) => block.type === 'tool_use') && loop === messages.length - 2;
  if (mode.type === 'enabled' && inLoop && !['thinking', 'redacted_thinking'].includes(begun[0].type)) {
    bad(`messages.${loop}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${begun[0].type}\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a thinking block (preceeding the lastmost set of \`tool_use\` and \`tool_result\` blocks). We recommend you include thinking blocks from previous turns. To avoid this requirement, disable \`thinking\`.`);
  }
}

function closed(schema) {
  if (schema?.type === 'object' && schema.additionalProperties !== false) bad("output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false");
  for (const one of Object.values(schema?.properties ?? {})) closed(one);
  if (schema?.items) closed(schema.items);
}

/** Throws what is wrong. `adaptive`, `budget` and `sampling`: what the model takes. */
export function checked(body, { adaptive, budget, sampling, signed, version, beta }) {
  if (body.output_format !== undefined && !beta.includes('structured-outputs-2025-11-13')) throw new Flaw('unknown', ['output_format']);
  const sampled = ['temperature', 'top_p', 'top_k'].find((name) => body[name] !== undefined);
  if (sampled && version === '2026-10-21') throw new Flaw('unknown', [sampled]);
  request(body, []);
  common(body);
  const { thinking: mode } = body;
  if (mode?.type === 'adaptive' && !adaptive) bad('adaptive thinking is not supported on this model');
  if (mode?.type === 'enabled' && !budget) bad('"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.');
  if (sampled && !sampling) bad(`\`${sampled}\` is not supported on this model.`);
  if (mode?.type === 'enabled' && body.max_tokens <= mode.budget_tokens) bad('`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size');
  if (mode && mode.type !== 'disabled') {
    if (body.temperature !== undefined && body.temperature !== 1) bad('`temperature` may only be set to 1 when thinking is enabled.');
    if (body.top_k !== undefined) bad('`top_k` must be unset when thinking is enabled.');
    if (['any', 'tool'].includes(body.tool_choice?.type)) bad('Thinking may not be enabled when tool_choice forces tool use.');
  }
  if (body.temperature !== undefined && body.top_p !== undefined) bad('`temperature` and `top_p` cannot both be specified for this model. Please use only one.');
  if (adaptive && body.messages.at(-1).role === 'assistant') bad('This model does not support assistant message prefill. The conversation must end with a user message.');
  contents(body.messages);
  pairing(body.messages);
  thoughts(body, signed);
  const format = body.output_config?.format ?? body.output_format;
  if (format) closed(format.schema);
}

function common(body) {
  if (body.messages[0].role !== 'user') bad('messages: first message must use the "user" role');
  const names = (body.tools ?? []).map((one) => one.name);
  if (new Set(names).size < names.length) bad('tools: Tool names must be unique.');
  if (body.tool_choice && names.length === 0) bad('tool_choice may only be specified while providing tools.');
  if (body.tool_choice?.type === 'tool' && !names.includes(body.tool_choice.name)) bad(`Tool '${body.tool_choice.name}' not found in provided tools`);
  const used = body.messages.some((one) => blocks(one.content).some((block) => ['tool_use', 'tool_result'].includes(block.type)));
  if (used && names.length === 0) bad('Requests which include `tool_use` or `tool_result` blocks must define tools.');
  const marks = JSON.stringify(body).split('"cache_control":{').length - 1;
  if (marks > 4) bad(`A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`);
  if (Array.isArray(body.system) && body.system.some((block) => block.text === '')) bad('system: text content blocks must be non-empty');
}

export { blocks, common };
