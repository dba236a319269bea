// Asking the ledger's shards. Operations of several requests share a call: a call is a transaction on disk, which costs far
// more than an operation.
//
// The runtime ties a call to the request that makes it, and what follows an answer has to run in the turn of the request that
// it is for: otherwise, now and then, its reply fails ("Cannot perform I/O on behalf of a different request"). So no request
// waits for a promise of another. Each has a place in the shard's queue and timers of its own; whose timer finds its place
// not taken calls for all that wait, and writes their answers to their places.

/** How long an operation that is not waited for stays in the queue, where no other call takes it along. */
const GATHER_MS = 20;
/** The shortest time from one call to the next. */
const PAUSE_MS = 3;
/** How often a request looks for the answer of a call that another makes: at first, and as time goes on. */
const LOOK_MS = 1, LOOK_LESS_MS = 10;
/** By then the gateway has sent it again. */
const GIVE_UP_MS = 5_000;
/** What one call takes at most: operations, and characters before the last. */
const MOST = 100, MOST_CHARACTERS = 1 << 20;
/** Names that are remembered. */
const MOST_SHARDS = 1_000;

/** By name: the operations that no call has taken, and when the last call was made, in Unix milliseconds. */
const shards = new Map();

let warned = false;

function after(ms) {
  return new Promise((over) => { setTimeout(over, ms); });
}

function shardOf(name) {
  let shard = shards.get(name);
  if (shard === undefined) {
    if (shards.size >= MOST_SHARDS) {
      for (const [known, { queue }] of shards) if (queue.length === 0) shards.delete(known);
    }
    shards.set(name, shard = { queue: [], calledMs: 0 });
  }
  return shard;
}

/** Calls with the operations at those places, and gives the answers; `null` for each if there are none. */
async function call({ env, context }, name, places) {
  try {
    const operations = places.map(({ operation }) => operation).join("\n");
    // A promise of JavaScript's: each look at one of a call's own is a call into the runtime.
    const answers = Promise.resolve(env.LEDGER.getByName(name).apply(name, operations));
    // It goes on though the request is over, or its instance has trapped.
    context.waitUntil(answers.catch(() => {}));
    const lines = (await answers).split("\n");
    places.forEach((place, at) => { place.answer = lines[at] ?? null; });
  } catch (error) {
    console.error(`moegate: the ledger's shard ${name} did not answer: ${error}`);
    for (const place of places) place.answer = null;
  }
}

/** Takes what waits, as far as one call may take it. */
function take(shard) {
  let characters = 0, end = 0;
  while (end < shard.queue.length && end < MOST && characters < MOST_CHARACTERS) {
    characters += shard.queue[end++].operation.length;
  }
  shard.calledMs = Date.now();
  return shard.queue.splice(0, end);
}

/** The answer of a shard; `null` if there is none. With `soon`, nobody waits for it. */
export async function ask(exchange, name, operation, soon) {
  if (!exchange.env.LEDGER) {
    if (!warned) {
      console.error(
        'moegate: there is no Durable Object with the binding LEDGER: add [[durable_objects.bindings]] name = "LEDGER", '
          + 'class_name = "Ledger" and [[migrations]] tag = "v1", new_sqlite_classes = ["Ledger"] to wrangler.toml',
      );
    }
    warned = true;
    return null;
  }
  const shard = shardOf(name);
  const place = { operation, answer: undefined };
  shard.queue.push(place);
  const beganMs = Date.now();
  let ms = soon ? GATHER_MS : shard.calledMs + PAUSE_MS - beganMs;
  let alone = false;
  for (;;) {
    if (ms > 0) await after(ms);
    if (place.answer === undefined && shard.queue.includes(place)) {
      const places = take(shard);
      await call(exchange, name, places);
      alone = places.length === 1;
      // More waited than a call may take, and it was not this one's turn yet.
      if (place.answer === undefined) ms = 0;
      else break;
    } else if (place.answer !== undefined) {
      break;
    } else {
      const waitedMs = Date.now() - beganMs;
      if (waitedMs > GIVE_UP_MS) return null;
      ms = Math.min(LOOK_LESS_MS, LOOK_MS + waitedMs / 8);
    }
  }
  // One operation that is refused fails the others of its call.
  if (place.answer === null && !alone) await call(exchange, name, [place]);
  return place.answer;
}
