// A mock of Amazon Bedrock's runtime: Converse and ConverseStream. Source: Amazon Bedrock API Reference, "Converse",
// "ConverseStream" (ConverseStreamOutput's events, in the order of the User Guide's "Use the Converse API"), "Common
// Errors"; auth by Signature Version 4, or by a Bedrock API key as bearer token (User Guide, "API keys").
import { Flaw } from './shape.mjs';
import { checked, Refused, worded } from './bedrock_shapes.mjs';
import { event, exception } from './eventstream.mjs';
import { Mock } from './server.mjs';
import { plan, steps } from './script.mjs';
import { verify } from './sigv4.mjs';

export const CREDENTIALS = { accessKey: 'AKIAMOCK', secretKey: 'mock-secret', region: 'us-east-1', service: 'bedrock' };
export const KEY = 'bedrock-api-key-mock';
export const MODELS = ['us.anthropic.claude-sonnet-4-5-20250929-v1:0'];

function failed(exchange, error) {
  const known = error instanceof Flaw ? worded(error) : error instanceof Refused ? error : new Refused(500, 'InternalServerException', `The mock failed: ${error.stack}`);
  exchange.reply(known.status, { message: known.message }, { 'x-amzn-errortype': known.type, 'x-amzn-requestid': exchange.mock.id('') });
}

function outage(fail) {
  if (fail === 'overloaded') return new Refused(503, 'ServiceUnavailableException', 'Bedrock is unable to process your request.');
  if (fail === 429) return new Refused(429, 'ThrottlingException', 'Too many requests, please wait before trying again.');
  return new Refused(fail, fail < 500 ? 'ValidationException' : 'InternalServerException', 'The system encountered an unexpected error during processing. Try your request again.');
}

