// What all clients together have left in the books.
import assert from 'node:assert/strict';

export const cases = {
  async 'usage adds up'(world) {
    const { totals, by_key, by_model, by_origin, by_ending } = await world.usage();
    assert.ok(totals.requests > 15, `${totals.requests}`);
    assert.ok(totals.prompt_tokens > 0 && totals.completion_tokens > 0);
    for (const group of [by_key, by_model, by_origin, by_ending]) {
      for (const [name, total] of Object.entries(totals)) {
        const sum = Object.values(group).reduce((all, one) => all + one[name], 0);
        assert.equal(sum, total, name);
      }
    }
    assert.deepEqual(Object.keys(by_key), ['app']);
    assert.deepEqual(Object.keys(by_origin), ['own']);
    // The suite's prices per token, in nano-dollars: 1,000 input, 500 cached, 2,000 output.
    const cost =
      (totals.prompt_tokens - totals.cached_tokens) * 1000 + totals.cached_tokens * 500 + totals.completion_tokens * 2000;
    assert.equal(totals.cost_nanodollars, cost);
    // Only what died with the server has no receipt.
    assert.equal(totals.unmetered_attempts, by_ending.truncated.requests);
  },
};
