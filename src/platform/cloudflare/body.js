// Bodies on their way into wasm, and what settles the operations that bring them.

/** What settles an operation besides a length or a status; operation.rs knows the numbers. */
export const OK = 0, END = -1, BROKEN = -2, TOO_LARGE = -3, LEFT = -4;

/** Bodies above this many bytes are not put together in JavaScript: wasm takes the chunks one by one. */
const LARGE = 1 << 20;

/**
 * A body as one array, or as its chunks if it is large and has no length: its length, or what went wrong, and the bytes.
 * With a declared length the runtime collects it; without one (`null`) it is counted as it comes.
 */
export async function collect(message, limit, declared, reader = null) {
  try {
    if (reader === null) {
      if (declared !== null) {
        if (Number(declared) > limit) return [TOO_LARGE];
        const bytes = new Uint8Array(await message.arrayBuffer());
        return [bytes.length, bytes];
      }
      // Only now: asking for `body` makes a stream.
      reader = message.body?.getReader();
      if (!reader) return [0];
    }
    const chunks = [];
    let total = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      if (total > limit) {
        await reader.cancel();
        return [TOO_LARGE];
      }
      chunks.push(value);
    }
    if (chunks.length === 1) return [total, chunks[0]];
    if (total > LARGE) return [total, chunks];
    const whole = new Uint8Array(total);
    fill(whole, chunks);
    return [total, whole];
  } catch {
    return [BROKEN];
  }
}

/** Copies an array, or chunks that are let go one by one, to `target`. */
export function fill(target, chunks) {
  if (chunks instanceof Uint8Array) return target.set(chunks);
  chunks.reverse();
  for (let at = 0; chunks.length > 0; ) {
    const chunk = chunks.pop();
    target.set(chunk, at);
    at += chunk.length;
  }
}
