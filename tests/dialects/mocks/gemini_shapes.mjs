// The body of Gemini's `models.generateContent`, and its rules. Source: Gemini API reference, "Generating content"
// (GenerateContentRequest, GenerationConfig, SafetySetting), "Caching" (Content, Part, Tool, ToolConfig, Schema); guides
// "Function calling", "Thinking", "Thought signatures" (what Gemini 3 demands of function calls in the current turn).
import { any, array, base64, boolean, integer, json, matching, nullable, number, object, oneOf, string, union } from './shape.mjs';

/** An answer that is an error: HTTP status, the canonical code's name, a message, and details. */
export class Refused extends Error {
  constructor(code, status, message, details) {
    super(message);
    Object.assign(this, { code, status, details });
  }
}
const bad = (message) => {
  throw new Refused(400, 'INVALID_ARGUMENT', message);
};

const snake = (name) => name.replace(/[A-Z]/g, (one) => `_${one.toLowerCase()}`);
const camel = (name) => name.replace(/_([a-z])/g, (_, one) => one.toUpperCase());
const FREE = new Set(['args', 'response', 'parametersJsonSchema', 'responseJsonSchema', 'partMetadata', 'example', 'default']);

/** Names in lowerCamelCase: the service takes both forms (ProtoJSON). What is not a message of the API stays as it is. */
export function camelised(value, named = false) {
  if (Array.isArray(value)) return value.map((one) => camelised(one));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => {
    const key = named ? name : camel(name);
    return [key, !named && FREE.has(key) ? one : camelised(one, !named && key === 'properties')];
  }));
}

