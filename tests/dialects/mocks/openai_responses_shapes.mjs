// The body of OpenAI's `POST /v1/responses`, and its rules. Source: API reference, "Responses" > "Create a model
// response" and "Input items"; guides "Conversation state", "Reasoning models" > "Encrypted reasoning items".
import { any, array, boolean, filled, integer, json, map, matching, number, object, oneOf, string, tagged, textOr } from './shape.mjs';
import { Refused, strictSchema } from './openai_errors.mjs';

const NULLS = { nulls: true };
const inputText = object({ type: any, text: string }, { prompt_cache_breakpoint: json });
const inputImage = object({ type: any }, { image_url: string, file_id: string, detail: oneOf('auto', 'low', 'high', 'original'), prompt_cache_breakpoint: json }, NULLS);
const inputFile = object({ type: any }, { file_data: string, file_id: string, file_url: string, filename: string, detail: any, prompt_cache_breakpoint: json }, NULLS);
const outputText = object({ type: any, text: string }, { annotations: array(json), logprobs: array(json) }, NULLS);
const inputParts = array(tagged('type', { input_text: inputText, input_image: inputImage, input_file: inputFile }));
const outputParts = array(tagged('type', { output_text: outputText, refusal: object({ type: any, refusal: string }) }));
const status = oneOf('in_progress', 'completed', 'incomplete');

const message = (value, path) => tagged('role', {
  user: object({ role: any, content: textOr(inputParts) }, { type: any, id: string, status }, NULLS),
  system: object({ role: any, content: textOr(inputParts) }, { type: any, id: string, status }, NULLS),
  developer: object({ role: any, content: textOr(inputParts) }, { type: any, id: string, status }, NULLS),
  assistant: object({ role: any, content: textOr(outputParts) }, { type: any, id: matching(/^msg_/), status, phase: oneOf('commentary', 'final_answer') }, NULLS),
})(value, path);

const item = tagged('type', {
  message,
  function_call: object({ type: any, call_id: filled, name: matching(/^[a-zA-Z0-9_-]{1,64}$/), arguments: string }, { id: matching(/^fc_/), status, namespace: string, caller: json }, NULLS),
  function_call_output: object({ type: any, call_id: filled, output: textOr(inputParts) }, { id: string, status, name: string, namespace: string, caller: json }, NULLS),
  reasoning: object({ type: any, summary: array(object({ type: oneOf('summary_text'), text: string })) }, { id: matching(/^rs_/), encrypted_content: string, content: array(json), status }, NULLS),
  item_reference: object({ id: filled }, { type: any }),
}, 'message');

const format = tagged('type', {
  text: object({ type: any }),
  json_object: object({ type: any }),
  json_schema: object({ type: any, name: matching(/^[a-zA-Z0-9_-]{1,64}$/), schema: json }, { description: string, strict: boolean }, NULLS),
});
const tool = tagged('type', {
  function: object({ type: any, name: matching(/^[a-zA-Z0-9_-]{1,64}$/) }, { description: string, parameters: json, strict: boolean, defer_loading: boolean }, NULLS),
  custom: json, web_search: json, file_search: json, code_interpreter: json, image_generation: json, mcp: json,
});
const choice = (value, path) => (typeof value === 'string' ? oneOf('none', 'auto', 'required')(value, path) : tagged('type', {
  function: object({ type: any, name: string }), allowed_tools: json, custom: json, mcp: json, web_search: json,
})(value, path));

