// Requests that the mock providers must refuse, each with the body that the service has for it: a mock that takes
// everything would prove nothing.
import assert from 'node:assert/strict';
import { KEY as BEDROCK_KEY, MODELS as BEDROCK_MODELS } from './mocks/bedrock.mjs';
import { PROVIDERS } from './providers.mjs';

const user = { role: 'user', content: 'say hello' };
const parameters = { type: 'object', properties: {} };
const call = { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }] };
const claudeTool = { name: 'f', input_schema: parameters };
const toolUse = { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }] };
const toolResult = (id) => ({ role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: 'x' }] });
const geminiUser = { role: 'user', parts: [{ text: 'say hello' }] };
const geminiCall = (more = {}) => ({ role: 'model', parts: [{ functionCall: { name: 'f', args: {} }, ...more }] });
const geminiResult = { role: 'user', parts: [{ functionResponse: { name: 'f', response: { output: 'x' } } }] };
const converseUser = { role: 'user', content: [{ text: 'say hello' }] };
const gpt41 = { model: 'gpt-4.1-mini' };

/** By request: status, and what the message says. The last argument changes the body that would be answered. */
const CASES = {
  chat: [
    [400, /Missing required parameter: 'messages\[0\]\.content'/, { messages: [{ role: 'user' }] }],
    [400, /Unknown parameter: 'max_output_tokens'/, { max_output_tokens: 5 }],
    [400, /Invalid type for 'temperature'/, { ...gpt41, temperature: 'hot' }],
    [400, /Use 'max_completion_tokens' instead/, { max_tokens: 5 }],
    [400, /Only the default \(1\) value is supported/, { temperature: 0 }],
    [400, /role 'tool' must be a response/, { messages: [user, { role: 'tool', tool_call_id: 'call_1', content: 'x' }] }],
    [400, /did not have response messages: call_1/, { messages: [user, call, user] }],
    [400, /'tool_choice' is only allowed when 'tools'/, { tool_choice: 'auto' }],
    [400, /'additionalProperties' is required/, { response_format: { type: 'json_schema', json_schema: { name: 'n', strict: true, schema: parameters } } }],
    [400, /must contain the word 'json'/, { response_format: { type: 'json_object' } }],
    [400, /unsupported image/, { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/bmp;base64,AAAA' } }] }] }],
    [404, /does not exist/, { model: 'gpt-9' }],
  ],
  responses: [
    [400, /Missing required parameter: 'input'/, { input: undefined }],
    [400, /Unknown parameter: 'messages'/, { messages: [user] }],
    [400, /No tool output found for function call call_1/, { input: [user, { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' }] }],
    [400, /No tool call found/, { input: [user, { type: 'function_call_output', call_id: 'call_1', output: 'x' }] }],
    [404, /Items are not persisted/, { input: [user, { type: 'item_reference', id: 'rs_1' }] }],
    [400, /could not be verified/, { input: [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'xyz' }, user] }],
    [400, /Previous response with id 'resp_1' not found/, { previous_response_id: 'resp_1' }],
  ],
  messages: [
    [400, /max_tokens: Field required/, { max_tokens: undefined }],
    [400, /seed: Extra inputs are not permitted/, { seed: 5 }],
    [400, /first message must use the "user" role/, { messages: [{ role: 'assistant', content: 'x' }, user] }],
    [400, /without `tool_result` blocks immediately after: toolu_1/, { messages: [user, toolUse, user], tools: [claudeTool] }],
    [400, /unexpected `tool_use_id`/, { messages: [user, toolUse, { role: 'user', content: [...toolResult('toolu_1').content, ...toolResult('toolu_2').content] }], tools: [claudeTool] }],
    [400, /must define tools/, { messages: [user, toolUse, toolResult('toolu_1')] }],
    [400, /text content blocks must be non-empty/, { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] }],
    [400, /cannot end with trailing whitespace/, { messages: [user, { role: 'assistant', content: 'Hello ' }] }],
    [400, /Expected `thinking`/, { messages: [user, toolUse, toolResult('toolu_1')], tools: [claudeTool], thinking: { type: 'enabled', budget_tokens: 1024 } }],
    [400, /Invalid `signature`/, { messages: [user, { role: 'assistant', content: [{ type: 'thinking', thinking: 'x', signature: 'AAAA' }] }, user] }],
    [400, /greater than `thinking\.budget_tokens`/, { max_tokens: 1024, thinking: { type: 'enabled', budget_tokens: 1024 } }],
    [400, /cannot both be specified/, { temperature: 1, top_p: 1 }],
    [400, /A maximum of 4 blocks/, { system: Array.from({ length: 5 }, () => ({ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } })) }],
    [400, /prefill/, { model: 'claude-opus-4-6', messages: [user, { role: 'assistant', content: 'Hello' }] }],
    [400, /not supported on this model/, { model: 'claude-sonnet-5-5', temperature: 0.5 }],
  ],
  generate: [
    [400, /contents is not specified/, { contents: [] }],
    [400, /Unknown name "maxTokens" at 'generation_config'/, { generationConfig: { max_tokens: 5 } }],
    [400, /Unknown name "additionalProperties" at 'generation_config\.response_schema'/, { generationConfig: { responseMimeType: 'application/json', responseSchema: { type: 'OBJECT', additionalProperties: false } } }],
    [400, /only supported with response mime type/, { generationConfig: { responseSchema: { type: 'OBJECT' } } }],
    [400, /missing a thought_signature/, { contents: [geminiUser, geminiCall(), geminiResult] }],
    [400, /Thought signature is not valid/, { contents: [geminiUser, geminiCall({ thoughtSignature: 'AAAA' }), geminiResult] }],
    [400, /number of function response parts is equal/, { contents: [geminiUser, geminiCall({ thoughtSignature: 'AAAA' }), geminiUser] }],
    [400, /immediately after a user turn/, { contents: [geminiUser, { role: 'model', parts: [{ text: 'x' }] }, geminiCall(), geminiResult] }],
    [400, /thinking budget and thinking level/, { generationConfig: { thinkingConfig: { thinkingBudget: 5, thinkingLevel: 'LOW' } } }],
  ],
  converse: [
    [400, /Value null at 'messages'/, { messages: undefined }],
    [400, /must alternate|alternates between/, { messages: [converseUser, converseUser] }],
    [400, /must start with a user message|starts with a user message/, { messages: [{ role: 'assistant', content: [{ text: 'x' }] }] }],
    [400, /is blank/, { messages: [{ role: 'user', content: [{ text: ' ' }] }] }],
    [400, /toolConfig field must be defined/, { messages: [converseUser, { role: 'assistant', content: [{ toolUse: { toolUseId: 't', name: 'f', input: {} } }] }, { role: 'user', content: [{ toolResult: { toolUseId: 't', content: [] } }] }] }],
    [400, /Expected toolResult blocks/, { messages: [converseUser, { role: 'assistant', content: [{ toolUse: { toolUseId: 't', name: 'f', input: {} } }] }, converseUser] }],
    [400, /Member must have value greater than or equal to 1/, { inferenceConfig: { maxTokens: 0 } }],
  ],
};

export const REQUESTS = {
  chat: { provider: 'openai', path: '/v1/chat/completions', headers: { authorization: `Bearer ${PROVIDERS.openai.apiKey}` }, body: { model: 'gpt-5-mini', messages: [user] } },
  responses: { provider: 'openai', path: '/v1/responses', headers: { authorization: `Bearer ${PROVIDERS.openai.apiKey}` }, body: { model: 'gpt-5-mini', input: 'say hello', store: false } },
  messages: {
    provider: 'anthropic', path: '/v1/messages', headers: { 'x-api-key': PROVIDERS.anthropic.apiKey, 'anthropic-version': '2023-06-01' },
    body: { model: 'claude-haiku-4-5', max_tokens: 2000, messages: [user] },
  },
  generate: { provider: 'gemini', path: '/v1beta/models/gemini-3-flash-preview:generateContent', headers: { 'x-goog-api-key': PROVIDERS.gemini.apiKey }, body: { contents: [geminiUser] } },
  converse: { provider: 'bedrock', path: `/model/${encodeURIComponent(BEDROCK_MODELS[0])}/converse`, headers: { authorization: `Bearer ${BEDROCK_KEY}` }, body: { messages: [converseUser] } },
};

export const ask = ({ url }, { path, headers, body }, change = {}) => fetch(`${url}${path}`, {
  method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ ...body, ...change }),
});

/** Adds a result for each case, and for each request without a change, which is answered, and without a key, which is not. */
export async function refusals(mocks, results) {
  for (const [name, request] of Object.entries(REQUESTS)) {
    const mock = mocks[request.provider];
    const expect = async (feature, act) => {
      const error = await act().then(() => null, (reason) => reason);
      results.add(`a plain ${name} request`, request.provider, feature, error === null, error?.message, error?.stack);
    };
    await expect('is answered', async () => assert.equal((await ask(mock, request)).status, 200));
    await expect('without a key is refused', async () => {
      const { status } = await ask(mock, { ...request, headers: { 'anthropic-version': '2023-06-01' } });
      assert.ok(status === 401 || status === 403, `${status}`);
    });
    for (const [status, pattern, change] of CASES[name]) {
      await expect(`refused: ${pattern.source}`, async () => {
        const reply = await ask(mock, request, change);
        const body = await reply.json();
        assert.match(body.error?.message ?? body.message ?? '', pattern, JSON.stringify(body));
        assert.equal(reply.status, status);
      });
    }
  }
}
