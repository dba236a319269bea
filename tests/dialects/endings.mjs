// What the SDKs' cases do not reach: the other endings of an answer, in each provider's words, the small endpoints, and
// what a mock does in an outage.
import assert from 'node:assert/strict';
import { HELLO, REFUSAL } from './mocks/script.mjs';
import { ask, REQUESTS } from './refusals.mjs';

/** For each request: how the question is put, the limits are said, and an answer's text and ending are read. */
const READ = {
  chat: {
    change: (text, { max, stop } = {}) => ({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: text }], ...(max ? { max_tokens: max } : {}), ...(stop ? { stop } : {}) }),
    text: ({ choices: [{ message }] }) => message.content ?? message.refusal,
    ending: ({ choices: [choice] }) => choice.finish_reason,
    endings: { length: 'length', stop: 'stop', refusal: 'stop' },
  },
  messages: {
    change: (text, { max = 2000, stop } = {}) => ({ max_tokens: max, messages: [{ role: 'user', content: text }], ...(stop ? { stop_sequences: [stop] } : {}) }),
    text: ({ content }) => content[0]?.text,
    ending: ({ stop_reason }) => stop_reason,
    endings: { length: 'max_tokens', stop: 'stop_sequence', refusal: 'refusal' },
  },
  generate: {
    change: (text, { max, stop } = {}) => ({ contents: [{ role: 'user', parts: [{ text }] }], generationConfig: { ...(max ? { maxOutputTokens: max } : {}), ...(stop ? { stopSequences: [stop] } : {}) } }),
    text: ({ candidates: [{ content }] }) => content?.parts[0].text ?? REFUSAL,
    ending: ({ candidates: [candidate] }) => candidate.finishReason,
    endings: { length: 'MAX_TOKENS', stop: 'STOP', refusal: 'SAFETY' },
  },
  converse: {
    change: (text, { max, stop } = {}) => ({ messages: [{ role: 'user', content: [{ text }] }], inferenceConfig: { ...(max ? { maxTokens: max } : {}), ...(stop ? { stopSequences: [stop] } : {}) } }),
    text: ({ output }) => output.message.content[0].text,
    ending: ({ stopReason }) => stopReason,
    endings: { length: 'max_tokens', stop: 'stop_sequence', refusal: 'content_filtered' },
  },
};

/** The same request, streamed. */
const STREAMED = {
  chat: (request) => ({ ...request, body: { ...request.body, stream: true } }),
  messages: (request) => ({ ...request, body: { ...request.body, stream: true } }),
  generate: (request) => ({ ...request, path: request.path.replace(':generateContent', ':streamGenerateContent?alt=sse') }),
  converse: (request) => ({ ...request, path: `${request.path}-stream` }),
};
const IN_BAND = { chat: /"error":\{/, messages: /event: error/, generate: /"status":"UNAVAILABLE"/, converse: /modelStreamErrorException/ };
const STATUS = { 'fail 429': [429, 429, 429, 429], 'fail 500': [500, 500, 500, 500], overloaded: [503, 529, 503, 503] };

export async function endings(mocks, results) {
  const expect = async (name, feature, act) => {
    const error = await act().then(() => null, (reason) => reason);
    results.add(`a plain ${name} request`, REQUESTS[name].provider, feature, error === null, error?.message, error?.stack);
  };
  for (const [index, [name, { change, text, ending, endings: words }]] of Object.entries(READ).entries()) {
    const request = REQUESTS[name];
    const mock = mocks[request.provider];
    const answer = async (question, limits) => (await ask(mock, request, change(question, limits))).json();
    const ends = async (question, limits, expected, reason) => {
      const seen = await answer(question, limits);
      assert.deepEqual([text(seen), ending(seen)], [expected, reason]);
    };
    await expect(name, 'ends at the limit', () => ends('say hello', { max: 3 }, 'Hello! How can', words.length));
    await expect(name, 'ends at a stop sequence', () => ends('say hello', { stop: ' you' }, 'Hello! How can I help', words.stop));
    await expect(name, 'is refused by the model', () => ends('refuse', {}, REFUSAL, words.refusal));
    for (const [question, statuses] of Object.entries(STATUS)) {
      await expect(name, question, async () => assert.equal((await ask(mock, request, change(question))).status, statuses[index]));
    }
    const streamed = STREAMED[name](request);
    await expect(name, 'a stream that breaks', () => assert.rejects(async () => (await ask(mock, streamed, change('die mid-answer'))).text()));
    await expect(name, 'a stream with an error in it', async () => {
      const reply = await ask(mock, streamed, change('fail mid-answer'));
      assert.equal(reply.status, 200);
      assert.match(await reply.text(), IN_BAND[name]);
    });
    await expect(name, 'an outage by order', async () => {
      mock.force = 'fail 429';
      const { status } = await ask(mock, request, change('say hello'));
      mock.force = null;
      assert.equal(status, 429);
    });
  }
  await expect('messages', 'goes on from a prefill', async () => {
    const messages = [{ role: 'user', content: 'say hello' }, { role: 'assistant', content: 'Hello! How can' }];
    const { content } = await (await ask(mocks.anthropic, REQUESTS.messages, { messages })).json();
    assert.equal(content[0].text, HELLO.slice('Hello! How can'.length));
  });
  await expect('generate', 'streams a JSON array', async () => {
    const request = { ...REQUESTS.generate, path: STREAMED.generate(REQUESTS.generate).path.replace('?alt=sse', '') };
    const chunks = await (await ask(mocks.gemini, request)).json();
    assert.equal(chunks.map((chunk) => chunk.candidates[0].content.parts[0].text).join(''), HELLO);
  });
  await expect('generate', 'counts tokens', async () => {
    const request = { ...REQUESTS.generate, path: REQUESTS.generate.path.replace('generateContent', 'countTokens') };
    assert.equal((await (await ask(mocks.gemini, request)).json()).totalTokens, 40);
  });
  await expect('messages', 'counts tokens', async () => {
    const request = { ...REQUESTS.messages, path: '/v1/messages/count_tokens' };
    assert.equal((await (await ask(mocks.anthropic, request, { max_tokens: undefined })).json()).input_tokens, 40);
  });
  await expect('chat', 'embeds', async () => {
    const request = { ...REQUESTS.chat, path: '/v1/embeddings', body: { model: 'text-embedding-3-small', input: ['a', 'b'], dimensions: 4 } };
    const { data } = await (await ask(mocks.openai, request)).json();
    assert.deepEqual(data.map(({ embedding }) => embedding.length), [4, 4]);
  });
  for (const name of ['chat', 'messages', 'generate']) {
    await expect(name, 'lists models', async () => {
      const { provider, headers, path } = REQUESTS[name];
      const list = await (await fetch(`${mocks[provider].url}${path.startsWith('/v1beta') ? '/v1beta' : '/v1'}/models`, { headers })).json();
      assert.ok((list.data ?? list.models).length > 1);
    });
  }
}
