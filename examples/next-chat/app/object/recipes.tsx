'use client';

import type { Recipe } from '@/lib/recipe';
import type { Told } from '@/lib/told';
import { Ask } from '../ask';

export function Recipes({ models }: { models: string[] }) {
  return (
    <Ask<{ recipe?: Recipe; told?: Told; error?: string }> api="/api/object" models={models} prompt="A recipe for lasagna" action="Write">
      {({ recipe }) => recipe && (
        <>
          <h2>{recipe.name}</h2>
          <p>{recipe.minutes} minutes</p>
          <ul>{recipe.ingredients.map((one, index) => <li key={index}>{one}</li>)}</ul>
          <ol>{recipe.steps.map((one, index) => <li key={index}>{one}</li>)}</ol>
        </>
      )}
    </Ask>
  );
}
