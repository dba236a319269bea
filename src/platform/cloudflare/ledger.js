// A shard of the ledger: a Durable Object with a SQLite database. What it does is in wasm and keeps nothing there between
// two calls, so a trap loses nothing but the batch in which it happens.

import { DurableObject } from "cloudflare:workers";
import { Exchange, load } from "./exchange.js";
import { enter, gateway, isTrap, ready, trapped } from "./instance.js";

/** How long after a change the object looks after what is left to be done, in milliseconds. */
const SOON_MS = 30_000;

/** The same where an origin may be waking: the object leads that wake. */
const WAKE_MS = 20;

/** Its alarm is no client's request. */
const NOBODY = "https://ledger.moegate.invalid/";

/** Calls an export that returns an error or traps. */
function called(run) {
  ready();
  try {
    return run();
  } catch (error) {
    if (isTrap(error)) trapped(error);
    throw error;
  }
}

export class Ledger extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    /** Its name, which the runtime does not tell an alarm; kept with the first call. */
    this.shard = ctx.storage.kv.get("shard");
    /** When its alarm goes off, in Unix milliseconds. */
    this.alarmMs = null;
    ctx.blockConcurrencyWhile(async () => {
      called(() => gateway.ledger_open(ctx));
      this.alarmMs = await ctx.storage.getAlarm();
    });
  }

  /**
   * Carries out operations, a line each, in one transaction; their answers, a line each. They are durable when the caller
   * has them: the runtime keeps an answer back until then.
   */
  apply(shard, operations) {
    if (this.shard !== shard) this.ctx.storage.kv.put("shard", this.shard = shard);
    const answers = this.transaction(operations);
    // Begins with whether anything was written, and whether that is about a wake.
    if (answers[0] !== "0") this.wakeIn(answers[0] === "2" ? WAKE_MS : SOON_MS);
    return answers.slice(1);
  }

  transaction(operations) {
    const { ctx } = this;
    return called(() => ctx.storage.transactionSync(() => gateway.ledger_apply(ctx, operations)));
  }

  /** An operation of its own upkeep: the answer, or `null`. */
  async own(operation) {
    // Not within the call that asks for it.
    await null;
    try {
      return this.transaction(operation).slice(1);
    } catch (error) {
      console.error(`moegate: the ledger's shard ${this.shard} did not take an operation of its own: ${error}`);
      return null;
    }
  }

  /** Has the alarm go off in so many milliseconds at the latest. */
  wakeIn(ms) {
    const at = Date.now() + ms;
    if (this.alarmMs !== null && this.alarmMs <= at) return;
    this.alarmMs = at;
    this.ctx.storage.setAlarm(at);
  }

  async alarm() {
    this.alarmMs = null;
    if (this.shard !== undefined) await this.upkeep();
    // Whatever has become of it, there is a next time: the runtime gives an alarm up that fails again and again.
    let ms = SOON_MS;
    try {
      ms = called(() => gateway.ledger_due(this.ctx));
    } catch (error) {
      console.error(`moegate: the ledger's shard ${this.shard} does not know what is due: ${error}`);
    }
    if (ms !== undefined) this.wakeIn(ms);
  }

  /** Never rejects. */
  upkeep() {
    const { ctx, env } = this;
    return new Promise((over) => {
      const exchange = new Exchange(new Request(NOBODY), env, ctx);
      exchange.object = this;
      exchange.over = over;
      const crashed = new Promise((crash) => { exchange.crash = crash; });
      crashed.then(() => {
        over();
        exchange.fail();
      });
      try {
        enter(exchange);
        load();
        gateway.upkeep(exchange, env, this.shard);
      } catch (error) {
        trapped(error);
      }
    });
  }
}
