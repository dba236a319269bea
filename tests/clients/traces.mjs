// One trace from an app's call through the gateway to the server, at a collector.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import { COLLECTOR_PORT, until } from './world.mjs';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const APP = 'b7ad6b7169203331';
const PROMPT = 'Say something about Nuremberg';

/** Takes what comes until `act` has ended and there are so many spans. */
async function spansOf(count, act) {
  const bodies = [];
  const collector = createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      bodies.push(Buffer.concat(pieces).toString());
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise((up, down) => collector.once('error', down).listen(COLLECTOR_PORT, '127.0.0.1', up));
  try {
    await act();
    const spans = () => bodies.flatMap((body) => JSON.parse(body).resourceSpans.flatMap(({ resource, scopeSpans }) => {
      const service = resource.attributes.find(({ key }) => key === 'service.name').value.stringValue;
      return scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, service })));
    }));
    await until(`${count} spans`, () => spans().length >= count);
    assert.equal(spans().length, count, JSON.stringify(spans()));
    for (const secret of [PROMPT, 'Bearer']) assert.ok(!bodies.join().includes(secret), bodies.join());
    return spans();
  } finally {
    collector.closeAllConnections();
    await new Promise((down) => collector.close(down));
  }
}

const of = (span, name) => {
  const value = span.attributes.find(({ key }) => key === name)?.value;
  return value?.stringValue ?? value?.intValue;
};

/** App → request → attempt → server → its parts, and the counts are the client's. */
function isOneTrace(spans, usage) {
  assert.ok(spans.every((span) => span.traceId === TRACE), JSON.stringify(spans));
  const below = (parent) => spans.filter((span) => span.parentSpanId === parent);
  const [request, ...others] = below(APP);
  assert.deepEqual([request.service, request.kind, others.length], ['moegate', 2, 0]);
  const [attempt] = below(request.spanId);
  assert.deepEqual([attempt.service, attempt.kind, of(attempt, 'moegate.origin')], ['moegate', 3, 'own']);
  const [server] = below(attempt.spanId);
  assert.deepEqual([server.service, server.kind], ['moe-server', 2]);
  assert.deepEqual(below(server.spanId).map(({ name }) => name), ['queue', 'prefill', 'decode']);
  assert.equal(of(server, 'moegate.request.id').startsWith(of(request, 'moegate.request.id')), true);
  for (const span of [attempt, server]) {
    assert.equal(Number(of(span, 'gen_ai.usage.input_tokens')), usage.inputTokens);
    assert.equal(Number(of(span, 'gen_ai.usage.output_tokens')), usage.outputTokens);
  }
  // One clock here: each lies within the one above it, to the gateway's millisecond and what it takes to send an answer's end.
  const at = ({ startTimeUnixNano, endTimeUnixNano }) => [startTimeUnixNano, endTimeUnixNano].map((time) => Number(BigInt(time) / 1000n));
  for (const [outer, inner] of [[request, attempt], [attempt, server]]) {
    assert.ok(at(inner)[0] >= at(outer)[0] - 1_000 && at(inner)[1] <= at(outer)[1] + 50_000, JSON.stringify([outer, inner]));
  }
}

const call = (world) => ({
  model: createOpenAICompatible({ name: 'moegate', baseURL: `${world.url}/v1`, apiKey: world.clientKey, includeUsage: true })(world.model),
  prompt: PROMPT,
  maxOutputTokens: 6,
  headers: { traceparent: `00-${TRACE}-${APP}-01` },
});

export const cases = {
  async 'a whole answer is one trace, from the app to the server'(world) {
    let usage;
    const spans = await spansOf(6, async () => ({ usage } = await generateText(call(world))));
    isOneTrace(spans, usage);
  },
  async 'a stream is one trace'(world) {
    let usage;
    const spans = await spansOf(6, async () => {
      const stream = streamText(call(world));
      await stream.consumeStream();
      usage = await stream.usage;
    });
    isOneTrace(spans, usage);
  },
};
