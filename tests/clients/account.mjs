// What all clients together have left in the account.
import assert from 'node:assert/strict';

export const cases = {
  async 'usage adds up'(world) {
    const { totals, by_key, by_model, by_origin, by_ending, by_tenant, by_route } = await world.usage();
    assert.ok(totals.requests > 15, `${totals.requests}`);
    assert.ok(totals.prompt_tokens > 0 && totals.completion_tokens > 0);
    for (const group of [by_key, by_model, by_origin, by_ending, by_tenant, by_route]) {
      for (const [name, total] of Object.entries(totals)) {
        const sum = Object.values(group).reduce((all, one) => all + (one[name] ?? 0), 0);
        assert.equal(sum, total, name);
      }
    }
    assert.deepEqual(Object.keys(by_key), ['app']);
    assert.deepEqual(Object.keys(by_origin), ['own']);
    const records = await world.records();
    assert.equal(records.length, totals.attempts);
    for (const { state, metered, usage, ending, cost_nanodollars, bound_nanodollars } of records) {
      if (state === 'settled') {
        // The suite's prices per token, in nano-dollars: 1,000 input, 500 cached, 2,000 output.
        assert.ok(metered);
        assert.equal(cost_nanodollars, (usage.prompt - usage.cached) * 1000 + usage.cached * 500 + usage.completion * 2000);
        assert.ok(cost_nanodollars <= bound_nanodollars, `${cost_nanodollars} of ${bound_nanodollars}`);
      } else {
        // What died with the server has no receipt: it counts as the most that it can have cost.
        assert.deepEqual([state, metered, ending, cost_nanodollars], ['estimated', false, 'truncated', bound_nanodollars]);
      }
    }
    assert.equal(totals.cost_nanodollars, records.reduce((all, record) => all + record.cost_nanodollars, 0));
    assert.equal(totals.unmetered_attempts, by_ending.truncated.requests);
    assert.equal(totals.estimated_attempts, by_ending.truncated.requests);
  },
};
