import { z } from 'zod';

/** Every member is required and no other allowed: what OpenAI's strict schemas want. */
export const recipe = z.object({
  name: z.string(),
  minutes: z.number().int().min(1).max(240),
  ingredients: z.array(z.string().describe('an ingredient')).min(3),
  steps: z.array(z.string().describe('a step')).min(2),
});

export type Recipe = z.infer<typeof recipe>;
