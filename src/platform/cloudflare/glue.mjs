// The other half of abi.rs and op.rs: does what a waiting request asks for and calls back with the result.
//
// Crossings are few and flat: text goes over as lines in one call, bytes in one copy, numbers as arguments.

import { Instance, NOTHING } from "./instance.mjs";
import { SENT, ask, collect } from "./origin.mjs";
import { pump, relay } from "./stream.mjs";

const DONE = 0, READ_BODY = 1, SEND = 2, RESPOND = 3, PUT = 4, LIST = 5, SLEEP = 6;
const GO_ON = 7, FINISH = 8, REMEMBER = 9, RECALL = 10;

// Outcomes that op.rs knows by number.
const OK = 0;
const BODY = { tooLarge: 1, broken: 2 };
const ENDED = { complete: 0, cancelled: 1 };
/** From here on the client's stream is left open for another origin. */
const OPEN = 4;

/** The Cache API's keys are URLs; nobody serves this one. */
const CACHE = "https://cache.moegate.invalid/";
const PUT_TRIES = 4;
const encoder = new TextEncoder();

/** The Worker for a compiled module. */
export function createWorker(module) {
  let current = null;

  const instance = (env) => {
    if (current === null) current = new Instance(module);
    if (current.env !== env) current.configure(env);
    return current;
  };

  // A panic leaves its own request broken, and nobody vouches for the rest: the next request gets a new instance. Those
  // in flight finish on the old one; their futures were not running when it happened.
  const retire = (broken) => {
    if (current === broken) current = null;
  };

  return {
    fetch(request, env, context) {
      return new Promise((resolve) => {
        const exchange = new Exchange(request, env, resolve);
        context.waitUntil(
          exchange.run(() => instance(env)).catch((error) => {
            retire(exchange.wasm);
            exchange.fail(error);
          }),
        );
      });
    },
  };
}

/** One client's request on its way through the gateway. */
class Exchange {
  constructor(request, env, resolve) {
    this.request = request;
    this.env = env;
    this.resolve = resolve;
    this.responded = false;
    this.wasm = null;
    this.words = null;
    this.handle = -1;
    this.received = NOTHING;
    this.answered = NOTHING;
    this.stream = null;
    this.abort = null;
    this.writer = null;
  }

  async run(instance) {
    this.wasm = instance();
    this.begin();
    for (;;) {
      const { words } = this;
      if (words[7] !== this.handle) throw new Error("another request's operation");
      switch (words[0]) {
        case DONE:
          if (!this.responded) throw new Error("the request ended without a reply");
          return;
        case READ_BODY:
          await this.readBody(words[5]);
          break;
        case SEND:
          await this.send(this.wasm.text(words), words);
          break;
        case RESPOND:
          await this.respond(this.wasm.text(words), words[4] ? this.wasm.shown(words) : NOTHING, words[5]);
          break;
        case PUT:
          await this.putRecord(this.wasm.text(words));
          break;
        case LIST:
          await this.listRecords(this.wasm.text(words));
          break;
        case REMEMBER:
          await this.remember(this.wasm.text(words), words[5]);
          break;
        case RECALL:
          await this.recall(this.wasm.text(words));
          break;
        case SLEEP:
          await this.sleep(words[5]);
          break;
        case GO_ON:
          await this.pump();
          break;
        case FINISH:
          await this.finish(words[4] ? this.wasm.shown(words) : NOTHING);
          break;
        default:
          throw new Error(`unknown operation ${words[0]}`);
      }
    }
  }

  begin() {
    const { request, wasm } = this;
    const { url, headers } = request;
    const path = url.indexOf("/", url.indexOf("//") + 2);
    const authorization = headers.get("authorization") ?? "";
    const length = headers.get("content-length") ?? "";
    const repeated = headers.get("idempotency-key") ?? "";
    let text = `${request.method}\n${path < 0 ? "/" : url.slice(path)}\n${authorization}\n${length}\n${repeated}`;
    for (const name of wasm.headers) text += `\n${headers.get(name) ?? ""}`;
    const [total] = wasm.put(crypto.getRandomValues(new Uint8Array(10)), text);
    wasm.exports.begin(total, Date.now());
    this.words = wasm.words();
    this.handle = this.words[7];
  }