const at = (path) => path.reduce((text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text ? `${text}.` : ''}${snake(part)}`), '');

/** A flaw of the body in the service's words. */
export function worded({ kind, path, detail }) {
  const violation = (description) => [{ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field: at(path), description }] }];
  const refused = (message) => new Refused(400, 'INVALID_ARGUMENT', message, violation(message));
  if (kind === 'unknown') {
    const parent = at(path.slice(0, -1));
    return refused(`Invalid JSON payload received. Unknown name "${path.at(-1)}"${parent ? ` at '${parent}'` : ''}: Cannot find field.`);
  }
  if (kind === 'missing') return refused(`* GenerateContentRequest.${at(path)}: ${snake(path.at(-1))} is not specified\n`);
  if (kind === 'type') return refused(`Invalid value at '${at(path)}': expected ${detail.expected}, found ${detail.found}`);
  if (detail.base64) return refused(`Invalid value at '${at(path)}' (TYPE_BYTES), Base64 decoding failed for "${detail.found}"`);
  if (detail.exactly) return refused(`* GenerateContentRequest.${at(path)}.data: required oneof field 'data' must have one initialized field\n`);
  if (detail.allowed) return refused(`Invalid value at '${at(path)}' (type.googleapis.com/google.ai.generativelanguage.v1beta), "${detail.found}"`);
  return refused(`Invalid value at '${at(path)}', ${JSON.stringify(detail)}`);
}

const NULLS = { nulls: true };
const blob = object({ mimeType: string, data: base64 }, { displayName: string }, NULLS);
const responsePart = object({}, { inlineData: blob, fileData: json }, NULLS);
const data = {
  text: string,
  inlineData: blob,
  fileData: object({ fileUri: string }, { mimeType: string, displayName: string }, NULLS),
  functionCall: object({ name: matching(/^[a-zA-Z_][\w.:-]{0,127}$/) }, { id: string, args: json }, NULLS),
  functionResponse: object({ name: string, response: json }, { id: string, parts: array(responsePart), willContinue: boolean, scheduling: string }, NULLS),
  executableCode: json,
  codeExecutionResult: json,
};
const part = union(data, { thought: boolean, thoughtSignature: base64, videoMetadata: json, mediaResolution: json, partMetadata: json });
const content = object({ parts: array(part, 1) }, { role: oneOf('user', 'model', 'function') }, NULLS);

const typeName = (value, path) => {
  string(value, path);
  oneOf('TYPE_UNSPECIFIED', 'STRING', 'NUMBER', 'INTEGER', 'BOOLEAN', 'ARRAY', 'OBJECT', 'NULL')(value.toUpperCase(), path);
};
const int64 = (value, path) => (typeof value === 'string' ? matching(/^\d+$/)(value, path) : integer(0)(value, path));
const schema = (value, path) => object({}, {
  type: typeName, format: string, title: string, description: string, nullable: boolean, enum: array(string), maxItems: int64, minItems: int64,
  properties: (one, where) => {
    json(one, where);
    for (const [name, inner] of Object.entries(one)) schema(inner, [...where, name]);
  },
  required: array(string), minProperties: int64, maxProperties: int64, minLength: int64, maxLength: int64, pattern: string, example: any, anyOf: array(schema), propertyOrdering: array(string),
  default: any, items: schema, minimum: number(), maximum: number(),
}, NULLS)(value, path);

const declaration = object(
  { name: matching(/^[a-zA-Z_][\w.:-]{0,127}$/) },
  { description: string, parameters: schema, parametersJsonSchema: json, response: schema, responseJsonSchema: json, behavior: string },
  NULLS,
);
const tool = object({}, { functionDeclarations: array(declaration), googleSearch: json, codeExecution: json, urlContext: json, googleSearchRetrieval: json, fileSearch: json, googleMaps: json, computerUse: json }, NULLS);
const config = object({}, {
  stopSequences: array(string), responseMimeType: oneOf('text/plain', 'application/json', 'text/x.enum'), responseSchema: schema, responseJsonSchema: any,
  responseModalities: array(oneOf('TEXT', 'IMAGE', 'AUDIO')), candidateCount: integer(1, 8), maxOutputTokens: integer(1), temperature: number(0, 2), topP: number(0, 1), topK: integer(1),
  seed: integer(), presencePenalty: number(-2, 2), frequencyPenalty: number(-2, 2), responseLogprobs: boolean, logprobs: integer(0, 20), enableEnhancedCivicAnswers: boolean, speechConfig: json,
  thinkingConfig: object({}, { includeThoughts: boolean, thinkingBudget: integer(-1), thinkingLevel: oneOf('MINIMAL', 'LOW', 'MEDIUM', 'HIGH', 'minimal', 'low', 'medium', 'high') }, NULLS),
  imageConfig: json, mediaResolution: string, responseFormat: any,
}, NULLS);
export const request = object({ contents: array(content, 1) }, {
  model: string,
  tools: array(tool), toolConfig: object({}, {
    functionCallingConfig: object({}, { mode: oneOf('AUTO', 'ANY', 'NONE', 'VALIDATED'), allowedFunctionNames: array(string) }, NULLS), retrievalConfig: json,
  }, NULLS),
  safetySettings: array(object({ category: matching(/^HARM_CATEGORY_/), threshold: oneOf('BLOCK_LOW_AND_ABOVE', 'BLOCK_MEDIUM_AND_ABOVE', 'BLOCK_ONLY_HIGH', 'BLOCK_NONE', 'OFF') })),
  systemInstruction: object({ parts: array(object({ text: string })) }, { role: string }, NULLS), generationConfig: config, cachedContent: string, serviceTier: nullable(string), store: boolean,
}, NULLS);

/** The two values that the guide "Thought signatures" gives for calls that another model made. */
const FOREIGN = ['context_engineering_is_the_way_to_go', 'skip_thought_signature_validator'];
const isForeign = (signature) => FOREIGN.some((one) => signature === one || signature === Buffer.from(one).toString('base64'));
const has = (one, member) => one.parts.some((each) => each[member] !== undefined);

function turns(contents) {
  for (const [index, one] of contents.entries()) {
    const before = contents[index - 1];
    const calls = one.parts.filter((each) => each.functionCall);
    if (calls.length > 0) {
      if (one.role !== 'model') bad('Please use a valid role: user, model.');
      if (!before || before.role === 'model') bad('Please ensure that function call turn comes immediately after a user turn or after a function response turn.');
      const next = contents[index + 1];
      const answered = next?.parts.filter((each) => each.functionResponse) ?? [];
      if (answered.length !== calls.length) bad('Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.');
    }
    const responses = one.parts.filter((each) => each.functionResponse);
    if (responses.length === 0) continue;
    if (!before || !has(before, 'functionCall')) bad('Please ensure that function response turn comes immediately after a function call turn.');
    const made = before.parts.filter((each) => each.functionCall).map((each) => each.functionCall);
    for (const { functionResponse } of responses) {
      const fits = made.some((call) => call.name === functionResponse.name && (functionResponse.id === undefined || call.id === undefined || call.id === functionResponse.id));
      if (!fits) bad(`Function response for '${functionResponse.name}' has no function call with that name and id.`);
    }
  }
  if (contents.length === 1 && contents[0].role === 'model') bad('Please ensure that single turn requests end with a user role or the role field is empty.');
}

/** In the current turn (all after the last user content that is no function response) each step's first call is signed. */
function signatures(contents, signed) {
  const begin = contents.findLastIndex((one) => one.role !== 'model' && one.parts.some((each) => !each.functionResponse));
  for (const [index, one] of contents.entries()) {
    for (const each of one.parts) {
      if (each.thoughtSignature !== undefined && !signed.has(each.thoughtSignature) && !isForeign(each.thoughtSignature)) bad('Thought signature is not valid.');
    }
    const first = one.parts.find((each) => each.functionCall);
    if (index <= begin || !first || first.thoughtSignature !== undefined) continue;
    bad(`Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call \`default_api:${first.functionCall.name}\` , position ${index + 1}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.`);
  }
}

