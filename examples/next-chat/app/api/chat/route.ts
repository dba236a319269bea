import {
  convertToModelMessages, createUIMessageStreamResponse, stepCountIs, streamText, tool, toUIMessageStream, type UIMessage,
} from 'ai';
import { z } from 'zod';
import { add, provider, worded } from '@/lib/gateway';
import type { Told } from '@/lib/told';

export const maxDuration = 300;

const requested = z.object({ model: z.string().min(1).max(200), tools: z.boolean(), messages: z.array(z.any()).max(200) });

const weather = tool({
  description: 'The weather in a city',
  inputSchema: z.object({ city: z.string().describe('the city') }),
  // Made up, and the same for the same city.
  execute: async ({ city }) => ({ city, degrees: 10 + (city.length * 7) % 20, sky: city.length % 2 ? 'sunny' : 'cloudy' }),
});

export async function POST(request: Request) {
  const { model, tools, messages } = requested.parse(await request.json());
  const told: Told = {};
  const result = streamText({
    model: provider(model),
    messages: await convertToModelMessages(messages as UIMessage[]),
    tools: tools ? { weather } : undefined,
    stopWhen: stepCountIs(5),
    // The gateway retries and falls back; to retry on top would multiply its attempts.
    maxRetries: 0,
    // Stop in the page ends the request, which ends the gateway's, which ends the origin's.
    abortSignal: request.signal,
    onError: () => {},
  });
  const stream = toUIMessageStream({
    stream: result.stream,
    originalMessages: messages as UIMessage<Told>[],
    onError: worded,
    messageMetadata: ({ part }) => {
      // The first text and the first thought name the request, so that an answer that is stopped has its id.
      if (part.type === 'finish-step' || part.type === 'text-start' || part.type === 'reasoning-start') add(told, part.providerMetadata);
      const worth = ['text-start', 'tool-input-start', 'finish-step', 'finish', 'abort', 'error'].includes(part.type);
      return worth ? { ...told } : undefined;
    },
  });
  return createUIMessageStreamResponse({ stream });
}