function authenticate(exchange) {
  const given = exchange.headers.authorization;
  if (given === undefined) throw new Refused(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token');
  if (given.startsWith('Bearer ')) {
    if (given !== `Bearer ${KEY}`) throw new Refused(403, 'AccessDeniedException', 'Authentication failed: Please make sure your API Key is valid.');
    return;
  }
  const flaw = verify(exchange, CREDENTIALS);
  if (flaw) throw new Refused(403, flaw.type, flaw.message);
}

const sizeOf = (source) => (source.bytes === undefined ? { url: source.s3Location?.uri } : { bytes: Buffer.from(source.bytes, 'base64').length });
const imagesIn = (content) => (content ?? []).filter((one) => one.image).map(({ image }) => ({ media: `image/${image.format}`, ...sizeOf(image.source) }));
const MEDIA = { pdf: 'application/pdf', txt: 'text/plain', md: 'text/markdown', csv: 'text/csv', html: 'text/html' };
const filesIn = (content) => (content ?? []).filter((one) => one.document).map(({ document }) => ({ media: MEDIA[document.format] ?? document.format, ...sizeOf(document.source) }));
const textOf = (content) => (content ?? []).map((one) => one.text ?? (one.json === undefined ? '' : JSON.stringify(one.json))).filter(Boolean).join('\n');

function viewOf(body, signed) {
  const { messages, toolConfig } = body;
  const user = messages.findLast((one) => one.role === 'user' && one.content.some((block) => !block.toolResult && !block.cachePoint));
  const names = Object.fromEntries(messages.flatMap((one) => one.content).filter((one) => one.toolUse).map(({ toolUse }) => [toolUse.toolUseId, toolUse.name]));
  const last = messages.at(-1);
  const given = last.role === 'assistant' ? messages.at(-2) : last;
  const choice = toolConfig?.toolChoice ?? { auto: {} };
  const schema = body.outputConfig?.textFormat?.structure.jsonSchema.schema;
  return {
    prompt: textOf(user?.content),
    images: imagesIn(user?.content),
    files: filesIn(user?.content),
    system: textOf(body.system),
    tools: Object.fromEntries((toolConfig?.tools ?? []).filter((one) => one.toolSpec).map(({ toolSpec }) => [toolSpec.name, toolSpec.inputSchema.json])),
    choice: choice.tool ?? Object.keys(choice)[0],
    results: given.content.filter((one) => one.toolResult).map(({ toolResult }) => ({ name: names[toolResult.toolUseId], text: textOf(toolResult.content), images: imagesIn(toolResult.content) })),
    schema: schema === undefined ? undefined : JSON.parse(schema),
    think: body.additionalModelRequestFields?.thinking?.type === 'enabled',
    carried: messages.flatMap((one) => one.content).filter((one) => signed.has(one.reasoningContent?.reasoningText?.signature)).length,
    prefill: last.role === 'assistant' ? textOf(last.content) : undefined,
    stop: body.inferenceConfig?.stopSequences,
    max: body.inferenceConfig?.maxTokens,
  };
}

const STOP = { stop: 'end_turn', tools: 'tool_use', length: 'max_tokens', refusal: 'content_filtered', stop_sequence: 'stop_sequence' };
const METRICS = { latencyMs: 42 };

const usageOf = ({ usage }) => ({
  inputTokens: usage.input - usage.read - usage.write, outputTokens: usage.output, totalTokens: usage.input + usage.output,
  cacheReadInputTokens: usage.read, cacheWriteInputTokens: usage.write,
});

function whole(exchange, answer, signature, ids) {
  if (answer.fault) return exchange.die();
  const content = [
    ...(answer.reasoning ? [{ reasoningContent: { reasoningText: { text: answer.reasoning, signature } } }] : []),
    ...(answer.text ? [{ text: answer.text }] : []),
    ...answer.calls.map((call, index) => ({ toolUse: { toolUseId: ids[index], name: call.name, input: call.args } })),
  ];
  return exchange.reply(200, { metrics: METRICS, output: { message: { role: 'assistant', content } }, stopReason: STOP[answer.finish], usage: usageOf(answer) });
}

async function streamed(exchange, answer, signature, ids) {
  // Each event is padded by a member `p` of changing length, as the service does.
  const send = (type, value) => exchange.write(event(type, { ...value, p: 'abcdefghijklmnop'.slice(0, 1 + (JSON.stringify(value).length % 15)) }));
  exchange.open('application/vnd.amazon.eventstream', { 'x-amzn-requestid': exchange.mock.id('') });
  send('messageStart', { role: 'assistant' });
  let contentBlockIndex = -1;
  const delta = (one) => send('contentBlockDelta', { contentBlockIndex, delta: one });
  for await (const step of steps(answer, exchange)) {
    switch (step.kind) {
      case 'die':
        return exchange.die();
      case 'gone':
        return undefined;
      case 'error':
        exchange.write(exception('modelStreamErrorException', { message: 'The model stopped in the middle of its answer.', originalStatusCode: 500, originalMessage: 'overloaded' }));
        return exchange.end();
      case 'reasoning-start':
      case 'text-start':
        contentBlockIndex += 1; // Only tool use has a start event.
        break;
      case 'reasoning':
        delta({ reasoningContent: { text: step.piece } });
        break;
      case 'text':
        delta({ text: step.piece });
        break;
      case 'call-start':
        contentBlockIndex += 1;
        send('contentBlockStart', { contentBlockIndex, start: { toolUse: { toolUseId: ids[step.index], name: step.call.name } } });
        break;
      case 'args':
        delta({ toolUse: { input: step.piece } });
        break;
      default:
        if (step.kind === 'reasoning-end') delta({ reasoningContent: { signature } });
        send('contentBlockStop', { contentBlockIndex });
    }
  }
  send('messageStop', { stopReason: STOP[answer.finish] });
  send('metadata', { metrics: METRICS, usage: usageOf(answer) });
  return exchange.end();
}

export function bedrock() {
  const signed = new Map();
  const answer = async (exchange) => {
    authenticate(exchange);
    const [, name, verb] = /^\/model\/([^/]+)\/(converse|converse-stream)$/.exec(exchange.rawPath) ?? [];
    if (!name || exchange.method !== 'POST') throw new Refused(404, 'UnknownOperationException', `${exchange.method} ${exchange.path}`);
    if (!MODELS.includes(decodeURIComponent(name))) throw new Refused(400, 'ValidationException', 'The provided model identifier is invalid.');
    const body = exchange.json();
    if (typeof body !== 'object' || body === null) throw new Refused(400, 'SerializationException', 'The request body is not JSON.');
    checked(body, signed);
    const planned = plan(viewOf(body, signed), exchange.mock.force);
    if (planned.fail) throw outage(planned.fail);
    let signature;
    if (planned.reasoning) {
      signature = Buffer.from(exchange.mock.id('signed-')).toString('base64');
      signed.set(signature, planned.reasoning);
    }
    const ids = planned.calls.map(() => exchange.mock.id('tooluse_', 22));
    return (verb === 'converse' ? whole : streamed)(exchange, planned, signature, ids);
  };
  return new Mock('bedrock', { answer, failed });
}
