// Operations for the ledger, in batches: while one call to a shard is under way, what comes for it from all the requests of
// the isolate waits, and then goes in one call.
//
// A call is made in the turn of one of the requests whose operations it carries, since the runtime ties it to that request.

/** How long the first operation of a batch waits for others, in milliseconds. */
const WINDOW_MS = 1;

/** Operations and characters of a batch: the runtime takes calls of up to 32 MiB. */
const MOST = 256;
const LARGE = 4 << 20;

/** A call that takes longer may have gone with its request: nobody waits for it any more. Rust gives a try 4 s. */
const LOST_MS = 3000;

/** The shards with operations. */
const shards = new Map();

/** Told instead of an answer: the batch is this request's to send. */
const LEAD = Symbol("lead");

class Shard {
  constructor(name) {
    this.name = name;
    this.waiting = [];
    /** Counts the calls, and since when the last one is under way, in Unix milliseconds; 0 if it is over. */
    this.call = 0;
    this.since = 0;
  }

  isBusy() {
    return this.since !== 0 && Date.now() - this.since < LOST_MS;
  }

  begin() {
    this.since = Date.now();
    this.call += 1;
    return this.call;
  }

  /** What waits, as far as it fits into a call. */
  take() {
    let count = 0;
    for (let size = 0; count < Math.min(this.waiting.length, MOST); count += 1) {
      size += this.waiting[count].operation.length;
      if (size > LARGE && count > 0) break;
    }
    return this.waiting.splice(0, count);
  }

  /** Sends what waits, in the turn of this exchange. Has somebody else send what has come meanwhile. Never rejects. */
  async lead(exchange, call) {
    for (;;) {
      if (WINDOW_MS > 0) await new Promise((over) => setTimeout(over, WINDOW_MS));
      await this.send(exchange);
      // Another one has been made in its place.
      if (call !== this.call) return;
      if (this.waiting.length === 0) break;
      call = this.begin();
      const next = this.waiting.find((one) => !one.exchange.dead && !one.exchange.ended);
      if (next) return next.told(LEAD);
    }
    this.since = 0;
    shards.delete(this.name);
  }

  async send({ env }) {
    const batch = this.take();
    if (batch.length === 0) return;
    let answers = null;
    try {
      const operations = batch.map(({ operation }) => operation).join("\n");
      answers = (await env.LEDGER.getByName(this.name).apply(this.name, operations)).split("\n");
    } catch (error) {
      console.error(`moegate: the ledger's shard ${this.name} did not answer: ${error}`);
    }
    batch.forEach(({ told }, at) => told(answers?.[at] ?? null));
  }
}

let warned = false;

/** The answer of a shard; `null` if there is none. */
export async function ask(exchange, name, operation) {
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
  let shard = shards.get(name);
  if (!shard) shards.set(name, shard = new Shard(name));
  const waiting = { exchange, operation, told: null };
  // Promises of this request's own: what follows them runs in its turn, whoever tells.
  let told = new Promise((tell) => { waiting.told = tell; });
  shard.waiting.push(waiting);
  let call = shard.isBusy() ? 0 : shard.begin();
  if (call === 0) {
    const answer = await told;
    if (answer !== LEAD) return answer;
    call = shard.call;
    told = new Promise((tell) => { waiting.told = tell; });
  }
  // The call goes on though its request is over.
  exchange.context.waitUntil(shard.lead(exchange, call));
  return told;
}
