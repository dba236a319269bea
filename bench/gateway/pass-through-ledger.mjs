// The pass-through, and what the gateway asks of the ledger for each request, by its calls and of its objects: what the ledger
// alone costs.
import { ask } from "./shards.js";

export { Ledger } from "./ledger.js";

/** As a record is. */
const RECORD = {
  attempt: 1, last: true, key: "bench", tenant: "bench", model: "own", route: "own", served_model: "own", origin: "own",
  stream: false, status: 200, ending: "complete", usage: { prompt: 200, cached: 0, completion: 88, reasoning: 0 },
  metered: true, cost_nanodollars: 55200, bound_nanodollars: 225600, bound_tokens: 756, started_ms: 1767225600000,
  head_after_ms: 1, ended_after_ms: 2,
};
const AMOUNTS = { requests: 1, tokens: 756, cost: 225600 };
let count = 0;

export default {
  async fetch(request, env, context) {
    const id = `01${crypto.randomUUID()}${(count += 1)}`;
    const tell = (operation, soon) => ask({ env, context }, "tenant/bench", JSON.stringify(operation), soon);
    const record = { ...RECORD, id, state: "pending", ending: "running" };
    const reserve = { id, until_ms: Date.now() + 900_000, amounts: AMOUNTS, holds: [], record };
    const reserved = tell({ reserve }, false);
    const answer = await fetch(request);
    if (await reserved === null) return new Response("the ledger did not answer", { status: 503 });
    context.waitUntil(tell({ settle: { id, amounts: AMOUNTS, record: { ...RECORD, id } } }, true));
    return answer;
  },
};
