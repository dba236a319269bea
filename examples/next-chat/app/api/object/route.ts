import { generateText, Output } from 'ai';
import { z } from 'zod';
import { openGateway, worded } from '@/lib/gateway';
import { recipe } from '@/lib/recipe';

const requested = z.object({ model: z.string().min(1).max(200), prompt: z.string().min(1).max(4000) });

export async function POST(request: Request) {
  const { model, prompt } = requested.parse(await request.json());
  const { provider, told } = openGateway();
  try {
    const { output } = await generateText({
      model: provider(model),
      output: Output.object({ schema: recipe }),
      prompt,
      maxRetries: 0,
      abortSignal: request.signal,
    });
    return Response.json({ recipe: output, told });
  } catch (error) {
    return Response.json({ error: worded(error), told }, { status: 502 });
  }
}
