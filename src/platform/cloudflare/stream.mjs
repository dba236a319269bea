// The two ways of a stream (docs/ARCHITECTURE.md, "Streams"). Both return an outcome that op.rs knows by number.

const COMPLETE = 0, CANCELLED = 1, TRUNCATED = 3;

/**
 * The first chunk, then the runtime's own pipe: not one byte more is seen here. If the origin breaks off, the client gets
 * `broken` (an error event) and no end mark.
 */
export async function relay({ body, reader, first }, init, resolve, broken, signal, abort) {
  const { readable, writable } = new IdentityTransformStream();
  resolve(new Response(readable, init));
  let writer = writable.getWriter();
  try {
    await writer.write(first);
    writer.releaseLock();
    reader.releaseLock();
    await body.pipeTo(writable, { preventAbort: true });
    return COMPLETE;
  } catch {
    // Either side may have failed. If the client is there, it still takes the error event.
    writer.releaseLock();
    try {
      if (signal?.aborted) throw signal.reason;
      writer = writable.getWriter();
      await writer.write(broken);
      await writer.close();
      return TRUNCATED;
    } catch {
      abort.abort("left");
      return CANCELLED;
    }
  }
}

/** Every chunk past the scanner, which says what goes on to the client. */
export async function pump({ reader, first }, init, resolve, scanner, signal, abort) {
  const { readable, writable } = new IdentityTransformStream();
  resolve(new Response(readable, init));
  const writer = writable.getWriter();
  let clean = true;
  let chunk = { done: false, value: first };
  while (!chunk.done) {
    const forward = scanner.push(chunk.value);
    try {
      if (forward.length > 0) await writer.write(forward);
    } catch {
      abort.abort("left");
      return CANCELLED;
    }
    try {
      chunk = await reader.read();
    } catch {
      clean = false;
      break;
    }
  }
  if (signal?.aborted) {
    writer.abort(signal.reason).catch(() => {});
    return CANCELLED;
  }
  const [outcome, last] = scanner.end(clean);
  try {
    if (last.length > 0) await writer.write(last);
    await writer.close();
    return outcome;
  } catch {
    return CANCELLED;
  }
}