  /** Hands the result over and lets the request run on. */
  resume(outcome, a = 0, bytes = NOTHING, text = "") {
    const [length, textLength] = this.wasm.put(bytes, text);
    this.wasm.exports.resume(this.handle, Date.now(), outcome, a, length, textLength);
    this.words = this.wasm.words();
  }

  async readBody(limit) {
    let body;
    try {
      body = await collect(this.request, limit);
    } catch {
      return this.resume(BODY.broken);
    }
    if (body === null) return this.resume(BODY.tooLarge);
    this.received = body;
    this.resume(OK, 0, body);
  }

  async send(text, words) {
    const [kind, method, url, idle, total, ...lines] = text.split("\n");
    let body;
    // Kept until there is an answer to give: another origin may get it too.
    if (kind === "received") body = this.received;
    if (kind === "bytes") body = this.wasm.shown(words);
    // A receipt is still asked for when the client has gone; an answer is not.
    const signal = method === "GET" ? null : this.request.signal;
    const limits = { first: words[5], idle: Number(idle), until: Date.now() + Number(total), bytes: words[6] };
    this.abort = new AbortController();
    const init = { method, headers: named(lines), body };
    const result = await ask(url, init, this.abort, signal, limits, (chunk) => this.opened(chunk));
    if (result.outcome === SENT.stream) this.stream = result.stream;
    if (result.outcome === SENT.whole) this.answered = result.bytes;
    this.resume(result.outcome, result.status, result.bytes, result.head);
  }

  /** What the core says of a chunk of a stream that may begin. */
  opened(chunk) {
    const { wasm } = this;
    const at = wasm.exports.input(chunk.length);
    wasm.view().set(chunk, at);
    return wasm.exports.open(this.handle, chunk.length);
  }

  async respond(text, bytes, way) {
    // A stream may last for minutes: the request is not held for so long.
    this.received = NOTHING;
    const [status, ...lines] = text.split("\n");
    const init = { status: Number(status), headers: named(lines) };
    const reply = (body) => {
      this.resolve(new Response(body, init));
      this.responded = true;
    };
    const { signal } = this.request;
    if (way === 2) {
      const { readable, writable } = new IdentityTransformStream();
      reply(readable);
      return this.resume(await relay(this.stream, writable, (closed) => this.cutOff(closed), signal, this.abort));
    }
    if (way === 3) {
      const { readable, writable } = new IdentityTransformStream();
      reply(readable);
      this.writer = writable.getWriter();
      return this.pump();
    }
    reply(way === 1 ? this.answered : bytes);
    this.answered = NOTHING;
    this.resume(signal?.aborted ? ENDED.cancelled : ENDED.complete);
  }

  /** Pumps the stream into the open reply. */
  async pump() {
    const outcome = await pump(this.stream, this.writer, this.scanner(), this.request.signal, this.abort);
    this.stream = null;
    if (outcome < OPEN) this.writer = null;
    this.resume(outcome);
  }

  /** The last bytes of the open reply. */
  async finish(last) {
    const { writer } = this;
    this.writer = null;
    let outcome = ENDED.complete;
    try {
      if (last.length > 0) await writer.write(last);
      await writer.close();
    } catch {
      outcome = ENDED.cancelled;
    }
    this.resume(outcome);
  }

  /** What a client gets whose relayed stream closes before its end. */
  cutOff(closed) {
    this.wasm.exports.cut_off(closed);
    return this.wasm.shown(this.wasm.words());
  }