/** Throws what is wrong. `signs`: the model is one that demands signatures. `signed`: those it gave. */
export function checked(body, { signs, signed }) {
  if (body.contents === undefined || body.contents?.length === 0) bad('* GenerateContentRequest.contents: contents is not specified\n');
  request(body, []);
  turns(body.contents);
  if (signs) signatures(body.contents, signed);
  const declarations = (body.tools ?? []).flatMap((one) => one.functionDeclarations ?? []);
  const doubled = declarations.find((one) => one.parameters && one.parametersJsonSchema);
  if (doubled) bad(`Only one of parameters and parameters_json_schema may be set in function declaration ${doubled.name}.`);
  if (new Set(declarations.map((one) => one.name)).size < declarations.length) bad(`Duplicate function declaration found: ${declarations.at(-1).name}`);
  const { mode, allowedFunctionNames: allowed = [] } = body.toolConfig?.functionCallingConfig ?? {};
  if (mode === 'ANY' && declarations.length === 0) bad('Function calling config is set without function_declarations.');
  if (allowed.length > 0 && !['ANY', 'VALIDATED'].includes(mode)) bad('Allowed function names can only be set when function calling mode is ANY or VALIDATED.');
  const unknown = allowed.find((name) => !declarations.some((one) => one.name === name));
  if (unknown) bad(`Function calling config is set with an unknown function name: ${unknown}`);
  const { responseSchema, responseJsonSchema, responseMimeType, thinkingConfig } = body.generationConfig ?? {};
  if (responseSchema && responseJsonSchema) bad('Only one of response_schema and response_json_schema may be set.');
  if ((responseSchema || responseJsonSchema) && !['application/json', 'text/x.enum'].includes(responseMimeType)) bad('Response schema is only supported with response mime type application/json.');
  if (thinkingConfig?.thinkingLevel && thinkingConfig.thinkingBudget != null) bad('You can only set only one of thinking budget and thinking level.');
}
