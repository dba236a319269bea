import type { Told } from '@/lib/told';

const dollars = (cost: number) => `$${cost.toFixed(8).replace(/0{1,5}$/, '')}`;

/** Under an answer: what it cost, who gave it, and after how many attempts. */
export function Receipt({ told, stopped = false }: { told?: Told; stopped?: boolean }) {
  if (!told?.requestId) return stopped ? <p className="receipt">stopped</p> : null;
  const { origin, model, attempts, cost, requestId } = told;
  return (
    <dl className="receipt">
      {stopped && <div><dt className="unseen">State</dt><dd>stopped</dd></div>}
      {cost !== undefined && <div><dt>cost</dt><dd data-told="cost">{dollars(cost)}</dd></div>}
      {origin && <div><dt>route</dt><dd data-told="origin">{origin}{model ? ` / ${model}` : ''}</dd></div>}
      {(attempts ?? 0) > 0 && <div><dt>attempts</dt><dd data-told="attempts">{attempts}</dd></div>}
      <div><dt>id</dt><dd data-told="id">{requestId}</dd></div>
    </dl>
  );
}
