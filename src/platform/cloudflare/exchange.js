// What JavaScript does for Rust: a client's request, the requests to origins, and the reply that is written.

import { BROKEN, END, LEFT, OK, collect, fill } from "./body.js";
import { gateway, leave, trapped } from "./instance.js";
import { ask } from "./shards.js";

const LENGTH = "content-length";

/** Names of the request headers and of the answer headers that Rust wants to know, and the pages that CORS lets in. */
export let wanted = null;

/** Asks wasm for them, once. */
export function load() {
  wanted ??= JSON.parse(gateway.wanted_headers());
}

/** Whether the environment has bindings that take the place of the public network. */
let hasWays = null;

/**
 * What sends a request to this URL: the binding named after its host (`VIA_GPU_EXAMPLE` for https://gpu.example: a client
 * certificate, or a way into a private network), else the public network.
 */
function way(env, url) {
  hasWays ??= Object.keys(env ?? {}).some((name) => name.startsWith("VIA_"));
  const name = hasWays && `VIA_${new URL(url).hostname.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
  return (name && env[name]) || globalThis;
}

/** One client's request, or an object's upkeep. */
export class Exchange {
  constructor(request, env, context) {
    this.request = request;
    this.env = env;
    this.context = context;
    /** The ledger's object in which it runs. */
    this.object = null;
    /** Its number in Rust. */
    this.id = 0;
    /** The length that its headers declare. */
    this.declared = null;
    /** Set once its instance has trapped, or its work is over: whatever it still waits for is of no interest. */
    this.dead = false;
    this.left = null;
    this.timer = null;
    this.upstreams = new Set();
    this.sink = null;
    /** Fails it, from whatever request's turn; the rest happens in its own. */
    this.crash = null;
    /** Resolves what the runtime waits for. */
    this.over = null;
  }

  /** Method, path with query and the wanted headers, a line each. */
  head(id) {
    this.id = id;
    const { method, url, headers } = this.request;
    const path = url.indexOf("/", url.indexOf("//") + 2);
    let text = `${method}\n${path < 0 ? "/" : url.slice(path)}`;
    for (const name of wanted.request) {
      const value = headers.get(name);
      text += value === null ? "\n" : `\n${value}`;
      if (name === LENGTH) this.declared = value;
    }
    return text;
  }

  settle(op, code, value) {
    if (this.dead) return;
    try {
      gateway.settle(op, code, value);
    } catch (error) {
      trapped(error);
    }
  }

  /** Whether the client has left; tells when it does. */
  listen() {
    const { signal } = this.request;
    if (this.left === null && signal) {
      this.left = () => {
        if (this.dead) return;
        try {
          gateway.left(this.id);
        } catch (error) {
          trapped(error);
        }
      };
      signal.addEventListener("abort", this.left);
    }
    return signal?.aborted ?? false;
  }

  setTimer(ms) {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.dead) return;
      try {
        gateway.timer(this.id);
      } catch (error) {
        trapped(error);
      }
    }, ms);
  }

  async readBody(op, limit) {
    // Rust reads none that is encoded.
    const [code, bytes] = await collect(this.request, limit, this.declared);
    this.settle(op, code, bytes);
  }

  /** Sends a request: method, URL, and the headers' names and values in turn, a line each. */
  fetch(op, text, body) {
    const upstream = new Upstream(this);
    this.upstreams.add(upstream);
    upstream.fetch(op, text, body);
    return upstream;
  }

  /** A whole reply. */
  respond(text, body) {
    return reply(text, body);
  }

  /** A reply whose body is written to the sink. */
  begin(text) {
    this.sink = new Sink(this, text);
    return this.sink;
  }

  /** Has a shard of the ledger carry out an operation. */
  async ledger(op, shard, operation, soon) {
    const { object } = this;
    const answer = await (object?.shard === shard ? object.own(operation) : ask(this, shard, operation, soon));
    if (answer === null) return this.settle(op, BROKEN);
    if (this.dead) return;
    try {
      gateway.answered(op, OK, answer);
    } catch (error) {
      trapped(error);
    }
  }

  /** Copies chunks that `collect` gave to wasm's memory. */
  fill(target, chunks) {
    fill(target, chunks);
  }

  host() {
    return new URL(this.request.url).host;
  }

  /** Its work is over. */
  end() {
    leave(this);
    // The listener stays: to take it away costs more than a call that is never made.
    this.dead = true;
    this.over();
    // The runtime may have let go of the request long ago; then its objects refuse.
    try {
      if (this.timer !== null) clearTimeout(this.timer);
    } catch {}
  }

  /** Ends all that is still open in the client's and the origins' direction. */
  fail() {
    for (const upstream of this.upstreams) upstream.stop();
    this.sink?.abort();
  }
}

/** A request to an origin and its answer. */
class Upstream {
  constructor(exchange) {
    this.exchange = exchange;
    this.controller = new AbortController();
    this.response = null;
    /** The length of the answer as it is read, if its headers declare it. */
    this.declared = null;
    this.reader = null;
  }

  async fetch(op, text, body) {
    const { exchange } = this;
    const [method, url, ...lines] = text.split("\n");
    let head;
    try {
      const { signal } = this.controller;
      const init = { method, headers: named(lines), body, redirect: "manual", signal };
      this.response = await way(exchange.env, url).fetch(url, init);
      const { headers } = this.response;
      head = "";
      for (const name of wanted.answer) {
        const value = headers.get(name);
        head += value === null ? "\n" : `${value}\n`;
        // What the runtime has decoded has another length.
        if (name === LENGTH && headers.get("content-encoding") === null) this.declared = value;
      }
    } catch {
      exchange.upstreams.delete(this);
      return exchange.settle(op, BROKEN);
    }
    if (exchange.dead) return;
    try {
      gateway.answered(op, this.response.status, head);
    } catch (error) {
      trapped(error);
    }
  }

  /** The next chunk. */
  async read(op) {
    let code = BROKEN, chunk;
    try {
      this.reader ??= (this.response.body ?? new Blob().stream()).getReader();
      let done;
      do {
        ({ done, value: chunk } = await this.reader.read());
      } while (!done && chunk.length === 0);
      code = done ? END : chunk.length;
      if (done) this.exchange.upstreams.delete(this);
    } catch {}
    this.exchange.settle(op, code, chunk);
  }

  /** The whole body. */
  async collect(op, limit) {
    const [code, bytes] = await collect(this.response, limit, this.declared, this.reader);
    if (code >= 0) this.exchange.upstreams.delete(this);
    this.exchange.settle(op, code, bytes);
  }

  release() {
    this.reader?.releaseLock();
    this.reader = null;
  }

  stop() {
    this.exchange.upstreams.delete(this);
    try {
      this.controller.abort();
    } catch {}
  }
}

/** The body of a reply that is being written. */
class Sink {
  constructor(exchange, text) {
    this.exchange = exchange;
    const { readable, writable } = new IdentityTransformStream();
    this.response = reply(text, readable);
    this.writable = writable;
    this.writer = null;
    this.writtenMs = 0;
    /** The runtime's pipe that holds the lock; never rejects. */
    this.piping = null;
  }

  async put(chunk) {
    if (this.piping !== null) await this.piping;
    this.writer ??= this.writable.getWriter();
    await this.writer.write(chunk);
  }

  async write(op, chunk) {
    let code = OK;
    try {
      await this.put(chunk);
    } catch {
      code = LEFT;
    }
    this.exchange.settle(op, code);
  }

  async writeThenRead(op, chunk, upstream) {
    this.writtenMs = 0;
    try {
      await (this.writer !== null ? this.writer.write(chunk) : this.put(chunk));
    } catch {
      this.exchange.settle(op, LEFT);
      return;
    }
    this.writtenMs = Date.now();
    // Not returned: to take a promise over costs an async function three turns.
    upstream.read(op);
  }

  /** The runtime's own pipe: not one byte of it is seen here. */
  async pipe(op, upstream) {
    let over;
    let code = OK;
    this.piping = new Promise((resolve) => { over = resolve; });
    try {
      this.writer?.releaseLock();
      this.writer = null;
      upstream.release();
      await upstream.response.body?.pipeTo(this.writable, { preventClose: true, preventAbort: true });
      this.exchange.upstreams.delete(upstream);
    } catch {
      code = BROKEN;
    }
    this.piping = null;
    over();
    if (code === BROKEN) {
      // Either side may have failed.
      try {
        this.writer = this.writable.getWriter();
        if (this.writer.desiredSize === null || this.exchange.request.signal?.aborted) code = LEFT;
      } catch {
        code = LEFT;
      }
    }
    this.exchange.settle(op, code);
  }

  async close(op) {
    let code = OK;
    try {
      if (this.piping !== null) await this.piping;
      this.writer ??= this.writable.getWriter();
      await this.writer.close();
    } catch {
      code = LEFT;
    }
    this.exchange.settle(op, code);
  }

  /** Breaks the client's connection off. */
  async abort() {
    this.exchange.sink = null;
    try {
      if (this.piping !== null) await this.piping;
      await (this.writer ?? this.writable).abort("the reply is not whole");
    } catch {}
  }
}

/** A response from its status and its headers' names and values in turn, a line each. */
function reply(text, body) {
  const [status, ...lines] = text.split("\n");
  const init = { status: Number(status), headers: named(lines) };
  try {
    return new Response(body, init);
  } catch {
    // A status that has no body, or none that the runtime lets out.
    const empty = status === "204" || status === "205" || status === "304";
    return new Response(null, empty ? init : { status: 502 });
  }
}

/**
 * Name and value in turn → an object, which the runtime reads in a third of the time that pairs take. Rust sends no name
 * twice.
 */
function named(lines) {
  const headers = {};
  for (let i = 0; i + 1 < lines.length; i += 2) headers[lines[i]] = lines[i + 1];
  return headers;
}
