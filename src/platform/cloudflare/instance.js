// The instance of the module that wasm-bindgen made, and what happens when it traps: nobody vouches for its memory then, so
// nothing calls it again. The next request gets a new one, and every request in flight ends with an error.

import * as gateway from "./moegate.js";

export { gateway };

/**
 * wasm-bindgen runs wasm's tasks by this. workerd's own is a call into C++ each time; a reaction of a promise comes at the
 * same moment without one (bench/README.md has the difference).
 */
globalThis.queueMicrotask = (task) => {
  Promise.resolve().then(task);
};

/** What the crate `worker` says of the instance: its panic hook sets `criticalError`. */
const state = gateway.__worker_init_state();

/** The requests that the instance works on. */
let inFlight = new Set();

/** To be called before wasm is, where nothing of it is under way: sees to a panic that nothing has seen. */
export function ready() {
  if (state.criticalError) trapped("a panic");
}

/** An exchange is going to call wasm. */
export function enter(exchange) {
  ready();
  inFlight.add(exchange);
}

export function leave(exchange) {
  inFlight.delete(exchange);
}

/** wasm has trapped, or had no memory or no stack left: nothing calls this instance again. */
export function trapped(error) {
  const broken = inFlight;
  inFlight = new Set();
  state.criticalError = false;
  state.instanceId += 1;
  gateway.__wbg_reset_state();
  for (const exchange of broken) {
    exchange.dead = true;
    exchange.crash();
  }
  console.error(`moegate: the gateway failed: ${error?.stack ?? error}`);
}

/** Whether that is what wasm threw, and not an error that it has returned. */
export function isTrap(error) {
  // A stack that overflows is a RangeError.
  return state.criticalError || error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

/** What escapes from a microtask that wasm has queued. */
addEventListener("error", ({ error }) => {
  if (isTrap(error)) trapped(error);
});
addEventListener("unhandledrejection", ({ reason }) => {
  if (isTrap(reason)) trapped(reason);
});