const request = object({ model: string }, {
  access_programs: any, background: boolean, context_management: any, conversation: any, image: json,
  include: array(oneOf(
    'reasoning.encrypted_content', 'message.output_text.logprobs', 'message.input_image.image_url', 'file_search_call.results',
    'web_search_call.action.sources', 'web_search_call.results', 'code_interpreter_call.outputs', 'computer_call_output.output.image_url',
  )),
  input: textOr(array(item, 1)), instructions: string, max_output_tokens: integer(16), max_tool_calls: integer(1), metadata: map(string), moderation: any, parallel_tool_calls: boolean,
  previous_response_id: string, prompt: json, prompt_cache_key: string, prompt_cache_options: json, prompt_cache_retention: oneOf('in_memory', '24h'),
  reasoning: object({}, {
    effort: oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'), summary: oneOf('auto', 'concise', 'detailed'), generate_summary: oneOf('auto', 'concise', 'detailed'),
  }, NULLS),
  safety_identifier: string, service_tier: oneOf('auto', 'default', 'flex', 'scale', 'priority', 'fast'), store: boolean, stream: boolean, stream_options: object({}, { include_obfuscation: boolean }, NULLS),
  temperature: number(0, 2), text: object({}, { format, verbosity: oneOf('low', 'medium', 'high') }, NULLS), tool_choice: choice, tools: array(tool), top_logprobs: integer(0, 20),
  top_p: number(0, 1), truncation: oneOf('auto', 'disabled'), user: string,
}, NULLS);

const bad = (message, param = 'input', code = null, code_status = 400) => {
  throw new Refused(code_status, message, { param, code });
};

/** The conversation as a list of items: stored ones put in, every rule kept. `memory`: what the service has stored. */
export function itemsOf(body, memory) {
  request(body, []);
  if (body.input == null && body.previous_response_id == null) bad("Missing required parameter: 'input'.", 'input', 'missing_required_parameter');
  for (const [index, one] of (body.tools ?? []).entries()) {
    if (one.type === 'function' && one.strict) strictSchema(one.parameters, one.name, `tools[${index}].parameters`);
  }
  const shape = body.text?.format;
  if (shape?.type === 'json_schema' && shape.strict) strictSchema(shape.schema, shape.name, 'text.format.schema');
  const given = typeof body.input === 'string' ? [{ type: 'message', role: 'user', content: body.input }] : body.input ?? [];
  let before = [];
  if (body.previous_response_id != null) {
    before = memory.responses.get(body.previous_response_id);
    if (!before) bad(`Previous response with id '${body.previous_response_id}' not found.`, 'previous_response_id', 'previous_response_not_found');
  }
  const items = [...before, ...given].map((one) => {
    if (one.type !== 'item_reference') return one;
    return memory.items.get(one.id) ?? bad(lost(one.id), 'input', null, 404);
  });
  pairing(items);
  thoughts(items, memory);
  return items;
}

const lost = (id) => `Item with id '${id}' not found. Items are not persisted when \`store\` is set to false. Try again with \`store\` set to true, or remove this item from your input.`;

function pairing(items) {
  const open = new Set();
  for (const one of items) {
    if (one.type === 'function_call') open.add(one.call_id);
    if (one.type === 'function_call_output' && !open.delete(one.call_id)) bad(`No tool call found for function call output with call_id ${one.call_id}.`);
  }
  for (const id of open) bad(`No tool output found for function call ${id}.`);
}

/** A reasoning item is one that is stored or can be decrypted, with the item that followed it; and that one with it. */
function thoughts(items, memory) {
  const here = new Set(items.filter((one) => one.type === 'reasoning').map((one) => one.id));
  for (const [index, one] of items.entries()) {
    if (one.type === 'reasoning') {
      if (one.encrypted_content == null && !memory.items.has(one.id)) bad(lost(one.id), 'input', null, 404);
      if (one.encrypted_content != null && !memory.sealed.has(one.encrypted_content)) {
        bad(`The encrypted content for item ${one.id} could not be verified. Reason: Encrypted content could not be decrypted or parsed.`, null, 'invalid_encrypted_content');
      }
      const next = items[index + 1];
      if (!next || next.role === 'user' || next.type === 'function_call_output') bad(`Item '${one.id}' of type 'reasoning' was provided without its required following item.`);
    }
    const needed = memory.needs.get(one.id);
    if (needed && !here.has(needed)) bad(`Item '${one.id}' of type '${one.type}' was provided without its required 'reasoning' item: '${needed}'.`);
  }
}