  async sleep(ms) {
    const { signal } = this.request;
    if (!signal?.aborted) {
      let timer, left;
      await new Promise((wake) => {
        timer = setTimeout(wake, ms);
        left = wake;
        signal?.addEventListener("abort", left);
      });
      clearTimeout(timer);
      // A request that waits for another sleeps hundreds of times.
      signal?.removeEventListener("abort", left);
    }
    this.resume(signal?.aborted ? ENDED.cancelled : ENDED.complete);
  }

  /** The core's scanner, fed chunk by chunk. */
  scanner() {
    const { wasm, handle } = this;
    return {
      /** Whether the stream is to be read no more. */
      over: false,
      /** What to forward for a chunk. */
      push(chunk) {
        const at = wasm.exports.input(chunk.length);
        wasm.view().set(chunk, at);
        const verdict = wasm.exports.pump(handle, chunk.length);
        this.over = verdict === 2;
        return verdict === 0 ? chunk : wasm.shown(wasm.words());
      },
      /** The outcome, and the last bytes, which are kept back where the reply stays open. */
      end(closed) {
        const outcome = wasm.exports.pump_end(handle, closed);
        return [outcome, outcome < OPEN ? wasm.shown(wasm.words()) : null];
      },
    };
  }

  async putRecord(text) {
    const [key, summary, value] = text.split("\n");
    this.resume(await this.store(key, value, JSON.parse(summary)));
  }

  async store(key, value, metadata) {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.env.USAGE.put(key, value, { metadata });
        return OK;
      } catch (error) {
        if (tries === PUT_TRIES) {
          // Numbers and names only. The log is the last place where this request's cost is not lost.
          console.error(`moegate: a usage record could not be stored: ${value} (${error})`);
          return 1;
        }
        await new Promise((wake) => setTimeout(wake, 2 ** tries * 100 * (0.5 + Math.random())));
      }
    }
  }

  /**
   * For other isolates of this data centre. Not in KV: there "not found" is remembered for a minute, and the first
   * request has to look.
   */
  async remember(text, seconds) {
    const [key, value] = text.split("\n");
    const headers = { "cache-control": `max-age=${seconds}` };
    try {
      await caches.default.put(`${CACHE}${key}`, new Response(value, { headers }));
    } catch (error) {
      console.error(`moegate: an answer could not be kept for its repeats: ${error}`);
    }
    this.resume(OK);
  }

  async recall(key) {
    const found = await caches.default.match(`${CACHE}${key}`).catch(() => undefined);
    const value = await found?.text().catch(() => undefined);
    this.resume(value === undefined ? 1 : OK, 0, NOTHING, value ?? "");
  }

  async listRecords(text) {
    const [prefix, cursor] = text.split("\n");
    let page;
    try {
      const list = await this.env.USAGE.list({ prefix, cursor: cursor || undefined });
      const entries = list.keys.map(({ name, metadata }) => ({ name, summary: metadata ?? null }));
      page = { entries, cursor: list.list_complete ? null : list.cursor };
    } catch (error) {
      console.error(`moegate: the usage store did not answer: ${error}`);
      return this.resume(1);
    }
    this.resume(OK, 0, encoder.encode(JSON.stringify(page)));
  }

  /** A panic, or a fault of this file: an honest 500, and nothing of the reason for the client. */
  fail(error) {
    console.error(`moegate: a request failed inside the gateway: ${error?.stack ?? error}`);
    this.abort?.abort("failed");
    this.writer?.abort("failed").catch(() => {});
    try {
      if (this.handle >= 0) this.wasm.exports.abandon(this.handle);
    } catch {
      // The instance is retired anyway.
    }
    if (this.responded) return;
    const message = "the gateway failed on this request; it is ready for the next one";
    const body = { error: { message, type: "internal_server_error", param: null, code: "internal" } };
    this.resolve(Response.json(body, { status: 500 }));
  }
}

/**
 * Name and value in turn → an object, which the runtime reads in a third of the time that pairs take. The core sends no
 * name twice.
 */
function named(lines) {
  const headers = {};
  for (let i = 0; i + 1 < lines.length; i += 2) headers[lines[i]] = lines[i + 1];
  return headers;
}
