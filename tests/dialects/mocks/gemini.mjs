// A mock of the Gemini API (v1beta, and v1, which Google's SDK for Node asks by now). Source: Gemini API reference, "Generating content" (generateContent,
// streamGenerateContent, GenerateContentResponse), "Counting tokens", "Models", and guide "Troubleshooting" for errors.
// Streams are server-sent events with `?alt=sse` and else one JSON array, in pieces.
import { Flaw } from './shape.mjs';
import { camelised, checked, Refused, request, worded } from './gemini_shapes.mjs';
import { Mock } from './server.mjs';
import { plan, steps } from './script.mjs';

export const KEY = 'AIza-mock';
/** `signs`: the model signs its function calls and demands the signatures back, as from Gemini 3 on. */
export const MODELS = { 'gemini-3-flash-preview': { signs: true }, 'gemini-2.5-flash': { signs: false } };

const errorOf = ({ code, status, message, details }) => ({ error: { code, message, status, ...(details ? { details } : {}) } });

function failed(exchange, error) {
  const known = error instanceof Flaw ? worded(error) : error instanceof Refused ? error : new Refused(500, 'INTERNAL', `The mock failed: ${error.stack}`);
  exchange.reply(known.code, errorOf(known), { 'content-type': 'application/json; charset=UTF-8' });
}

function outage(fail) {
  if (fail === 'overloaded') return new Refused(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.');
  if (fail === 429) {
    return new Refused(429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota, please check your plan and billing details.', [
      { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '1s' },
    ]);
  }
  return new Refused(fail, fail < 500 ? 'INVALID_ARGUMENT' : 'INTERNAL', 'An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting');
}

const isImage = (mime) => (mime ?? '').startsWith('image/');
function filesIn(parts, images) {
  return (parts ?? []).flatMap((part) => {
    const { inlineData: inline, fileData: file } = part;
    if (inline && isImage(inline.mimeType) === images) return [{ media: inline.mimeType, bytes: Buffer.from(inline.data, 'base64').length }];
    if (file && isImage(file.mimeType) === images) return [{ media: file.mimeType, url: file.fileUri }];
    return [];
  });
}
const textOf = (parts) => (parts ?? []).map((part) => (part.thought ? '' : part.text ?? '')).filter(Boolean).join('\n');

function viewOf(body, signed) {
  const { contents, generationConfig: config = {} } = body;
  const user = contents.findLast((one) => one.role !== 'model' && one.parts.some((part) => !part.functionResponse));
  const last = contents.at(-1);
  // What the model has said of its answer already does not hide the results that it was given.
  const given = last.role === 'model' ? contents.at(-2) ?? last : last;
  const declarations = (body.tools ?? []).flatMap((one) => one.functionDeclarations ?? []);
  const calling = body.toolConfig?.functionCallingConfig ?? {};
  const forced = calling.allowedFunctionNames?.length === 1 ? { name: calling.allowedFunctionNames[0] } : 'any';
  return {
    prompt: textOf(user?.parts),
    images: filesIn(user?.parts, true),
    files: filesIn(user?.parts, false),
    system: textOf(body.systemInstruction?.parts),
    tools: Object.fromEntries(declarations.map((one) => [one.name, one.parametersJsonSchema ?? one.parameters ?? {}])),
    choice: { ANY: forced, NONE: 'none' }[calling.mode] ?? 'auto',
    results: given.parts.filter((part) => part.functionResponse).map(({ functionResponse: one }) => ({
      name: one.name, text: typeof one.response.output === 'string' ? one.response.output : JSON.stringify(one.response), images: filesIn(one.parts, true),
    })),
    schema: config.responseJsonSchema ?? config.responseSchema ?? (config.responseMimeType === 'application/json' ? { type: 'object' } : undefined),
    think: config.thinkingConfig?.includeThoughts === true,
    carried: contents.flatMap((one) => one.parts).filter((part) => signed.has(part.thoughtSignature)).length,
    prefill: last.role === 'model' ? textOf(last.parts) : undefined,
    stop: config.stopSequences,
    max: config.maxOutputTokens ?? undefined,
  };
}

const FINISH = { stop: 'STOP', tools: 'STOP', length: 'MAX_TOKENS', refusal: 'SAFETY', stop_sequence: 'STOP' };

const usageOf = ({ usage }, done) => ({
  promptTokenCount: usage.input, cachedContentTokenCount: usage.read, ...(done ? { candidatesTokenCount: usage.output - usage.reasoning } : {}),
  totalTokenCount: usage.input + (done ? usage.output : 0), promptTokensDetails: [{ modality: 'TEXT', tokenCount: usage.input }],
  ...(usage.reasoning > 0 ? { thoughtsTokenCount: usage.reasoning } : {}),
});

/** The parts in their order, with what makes each one whole: a function call comes in one piece. */
async function* partsOf(answer, exchange, model, signed) {
  const sign = () => {
    const signature = Buffer.from(exchange.mock.id('signed-')).toString('base64');
    signed.add(signature);
    return signature;
  };
  for await (const step of steps(answer, exchange)) {
    if (['die', 'gone', 'error'].includes(step.kind)) {
      yield step;
      return;
    }
    if (step.kind === 'reasoning') yield { part: { text: step.piece, thought: true } };
    if (step.kind === 'text') yield { part: { text: step.piece } };
    if (step.kind === 'text-end' && answer.reasoning && answer.calls.length === 0) yield { part: { text: '', thoughtSignature: sign() } };
    if (step.kind === 'call-end') {
      const functionCall = { name: step.call.name, args: step.call.args, ...(model.signs ? { id: exchange.mock.id('', 8) } : {}) };
      yield { part: { functionCall, ...(model.signs && step.index === 0 ? { thoughtSignature: sign() } : {}) } };
    }
  }
}

