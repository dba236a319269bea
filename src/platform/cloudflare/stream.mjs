// The two ways of a stream (docs/ARCHITECTURE.md, "Streams"). Both return an outcome that workers.rs knows by number.

const COMPLETE = 0, CANCELLED = 1, TRUNCATED = 3;

/** How an origin's stream closes; abi.rs knows the numbers. */
const CLEAN = 0, BROKEN = 1, IDLE = 2, LATE = 3;

const closed = ({ signal: { reason } }) => (reason === "idle" ? IDLE : reason === "late" ? LATE : BROKEN);

/**
 * The first chunk, then the runtime's own pipe: not one byte more is seen here. If the origin breaks off, or the time is
 * over, the client gets what `cutOff` says (an error event) and no end mark.
 */
export async function relay({ body, reader, first, until }, writable, cutOff, signal, abort) {
  const timer = setTimeout(() => abort.abort("late"), until - Date.now());
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
      await writer.write(cutOff(closed(abort)));
      await writer.close();
      return TRUNCATED;
    } catch {
      abort.abort("left");
      return CANCELLED;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Every chunk past the scanner, which says what goes on to the client. */
export async function pump({ reader, first, idle, until }, writer, scanner, signal, abort) {
  // One timer for the whole stream, set anew only when it fires. A client that is slow to take a chunk is not the
  // origin's silence.
  let since = Infinity;
  let timer;
  const watch = () => {
    const now = Date.now();
    if (now >= until) abort.abort("late");
    else if (now - since >= idle) abort.abort("idle");
    else timer = setTimeout(watch, Math.min(until, since === Infinity ? now + idle : since + idle) - now);
  };
  watch();
  try {
    let close = CLEAN;
    let chunk = { done: false, value: first };
    while (!chunk.done) {
      const forward = scanner.push(chunk.value);
      try {
        if (forward.length > 0) await writer.write(forward);
      } catch {
        abort.abort("left");
        return CANCELLED;
      }
      if (scanner.over) {
        abort.abort("over");
        close = BROKEN;
        break;
      }
      try {
        since = Date.now();
        chunk = await reader.read();
        since = Infinity;
      } catch {
        close = closed(abort);
        break;
      }
    }
    if (signal?.aborted) {
      writer.abort(signal.reason).catch(() => {});
      return CANCELLED;
    }
    const [outcome, last] = scanner.end(close);
    // Another origin may go on.
    if (last === null) return outcome;
    try {
      if (last.length > 0) await writer.write(last);
      await writer.close();
      return outcome;
    } catch {
      return CANCELLED;
    }
  } finally {
    clearTimeout(timer);
  }
}
