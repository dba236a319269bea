// A request to an origin, to the point where its answer is whole or its stream has begun.

import { NOTHING } from "./instance.mjs";

/** What comes of it; workers.rs knows the numbers. */
export const SENT = {
  whole: 0, stream: 1, connect: 2, timeout: 3, broken: 4, tooLarge: 5, cancelled: 6, failed: 7, badStream: 8,
};
const OPENED = { notYet: 0, begun: 1, failed: 2 };

/**
 * One request to an origin: what came of it. Never throws. `abort` ends it, now and later; `signal` is the client's, if its
 * leaving shall end it too; `opened` says of each chunk of a stream whether that has begun.
 */
export async function ask(url, init, abort, signal, limits, opened) {
  if (signal?.aborted) return { outcome: SENT.cancelled };
  const left = () => abort.abort("left");
  signal?.addEventListener("abort", left);
  const timer = setTimeout(() => abort.abort("slow"), limits.first);
  let outcome = SENT.connect;
  try {
    const answer = await fetch(url, { ...init, redirect: "manual", signal: abort.signal });
    outcome = SENT.broken;
    const { status, headers } = answer;
    const type = headers.get("content-type") ?? "";
    const head = [
      type,
      headers.get("retry-after") ?? "",
      headers.get("retry-after-ms") ?? "",
      headers.get("x-moegate-signature") ?? "",
    ].join("\n");
    if (status === 200 && type.startsWith("text/event-stream") && answer.body) {
      const { body } = answer;
      const reader = body.getReader();
      const chunks = [];
      let held = 0;
      let state = OPENED.notYet;
      // Comments without end are no beginning either.
      while (state === OPENED.notYet && held <= limits.bytes) {
        const { done, value } = await reader.read();
        if (done) return { outcome };
        chunks.push(value);
        held += value.length;
        state = opened(value);
      }
      if (state !== OPENED.begun) {
        abort.abort("no stream");
        return { outcome: state === OPENED.failed ? SENT.failed : SENT.badStream, status, head };
      }
      const first = chunks.length === 1 ? chunks[0] : joined(chunks);
      // The listener stays: a client that leaves later ends the stream.
      signal = null;
      return { outcome: SENT.stream, status, head, stream: { body, reader, first, idle: limits.idle, until: limits.until } };
    }
    const bytes = await collect(answer, limits.bytes);
    if (bytes === null) {
      abort.abort("too large");
      return { outcome: SENT.tooLarge };
    }
    return { outcome: SENT.whole, status, bytes, head };
  } catch {
    const { reason } = abort.signal;
    return { outcome: reason === "left" ? SENT.cancelled : reason === "slow" ? SENT.timeout : outcome };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", left);
  }
}

/**
 * A whole body as bytes; null if it is over the limit. With a declared length within the limit the runtime collects it;
 * without one it is counted as it comes.
 */
export async function collect(message, limit) {
  const { headers } = message;
  const declared = headers.get("content-length");
  const encoded = headers.get("content-encoding");
  if (declared !== null && encoded === null) {
    return Number(declared) > limit ? null : new Uint8Array(await message.arrayBuffer());
  }
  // Only now: asking for `body` makes a stream.
  const { body } = message;
  if (!body) return NOTHING;
  const chunks = [];
  let total = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    total += value.length;
    if (total > limit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
  return joined(chunks, total);
}

function joined(chunks, total = chunks.reduce((sum, chunk) => sum + chunk.length, 0)) {
  const whole = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
