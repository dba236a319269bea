'use client';

import { useState, type FormEvent, type ReactNode } from 'react';
import type { Told } from '@/lib/told';
import { Problem } from './problem';
import { Receipt } from './receipt';

type Answer = { told?: Told; error?: string };

/** One prompt, one answer: for what does not stream. */
export function Ask<A extends Answer>({ api, models, prompt: first, action, children }: {
  api: string; models: string[]; prompt: string; action: string; children: (answer: A) => ReactNode;
}) {
  const [model, setModel] = useState(models.includes('mock') ? 'mock' : models[0] ?? '');
  const [prompt, setPrompt] = useState(first);
  const [answer, setAnswer] = useState<A>();
  const [busy, setBusy] = useState(false);

  async function ask(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setAnswer(undefined);
    try {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model, prompt }) };
      setAnswer((await (await fetch(api, init)).json()) as A);
    } catch {
      setAnswer({ error: 'The app’s own server did not answer.' } as A);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <section className="log" aria-live="polite" aria-busy={busy}>
        {answer?.error && <Problem text={answer.error} />}
        {answer && !answer.error && <article className="assistant">{children(answer)}</article>}
        {answer && <Receipt told={answer.told} />}
        {busy && <p className="waiting" role="status">Waiting for the answer…</p>}
      </section>
      <form className="composer" onSubmit={(event) => void ask(event)}>
        <label className="unseen" htmlFor="prompt">Prompt</label>
        <textarea id="prompt" rows={2} value={prompt} onChange={(event) => setPrompt(event.target.value)} />
        <div className="row">
          <label>Model{' '}
            <select value={model} onChange={(event) => setModel(event.target.value)}>
              {models.map((id) => <option key={id}>{id}</option>)}
            </select>
          </label>
          <span className="space" />
          <button type="submit" className="main" disabled={busy || prompt.trim() === '' || model === ''}>{action}</button>
        </div>
      </form>
    </>
  );
}
