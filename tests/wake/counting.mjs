// A proxy between clients and the gateway: what each client has sent, and what it was answered. A client's base URL is
// `proxy.of(name)`.
import { createServer, request as send } from 'node:http';

export class Counting {
  /** Requests, each with its client and answer; times in milliseconds of the clock. */
  seen = [];
  #server;

  constructor(target) {
    this.target = target;
  }

  start() {
    this.#server = createServer((request, response) => this.#pass(request, response));
    return new Promise((ready) => this.#server.listen(0, '127.0.0.1', ready));
  }

  of(name) {
    return `http://127.0.0.1:${this.#server.address().port}/${name}/v1`;
  }

  /** What a client has sent, and forgets it. */
  take(name) {
    const its = this.seen.filter((one) => one.name === name);
    this.seen = this.seen.filter((one) => one.name !== name);
    return its;
  }

  #pass(request, response) {
    const [, name, path] = /^\/(\w+)(\/.*)$/.exec(request.url);
    const entry = { name, began: Date.now() };
    this.seen.push(entry);
    const { host, ...headers } = request.headers;
    const onward = send(`${this.target}${path}`, { method: request.method, headers }, (answer) => {
      entry.head = Date.now();
      entry.status = answer.statusCode;
      entry.headers = answer.headers;
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.once('data', () => { entry.first = Date.now(); });
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }

  stop() {
    this.#server.closeAllConnections();
    return new Promise((closed) => this.#server.close(closed));
  }
}
