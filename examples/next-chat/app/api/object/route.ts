import { generateText, Output } from 'ai';
import { z } from 'zod';
import { add, provider, worded } from '@/lib/gateway';
import type { Told } from '@/lib/told';
import { recipe } from '@/lib/recipe';

const requested = z.object({ model: z.string().min(1).max(200), prompt: z.string().min(1).max(4000) });

export async function POST(request: Request) {
  const { model, prompt } = requested.parse(await request.json());
  const told: Told = {};
  try {
    const { output, providerMetadata } = await generateText({
      model: provider(model),
      output: Output.object({ schema: recipe }),
      prompt,
      maxRetries: 0,
      abortSignal: request.signal,
    });
    add(told, providerMetadata);
    return Response.json({ recipe: output, told });
  } catch (error) {
    return Response.json({ error: worded(error), told }, { status: 502 });
  }
}
