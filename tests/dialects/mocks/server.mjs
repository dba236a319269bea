// An HTTP server for a mock provider: it keeps what it was asked, and sees when a client goes away.
//
// Beside the provider's own paths: `GET /_mock/log` tells what was asked (JSON, oldest first), `DELETE /_mock/log`
// forgets it, `PUT /_mock/force` with a JSON string makes every answer as if the last user message held that text
// (`"fail 429"`), and with `null` ends that. `GET /_mock/broken?text=…` tells whether the client of a request with that text
// went away before its answer's end.
import { createServer } from 'node:http';

const LIMIT_BYTES = 8 << 20;

/** A request and the answer to it. */
export class Exchange {
  #request;
  #response;

  constructor(mock, request, response, bytes) {
    this.#request = request;
    this.#response = response;
    const url = new URL(request.url, 'http://mock');
    Object.assign(this, { mock, method: request.method, path: url.pathname, query: url.searchParams, headers: request.headers, bytes });
    this.rawPath = request.url.split('?')[0];
    this.rawQuery = request.url.split('?')[1] ?? '';
    this.entry = { method: this.method, path: request.url, headers: request.headers, body: undefined, status: null, closed: false };
    mock.log.push(this.entry);
    response.on('close', () => {
      this.entry.closed = !response.writableFinished;
    });
  }

  /** The body as JSON; undefined when it is none. */
  json() {
    try {
      this.entry.body = JSON.parse(this.bytes.toString('utf8'));
    } catch {
      this.entry.body = undefined;
    }
    return this.entry.body;
  }

  /** True once the client went away. */
  get gone() {
    return this.#response.destroyed && !this.#response.writableFinished;
  }

  reply(status, body, headers = {}) {
    this.entry.status = status;
    const raw = Buffer.isBuffer(body);
    this.#response.writeHead(status, raw ? headers : { 'content-type': 'application/json', ...headers });
    this.#response.end(raw ? body : JSON.stringify(body));
  }

  open(type, headers = {}) {
    this.entry.status = 200;
    this.#response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache', ...headers });
    this.#response.flushHeaders();
  }

  write(text) {
    if (!this.#response.destroyed) this.#response.write(text);
  }

  /** Server-sent event: with a name (`event:`) or without. */
  event(data, name) {
    this.write(`${name ? `event: ${name}\n` : ''}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  }

  end(text) {
    this.#response.end(text);
  }

  /** Breaks the connection in the middle of the answer. */
  die() {
    this.#response.destroy();
  }
}

export class Mock {
  log = [];
  force = null;
  #server;
  #serial = 0;

  /** `answer(exchange)` handles every request; what it throws is answered by `failed(exchange, error)`. */
  constructor(name, { answer, failed }) {
    this.name = name;
    this.#server = createServer(async (request, response) => {
      const parts = [];
      let size = 0;
      try {
        for await (const part of request) {
          size += part.length;
          if (size > LIMIT_BYTES) return request.destroy();
          parts.push(part);
        }
      } catch {
        return; // The client went away while it was sending.
      }
      const bytes = Buffer.concat(parts);
      if (request.url.startsWith('/_mock/')) return this.#control(request, response, bytes);
      const exchange = new Exchange(this, request, response, bytes);
      try {
        await answer(exchange);
      } catch (error) {
        if (!response.headersSent) failed(exchange, error);
        else response.destroy(error);
      }
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  #told({ pathname, searchParams }) {
    if (pathname !== '/_mock/broken') return this.log;
    return this.log.some(({ closed, body }) => closed && JSON.stringify(body ?? null).includes(searchParams.get('text')));
  }

  #control(request, response, bytes) {
    response.setHeader('content-type', 'application/json');
    if (request.method === 'DELETE') this.log.length = 0;
    if (request.method === 'PUT') this.force = JSON.parse(bytes.toString('utf8'));
    response.end(request.method === 'GET' ? JSON.stringify(this.#told(new URL(request.url, 'http://mock'))) : '{}');
  }

  /** Ids as the service makes them, but told apart by a counter. */
  id(prefix, length = 24) {
    this.#serial += 1;
    return `${prefix}${this.#serial.toString(36).padStart(length, '0')}`;
  }

  async start(port = 0) {
    await new Promise((resolve, reject) => this.#server.once('error', reject).listen(port, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
