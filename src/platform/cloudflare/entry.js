// The Worker's entry.
//
// Rust (mod.rs) gets an `Exchange` for each request and calls its methods: few crossings, flat arguments. What takes time
// is an operation with a number; when it is over, `settle` tells Rust. An exchange also knows all that has to be ended if
// wasm traps (instance.js). The ledger's shards are objects of the class `Ledger`; shards.js asks them.

import { Exchange, load, wanted } from "./exchange.js";
import { enter, gateway, trapped } from "./instance.js";

export { Ledger } from "./ledger.js";

function failed(request) {
  const message = "the gateway failed on this request; it is ready for the next one";
  const body = { error: { message, type: "internal_server_error", param: null, code: "internal" } };
  const reply = Response.json(body, { status: 500 });
  const pages = wanted?.pages ?? [];
  const page = pages.includes("*") ? "*" : request.headers.get("origin");
  if (pages.includes(page)) reply.headers.set("access-control-allow-origin", page);
  return reply;
}

/** The context that Rust gets: the work that it hands over is what an exchange lives for, and `over` tells of its end. */
const OWN_CONTEXT = { waitUntil() {} };

export default {
  fetch(request, env, context) {
    return new Promise((resolve) => {
      const exchange = new Exchange(request, env, context);
      // Their reactions run in this request's turn, whoever resolves them.
      context.waitUntil(new Promise((over) => { exchange.over = over; }));
      const crashed = new Promise((crash) => { exchange.crash = crash; });
      crashed.then(() => {
        exchange.over();
        exchange.fail();
        resolve(failed(request));
      });
      try {
        enter(exchange);
        load();
        gateway.fetch(exchange, env, OWN_CONTEXT).then(resolve, trapped);
      } catch (error) {
        trapped(error);
      }
    });
  },
};