/** Pieces of one text are one part in an answer that is not streamed. */
function joined(parts) {
  const all = [];
  for (const part of parts) {
    const last = all.at(-1);
    const same = last?.text !== undefined && part.text !== undefined && Boolean(last.thought) === Boolean(part.thought);
    if (same) Object.assign(last, { ...part, text: last.text + part.text });
    else all.push({ ...part });
  }
  return all;
}

async function generate(exchange, body, name, model, signed, streams) {
  checked(body, { ...model, signed });
  const answer = plan(viewOf(body, signed), exchange.mock.force);
  if (answer.fail) throw outage(answer.fail);
  const about = { modelVersion: name, responseId: exchange.mock.id('', 16) };
  const blocked = { promptFeedback: { blockReason: 'PROHIBITED_CONTENT' }, usageMetadata: usageOf(answer), ...about };
  const refusal = answer.finish === 'refusal';
  const ending = { finishReason: FINISH[answer.finish], index: 0, ...(refusal ? { safetyRatings: [{ category: 'HARM_CATEGORY_DANGEROUS_CONTENT', probability: 'HIGH', blocked: true }] } : {}) };
  if (!streams) {
    if (answer.blocked) return exchange.reply(200, blocked);
    const parts = [];
    for await (const { kind, part } of partsOf(answer, exchange, model, signed)) {
      if (kind === 'gone') return undefined;
      if (kind) return exchange.die();
      parts.push(part);
    }
    const candidate = { ...(refusal ? {} : { content: { parts: joined(parts), role: 'model' } }), ...ending };
    return exchange.reply(200, { candidates: [candidate], usageMetadata: usageOf(answer, true), ...about });
  }
  const sse = exchange.query.get('alt') === 'sse';
  exchange.open(sse ? 'text/event-stream' : 'application/json; charset=UTF-8');
  let count = 0;
  const send = (value) => {
    exchange.write(sse ? `data: ${JSON.stringify(value)}\r\n\r\n` : `${count === 0 ? '[' : ',\r\n'}${JSON.stringify(value, null, 2)}`);
    count += 1;
  };
  const finish = () => exchange.end(sse ? undefined : '\n]\n');
  if (answer.blocked) {
    send(blocked);
    return finish();
  }
  let held;
  const candidate = (part) => ({ content: { parts: [part], role: 'model' }, index: 0 });
  for await (const { kind, part } of partsOf(answer, exchange, model, signed)) {
    if (kind === 'die') return exchange.die();
    if (kind === 'gone') return undefined;
    if (kind === 'error') {
      send(errorOf(outage('overloaded')));
      return finish();
    }
    if (held) send({ candidates: [candidate(held)], usageMetadata: usageOf(answer), ...about });
    held = refusal ? undefined : part;
  }
  send({ candidates: [{ ...(held ? candidate(held) : {}), ...ending }], usageMetadata: usageOf(answer, true), ...about });
  return finish();
}

const modelOf = (name) => ({
  name: `models/${name}`, version: '001', displayName: name, inputTokenLimit: 1_048_576, outputTokenLimit: 65_536, supportedGenerationMethods: ['generateContent', 'countTokens'], thinking: true,
});

export function gemini() {
  const signed = new Set();
  const answer = async (exchange) => {
    const { method, path, headers, query } = exchange;
    const key = headers['x-goog-api-key'] ?? query.get('key');
    if (key == null) throw new Refused(403, 'PERMISSION_DENIED', "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.");
    if (key !== KEY) {
      throw new Refused(400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.', [
        { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID', domain: 'googleapis.com', metadata: { service: 'generativelanguage.googleapis.com' } },
      ]);
    }
    if (method === 'GET' && /^\/v1(beta)?\/models$/.test(path)) return exchange.reply(200, { models: Object.keys(MODELS).map(modelOf) });
    const [, name, verb] = /^\/v1(?:beta)?\/models\/([^:/]+)(?::(\w+))?$/.exec(path) ?? [];
    if (!name) throw new Refused(404, 'NOT_FOUND', `Requested entity was not found: ${path}`);
    const model = MODELS[name];
    if (!model) throw new Refused(404, 'NOT_FOUND', `models/${name} is not found for API version v1beta, or is not supported for ${verb ?? 'getModel'}. Call ListModels to see the list of available models and their supported methods.`);
    if (method === 'GET' && !verb) return exchange.reply(200, modelOf(name));
    const given = exchange.json();
    if (method !== 'POST' || typeof given !== 'object' || given === null) throw new Refused(400, 'INVALID_ARGUMENT', 'Invalid JSON payload received. Unexpected token.');
    const body = camelised(given);
    if (verb === 'generateContent') return generate(exchange, body, name, model, signed, false);
    if (verb === 'streamGenerateContent') return generate(exchange, body, name, model, signed, true);
    if (verb !== 'countTokens') throw new Refused(404, 'NOT_FOUND', `Requested entity was not found: ${path}`);
    request(body.generateContentRequest ?? body, []);
    return exchange.reply(200, { totalTokens: 40, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 40 }] });
  };
  return new Mock('gemini', { answer, failed });
}
