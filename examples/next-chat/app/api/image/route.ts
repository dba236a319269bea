import { generateImage } from 'ai';
import { z } from 'zod';
import { add, provider, worded } from '@/lib/gateway';
import type { Told } from '@/lib/told';

const requested = z.object({ model: z.string().min(1).max(200), prompt: z.string().min(1).max(1000) });

export async function POST(request: Request) {
  const { model, prompt } = requested.parse(await request.json());
  const told: Told = {};
  try {
    const { image, providerMetadata } = await generateImage({
      model: provider.imageModel(model),
      prompt,
      maxRetries: 0,
      abortSignal: request.signal,
    });
    add(told, providerMetadata);
    return Response.json({ image: `data:${image.mediaType};base64,${image.base64}`, told });
  } catch (error) {
    return Response.json({ error: worded(error), told }, { status: 502 });
  }
}
