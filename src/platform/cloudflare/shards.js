// Asking the ledger's shards. Each request makes its own calls.
//
// Calls that several requests share cost less, and were tried: under load the runtime then runs what follows in another
// request's turn, and the reply fails ("Cannot perform I/O on behalf of a different request").

let warned = false;

/** The answer of a shard; `null` if there is none. */
export async function ask({ env, context }, name, operation) {
  if (!env.LEDGER) {
    if (!warned) {
      console.error(
        'moegate: there is no Durable Object with the binding LEDGER: add [[durable_objects.bindings]] name = "LEDGER", '
          + 'class_name = "Ledger" and [[migrations]] tag = "v1", new_sqlite_classes = ["Ledger"] to wrangler.toml',
      );
    }
    warned = true;
    return null;
  }
  try {
    const call = env.LEDGER.getByName(name).apply(name, operation);
    // It goes on though the request is over, or its instance has trapped.
    context.waitUntil(Promise.resolve(call).catch(() => {}));
    return await call;
  } catch (error) {
    console.error(`moegate: the ledger's shard ${name} did not answer: ${error}`);
    return null;
  }
}
