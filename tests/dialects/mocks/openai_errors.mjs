// OpenAI's error bodies. Source: API reference, "Errors" and the guide "Error codes"; the wordings are those of the
// service's answers to the same mistakes.
import { Flaw } from './shape.mjs';

/** An answer that is an error: HTTP status and the members of `error`. */
export class Refused extends Error {
  constructor(status, message, { type = 'invalid_request_error', param = null, code = null, headers = {} } = {}) {
    super(message);
    Object.assign(this, { status, headers, body: { error: { message, type, param, code } } });
  }
}

export const named = (path) => path.reduce((text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${part}` : part), '');

/** A flaw of the body in OpenAI's words. */
export function worded({ kind, path, detail }) {
  const param = named(path);
  if (kind === 'missing') return new Refused(400, `Missing required parameter: '${param}'.`, { param, code: 'missing_required_parameter' });
  if (kind === 'unknown') return new Refused(400, `Unknown parameter: '${param}'.`, { param, code: 'unknown_parameter' });
  if (kind === 'type') return new Refused(400, `Invalid type for '${param}': expected ${detail.expected}, but got ${detail.found} instead.`, { param, code: 'invalid_type' });
  if (detail.allowed) {
    const allowed = detail.allowed.map((one) => `'${one}'`).join(', ');
    return new Refused(400, `Invalid value: '${detail.found}'. Supported values are: ${allowed}.`, { param, code: 'invalid_value' });
  }
  if (detail.least !== undefined) {
    return new Refused(400, `Invalid '${param}': value must be between ${detail.least} and ${detail.most}, but got ${detail.found}.`, { param, code: 'invalid_value' });
  }
  return new Refused(400, `Invalid '${param}': ${JSON.stringify(detail)}.`, { param, code: 'invalid_value' });
}

export function failed(exchange, error) {
  const known = error instanceof Flaw ? worded(error) : error;
  if (known instanceof Refused) return exchange.reply(known.status, known.body, { 'x-request-id': exchange.mock.id('req_'), ...known.headers });
  const body = { error: { message: `The mock failed: ${error.stack}`, type: 'server_error', param: null, code: null } };
  return exchange.reply(500, body);
}

/** What the script's `fail` stands for. */
export function outage(fail) {
  if (fail === 429) {
    const message = 'Rate limit reached for gpt-5-mini in organization org-mock on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 1s.';
    return new Refused(429, message, { type: 'requests', code: 'rate_limit_exceeded', headers: { 'retry-after': '1', 'x-ratelimit-remaining-requests': '0' } });
  }
  if (fail === 'overloaded') {
    return new Refused(503, 'The engine is currently overloaded, please try again later', { type: 'service_unavailable_error', code: 'server_is_overloaded' });
  }
  return new Refused(fail, 'The server had an error while processing your request. Sorry about that!', { type: fail < 500 ? 'invalid_request_error' : 'server_error' });
}

/** `data:` URL to `{ media, bytes }`; another URL as it is. */
export function imageOf(url, param) {
  const inline = /^data:([\w.+-]+\/[\w.+-]+);base64,(.+)$/.exec(url);
  if (!inline) {
    if (/^https?:\/\//.test(url)) return { url };
    throw new Refused(400, `Invalid '${param}'. Expected a valid URL, but got a value with an invalid format.`, { param, code: 'invalid_value' });
  }
  const bytes = Buffer.from(inline[2], 'base64');
  if (!/^image\/(png|jpeg|gif|webp)$/.test(inline[1])) {
    throw new Refused(400, "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp'].", { param, code: 'invalid_image_format' });
  }
  return { media: inline[1], bytes: bytes.length };
}

/** The rules of strict structured output: every object closed, every property required. Guide "Structured Outputs", "Supported schemas". */
export function strictSchema(schema, name, param, where = []) {
  const context = `In context=(${where.map((one) => `'${one}'`).join(', ')}${where.length === 1 ? ',' : ''})`;
  const refuse = (problem) => {
    throw new Refused(400, `Invalid schema for ${param.startsWith('tools') ? 'function' : 'response_format'} '${name}': ${context}, ${problem}`, { param, code: 'invalid_json_schema' });
  };
  if (schema?.type === 'object' || schema?.properties) {
    if (schema.additionalProperties !== false) refuse("'additionalProperties' is required to be supplied and to be false.");
    const names = Object.keys(schema.properties ?? {});
    const lacking = names.filter((one) => !(schema.required ?? []).includes(one));
    if (lacking.length > 0) refuse(`'required' is required to be supplied and to be an array including every key in properties. Missing '${lacking[0]}'.`);
    for (const one of names) strictSchema(schema.properties[one], name, param, [...where, 'properties', one]);
  }
  if (schema?.items) strictSchema(schema.items, name, param, [...where, 'items']);
}
