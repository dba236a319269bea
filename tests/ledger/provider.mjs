// A provider that knows the truth: what it computed for every attempt, by the id that the gateway sent along.
import { createServer } from 'node:http';

const chunk = (delta, more = {}) => ({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null }], ...more });
const event = (value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

export class Provider {
  /** What each attempt came to: id → { way, usage, sent }. `sent`: content events that were written. */
  truth = new Map();
  #server;
  #sockets = new Set();

  constructor(name, port, random) {
    this.name = name;
    this.port = port;
    this.random = random;
  }

  start() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    return new Promise((ready) => this.#server.listen(this.port, '127.0.0.1', ready));
  }

  /** Every connection is gone in this moment. */
  kill() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  stop() {
    this.kill();
    return new Promise((closed) => this.#server.close(closed));
  }

  async #serve(request, response) {
    const id = request.headers['x-moegate-request-id'];
    let text = '';
    try {
      for await (const piece of request) text += piece;
    } catch {
      return;
    }
    const asked = JSON.parse(text);
    const way = asked.messages[0].way ?? /way=(\w+)/.exec(asked.messages[0].content)?.[1] ?? 'whole';
    const fails = /fails=(\w+)/.exec(asked.messages[0].content)?.[1] === this.name;
    const usage = { prompt_tokens: 10 + Math.floor(this.random() * 90), completion_tokens: 1 + Math.floor(this.random() * 20) };
    const known = { way: fails ? 'fails' : way, usage, sent: 0, stream: asked.stream === true, finished: false };
    if (this.truth.has(id)) throw new Error(`the attempt ${id} came twice`);
    this.truth.set(id, known);
    response.on('error', () => {});
    const json = (status, body) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body), () => { known.finished = true; });
    };
    switch (known.way) {
      case 'fails':
        return json(503, { error: { message: 'overloaded', type: 'server_error' } });
      case 'broken500':
        return json(500, { error: { message: 'it broke', type: 'server_error' } });
      case 'reset':
        return request.socket.resetAndDestroy();
      case 'slow':
        await pause(50 + this.random() * 300);
        break;
      case 'refused':
        return json(400, { error: { message: 'no such parameter', type: 'invalid_request_error' } });
    }
    const total = { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens };
    if (!known.stream) {
      return json(200, {
        id: 'c', object: 'chat.completion', created: 1, model: 'm', usage: total,
        choices: [{ index: 0, message: { role: 'assistant', content: 'word '.repeat(usage.completion_tokens) }, finish_reason: 'stop' }],
      });
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const cut = known.way === 'cut' ? Math.ceil(usage.completion_tokens / 2) : Infinity;
    for (let word = 0; word < usage.completion_tokens; word += 1) {
      if (word === cut) return request.socket.resetAndDestroy();
      if (response.destroyed) return;
      response.write(event(chunk({ content: 'word ' })));
      known.sent += 1;
      if (this.random() < 0.3) await pause(this.random() * 12);
    }
    response.write(event({ ...chunk({}), choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }));
    response.write(event({ ...chunk({}), choices: [], usage: total }));
    response.end(event('[DONE]'), () => { known.finished = true; });
  }
}
