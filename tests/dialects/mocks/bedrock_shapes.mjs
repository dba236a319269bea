// The body of Amazon Bedrock's Converse and ConverseStream, and its rules. Source: Amazon Bedrock API Reference,
// "Converse", "ConverseStream" and the data types they name (Message, ContentBlock, ToolConfiguration, OutputConfig, …);
// User Guide, "Call a tool with the Converse API" and "Carry out a conversation with the Converse API operations".
// The service passes over members that it does not know; this mock refuses them, for nobody should send one.
import { any, array, base64, boolean, Flaw, integer, json, map, matching, number, object, oneOf, string, union } from './shape.mjs';

/** An answer that is an error: HTTP status, the exception's name, a message. */
export class Refused extends Error {
  constructor(status, type, message) {
    super(message);
    Object.assign(this, { status, type });
  }
}
const bad = (message) => {
  throw new Refused(400, 'ValidationException', message);
};

/** A flaw of the body in the service's words. */
export function worded({ kind, path, detail }) {
  const at = path.join('.');
  const constraint = (value, rule) => new Refused(400, 'ValidationException', `1 validation error detected: Value ${value} at '${at}' failed to satisfy constraint: ${rule}`);
  if (kind === 'missing') return constraint('null', 'Member must not be null');
  if (kind === 'unknown') return new Refused(400, 'ValidationException', `The mock knows no member ${at}`);
  if (kind === 'type') return new Refused(400, 'SerializationException', `${at}: expected ${detail.expected}, found ${detail.found}`);
  if (detail.allowed) return constraint(`'${detail.found}'`, `Member must satisfy enum value set: [${detail.allowed.join(', ')}]`);
  if (detail.exactly) return new Refused(400, 'ValidationException', `${at}: a union has exactly one member, found ${detail.found.join(', ') || 'none'}`);
  if (detail.least > detail.found) return constraint(`'${detail.found}'`, `Member must have value greater than or equal to ${detail.least}`);
  return constraint(`'${JSON.stringify(detail.found)}'`, JSON.stringify(detail));
}

const cachePoint = object({ type: oneOf('default') }, { ttl: oneOf('5m', '1h') });
const s3Location = object({ uri: string }, { bucketOwner: string });
const source = union({ bytes: base64, s3Location });
const image = object({ format: oneOf('png', 'jpeg', 'gif', 'webp'), source });
const document = object(
  { name: matching(/^[a-zA-Z0-9\s\-()[\]]{1,200}$/), source: union({ bytes: base64, s3Location, text: string, content: array(json) }) },
  { format: oneOf('pdf', 'csv', 'doc', 'docx', 'xls', 'xlsx', 'html', 'txt', 'md'), context: string, citations: object({ enabled: boolean }) },
);
const toolUse = object({ toolUseId: matching(/^[a-zA-Z0-9_.:-]{1,64}$/), name: matching(/^[a-zA-Z0-9_-]{1,64}$/), input: json }, { type: oneOf('server_tool_use') });
const toolResult = object(
  { toolUseId: matching(/^[a-zA-Z0-9_.:-]{1,64}$/), content: array(union({ json, text: string, image, document, video: json, searchResult: json })) },
  { status: oneOf('success', 'error'), type: string },
);
const reasoningContent = union({ reasoningText: object({ text: string }, { signature: string }), redactedContent: base64 });
const block = union({ text: string, image, document, video: json, audio: json, toolUse, toolResult, guardContent: json, cachePoint, reasoningContent, citationsContent: json, searchResult: json });
const toolSpec = object({ name: matching(/^[a-zA-Z0-9_-]{1,64}$/), inputSchema: union({ json }) }, { description: matching(/^[^]+$/), strict: boolean });
const request = object({ messages: array(object({ role: oneOf('user', 'assistant'), content: array(block, 1) }), 1) }, {
  system: array(union({ text: matching(/^[^]+$/), guardContent: json, cachePoint })),
  inferenceConfig: object({}, { maxTokens: integer(1), temperature: number(0, 1), topP: number(0, 1), stopSequences: array(matching(/^[^]+$/)) }),
  toolConfig: object({ tools: array(union({ toolSpec, systemTool: json, cachePoint }), 1) }, { toolChoice: union({ auto: object({}), any: object({}), tool: object({ name: string }) }) }),
  guardrailConfig: json, additionalModelRequestFields: json, promptVariables: json, additionalModelResponseFieldPaths: array(string), requestMetadata: map(string),
  performanceConfig: object({}, { latency: oneOf('standard', 'optimized') }), serviceTier: object({ type: oneOf('priority', 'default', 'flex', 'reserved') }),
  outputConfig: object({}, {
    textFormat: object({ type: oneOf('json_schema'), structure: union({ jsonSchema: object({ schema: string }, { name: string, description: string }) }) }), effort: string,
  }),
});

