// An app on OpenAI's SDK, moved to moegate: two fields, and whatever model the gateway has a route for.
import OpenAI from 'openai';

const openai = new OpenAI({
  baseURL: process.env.MOEGATE_BASE_URL ?? 'http://127.0.0.1:8787/v1',
  apiKey: process.env.MOEGATE_KEY,
});

const stream = await openai.chat.completions.create({
  model: process.env.MODEL ?? 'demo',
  messages: [{ role: 'user', content: 'What is moegate?' }],
  max_tokens: 200,
  stream: true,
  stream_options: { include_usage: true },
});

for await (const { choices, usage } of stream) {
  process.stdout.write(choices[0]?.delta?.content ?? '');
  // The gateway adds what the answer cost, in dollars.
  if (usage) console.log(`\n${usage.total_tokens} tokens, $${usage.cost.toFixed(8)}`);
}
