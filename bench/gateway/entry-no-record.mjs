// The entry that ships with a ledger that keeps nothing: what the record costs, by difference.
import worker from "./entry.js";

const RESERVED = '{"reserved":{"left":[]}}', DONE = '"done"';
const answer = (operation) => (operation.startsWith('{"reserve"') ? RESERVED : DONE);
const shard = { apply: async (_, operations) => operations.split("\n").map(answer).join("\n") };
const LEDGER = { getByName: () => shard };
let seen = null, given = null;

export default {
  fetch(request, env, context) {
    if (seen !== env) [seen, given] = [env, { ...env, LEDGER }];
    return worker.fetch(request, given, context);
  },
};
