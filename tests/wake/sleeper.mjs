// An origin that sleeps, played: `/health`, `/wake` and chat completions as a moe-server has them, and a wake that takes as
// long as the suite says. Its clock may be wrong.
import { createServer } from 'node:http';

const event = (value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;

export class Sleeper {
  state = 'cold';
  startMs = 3_000;
  /** By how much its clock is wrong. */
  skewMs = 0;
  /** Why wakes fail, if they do. */
  reason;
  wakes = 0;
  doubled = 0;
  served = 0;
  /** When the last wake that succeeded ended, by this process's clock. */
  readyAt = 0;
  #server;
  #sockets = new Set();
  #timer;

  constructor(port, sleeps = true) {
    this.port = port;
    if (!sleeps) this.state = 'ready';
  }

  start() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    return new Promise((ready) => this.#server.listen(this.port, '127.0.0.1', ready));
  }

  stop() {
    clearTimeout(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((closed) => this.#server.close(closed));
  }

  sleep() {
    clearTimeout(this.#timer);
    this.state = 'cold';
    this.reason = undefined;
  }

  #status() {
    return { state: this.state, since_ms: Date.now() + this.skewMs, ...(this.state === 'cold' && this.reason && { reason: this.reason }) };
  }

  /** Takes work from now on. */
  #isReady() {
    this.state = 'ready';
    this.readyAt = Date.now();
  }

  /** Ends a wake before its time. */
  finish() {
    clearTimeout(this.#timer);
    if (this.state === 'waking') this.#isReady();
  }

  #wake() {
    if (this.state === 'waking') this.doubled += 1;
    if (this.state !== 'cold') return;
    this.wakes += 1;
    this.state = 'waking';
    const { reason } = this;
    this.#timer = setTimeout(() => {
      if (reason) this.state = 'cold';
      else this.#isReady();
    }, this.startMs);
  }

  async #serve(request, response) {
    let text = '';
    for await (const piece of request) text += piece;
    const json = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    if (request.url === '/health') return json(200, this.#status());
    if (request.url === '/wake') {
      this.#wake();
      return json(this.state === 'ready' ? 200 : 202, this.#status());
    }
    if (request.url.includes('/receipts/')) return json(404, {});
    if (this.state !== 'ready') {
      response.setHeader('retry-after', '5');
      return json(503, { error: { message: 'it sleeps', type: 'overloaded', code: this.state === 'cold' ? 'asleep' : 'waking' } });
    }
    this.served += 1;
    const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
    const base = { id: 'c', created: 1, model: 'm' };
    if (!JSON.parse(text).stream) {
      const message = { role: 'assistant', content: 'Good morning.' };
      return json(200, { ...base, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage });
    }
    const chunk = (delta, finish_reason = null) => event({ ...base, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(
      chunk({ role: 'assistant', content: 'Good ' }) + chunk({ content: 'morning.' }) + chunk({}, 'stop')
      + event({ ...base, object: 'chat.completion.chunk', choices: [], usage }) + event('[DONE]'),
    );
  }
}
