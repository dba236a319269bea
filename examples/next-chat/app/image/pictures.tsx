'use client';

import type { Told } from '@/lib/told';
import { Ask } from '../ask';

export function Pictures({ models }: { models: string[] }) {
  return (
    <Ask<{ image?: string; told?: Told; error?: string }> api="/api/image" models={models} prompt="A lighthouse at dusk" action="Draw">
      {({ image }) => image && <img src={image} alt="The answer to the prompt" />}
    </Ask>
  );
}
