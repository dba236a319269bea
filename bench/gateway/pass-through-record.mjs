// The pass-through, and one record written per request: what the record alone costs.
const VALUE = "a".repeat(400); // as long as a record is
const metadata = { k: "bench", m: "own", o: "own", e: "complete", n: [200, 0, 88, 0, 55200, 1] };
let count = 0;

export default {
  fetch(request, env, context) {
    const answer = fetch(request);
    const key = `usage/2026-01-01/${String((count += 1)).padStart(26, "0")}`;
    context.waitUntil(answer.then(() => env.USAGE.put(key, VALUE, { metadata })));
    return answer;
  },
};