/** What goes to the model itself (here: Claude) beside Converse's members. */
const extra = object({}, {
  thinking: (value, path) => object({ type: oneOf('enabled', 'disabled') }, { budget_tokens: integer(1024) })(value, path),
  top_k: integer(0), anthropic_beta: array(string), output_config: any, tool_choice: any,
});

function pairing(messages) {
  let open = [];
  const due = (index) => {
    if (open.length > 0) bad(`Expected toolResult blocks at messages.${index}.content for the following Ids: ${open.join(', ')}, but found: none`);
  };
  for (const [index, { role, content }] of messages.entries()) {
    if (index > 0 && messages[index - 1].role === role) bad(`A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.`);
    const results = content.filter((one) => one.toolResult).map((one) => one.toolResult.toolUseId);
    if (results.some((id) => !open.includes(id))) bad(`The number of toolResult blocks at messages.${index}.content exceeds the number of toolUse blocks of previous turn.`);
    open = open.filter((id) => !results.includes(id));
    due(index);
    open = content.filter((one) => one.toolUse).map((one) => one.toolUse.toolUseId);
    for (const [at, one] of content.entries()) {
      if (one.text !== undefined && one.text.trim() === '') bad(`The text field in the ContentBlock object at messages.${index}.content.${at} is blank. Add text to the text field, and try again.`);
      const here = one.toolUse || one.reasoningContent ? 'assistant' : one.toolResult || one.image || one.document ? 'user' : role;
      if (here !== role) bad(`User messages cannot contain ${Object.keys(one)[0]} and assistant messages no results, images or documents: messages.${index}.content.${at}`);
    }
  }
  due(messages.length);
}

/** Throws what is wrong. `signed`: signature to the reasoning it stands for. */
export function checked(body, signed) {
  request(body, []);
  const { messages, toolConfig, additionalModelRequestFields: more } = body;
  if (more) extra(more, ['additionalModelRequestFields']);
  if (messages[0].role !== 'user') bad('A conversation must start with a user message. Try again with a conversation that starts with a user message.');
  pairing(messages);
  const blocks = messages.flatMap((one) => one.content);
  if (!toolConfig && blocks.some((one) => one.toolUse || one.toolResult)) bad('The toolConfig field must be defined when using toolUse and toolResult content blocks.');
  const thinks = more?.thinking?.type === 'enabled';
  if (thinks && body.inferenceConfig?.maxTokens !== undefined && body.inferenceConfig.maxTokens <= more.thinking.budget_tokens) {
    bad('The model returned the following errors: `max_tokens` must be greater than `thinking.budget_tokens`.');
  }
  for (const { reasoningContent: one } of blocks) {
    if (one?.reasoningText && signed.get(one.reasoningText.signature) !== one.reasoningText.text) bad('The model returned the following errors: Invalid `signature` in `thinking` block');
  }
  const loop = messages.at(-2);
  if (thinks && loop?.content.some((one) => one.toolUse) && !loop.content[0].reasoningContent) {
    bad('The model returned the following errors: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block.');
  }
  const names = (toolConfig?.tools ?? []).filter((one) => one.toolSpec).map((one) => one.toolSpec.name);
  const forced = toolConfig?.toolChoice?.tool?.name;
  if (forced && !names.includes(forced)) bad(`The tool choice names '${forced}', which toolConfig does not have.`);
  if (thinks && (forced || toolConfig?.toolChoice?.any)) bad('The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use.');
  const schema = body.outputConfig?.textFormat?.structure.jsonSchema.schema;
  if (schema === undefined) return;
  try {
    JSON.parse(schema);
  } catch {
    throw new Flaw('value', ['outputConfig', 'textFormat', 'structure', 'jsonSchema', 'schema'], { found: schema, json: true });
  }
}
