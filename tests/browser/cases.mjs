// What somebody does with the chat page. Each case has a page of its own.
import assert from 'node:assert/strict';
import { until } from './world.mjs';

const STORY = 'Tell me a long story';
/** A tab's Stop, or its end, must have reached the origin by then. */
const STOP_MS = 1000;

async function ask(page, text, { model, tools = true } = {}) {
  if (model) await page.getByLabel('Model').selectOption(model);
  await page.getByLabel('Tools').setChecked(tools);
  await page.getByLabel('Message').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

const answer = (page) => page.locator('article.assistant').last();
const textOf = (page) => answer(page).locator('.text').last().textContent();
const told = async (page, what) => (await answer(page).locator(`[data-told=${what}]`).textContent()).trim();
const ended = (page) => page.getByRole('button', { name: 'Send' }).waitFor();

/** Waits until the answer has begun and is not at its end. */
const underWay = (page) => until('the answer to be under way', async () => (await page.locator('article.assistant .text').count()) > 0 && /sentence 2 /.test(await textOf(page)));

function whole(text) {
  const numbers = [...text.matchAll(/This is sentence (\d+) of a long answer\./g)].map(([, number]) => Number(number));
  assert.deepEqual(numbers, Array.from({ length: 60 }, (_, at) => at + 1));
}

export const cases = {
  async 'an answer streams, and its cost and route stand under it'({ page }) {
    await ask(page, 'Hello there');
    const first = await until('the first words', async () => (await answer(page).count()) > 0 && (await textOf(page)));
    await ended(page);
    const text = await textOf(page);
    assert.ok(first.length < text.length && text.startsWith(first), `it came in one piece: ${first}`);
    assert.match(text, /You wrote: “Hello there”/);
    assert.match(await told(page, 'cost'), /^\$0\.000\d+$/);
    assert.equal(await told(page, 'origin'), 'mock-openai / mock');
    assert.equal(await told(page, 'attempts'), '1');
  },

  async 'a tool is called, and the answer is made of its result'({ page, shot }) {
    await ask(page, 'What is the weather in Rome?');
    await ended(page);
    assert.match(await textOf(page), /weather gave .*Rome/);
    await page.locator('[data-tool=weather] summary').click();
    assert.match(await page.locator('[data-tool=weather]').textContent(), /"city": "Rome"[^]*"degrees"/);
    assert.equal(await told(page, 'attempts'), '2');
    await shot('tool');
  },

  async 'an origin that fails is not noticed, and the line says who answered'({ page }) {
    await ask(page, 'What is moegate?', { model: 'mock-fallback', tools: false });
    await ended(page);
    // The demo model's answers are drawn.
    assert.notEqual((await textOf(page)).trim(), '');
    assert.equal(await told(page, 'origin'), 'local / demo');
    assert.equal(await told(page, 'attempts'), '2');
  },

  async 'an origin that breaks off in the middle is gone on with by another'({ page, world }) {
    await ask(page, STORY, { model: 'mock-takeover' });
    await ended(page);
    whole(await textOf(page));
    assert.equal(await told(page, 'origin'), 'mock-backup / mock');
    assert.equal(await told(page, 'attempts'), '2');
    const rows = await until('both records', async () => {
      const found = await world.records(await told(page, 'id'));
      return found.length === 2 && found.every(({ ending }) => ending) && found;
    });
    assert.deepEqual(rows.map(({ origin, ending }) => `${origin} ${ending}`), ['mock-openai truncated', 'mock-backup complete']);
  },

  async 'Stop stops the origin within a second, and the record says cancelled, with counts'({ page, world, shot }) {
    const prompt = `${STORY} until I stop you`;
    await ask(page, prompt);
    await underWay(page);
    assert.equal(await world.stopped(prompt), false);
    await page.getByRole('button', { name: 'Stop' }).click();
    await until('the origin to be stopped', () => world.stopped(prompt), STOP_MS);
    await ended(page);
    assert.match(await answer(page).locator('.receipt').textContent(), /stopped/);
    const id = await told(page, 'id');
    const [row] = await until('the record', async () => {
      const found = await world.records(id);
      return found[0]?.ending && found;
    });
    assert.equal(row.ending, 'cancelled');
    assert.ok(row.usage.prompt > 0 && row.usage.completion > 0 && row.cost_nanodollars > 0, JSON.stringify(row));
    await shot('stopped');
    // And the conversation goes on.
    await ask(page, 'Hello again');
    await ended(page);
    assert.match(await textOf(page), /Hello again/);
  },

  async 'a reload in the middle of an answer stops the origin and keeps the conversation'({ page, world }) {
    const prompt = `${STORY} until I reload`;
    await ask(page, prompt);
    await underWay(page);
    await page.reload();
    await until('the origin to be stopped', () => world.stopped(prompt), STOP_MS);
    assert.equal((await page.locator('article.user').last().textContent()).replace(/^You/, ''), prompt);
    assert.match(await textOf(page), /^This is sentence 1 /);
  },

  async 'an error is shown in the words of the gateway, and one may try again'({ page, shot }) {
    await ask(page, 'Hello', { model: 'mock/error-500' });
    const alert = page.locator('.problem');
    await alert.waitFor();
    assert.match(await alert.textContent(), /was asked to fail with 500/);
    await shot('error');
    await page.getByLabel('Model').selectOption('mock');
    await page.getByRole('button', { name: 'Try again' }).click();
    await alert.waitFor({ state: 'detached' });
    await ended(page);
    assert.match(await textOf(page), /You wrote: “Hello”/);
  },

  async 'an answer that breaks off with nobody to take over is an error, and what came stays'({ page }) {
    await ask(page, STORY, { model: 'mock/break' });
    await page.locator('.problem').waitFor();
    assert.match(await page.locator('.problem').textContent(), /broke off/);
    assert.match(await textOf(page), /^This is sentence 1 /);
  },

  async 'an object by a schema'({ page, open, shot }) {
    await open('/object');
    await page.getByRole('button', { name: 'Write' }).click();
    await page.getByRole('heading', { name: 'lasagna' }).waitFor();
    assert.equal(await page.locator('article li').count(), 5);
    assert.match(await page.locator('[data-told=cost]').textContent(), /^\$0\.000/);
    await shot('object');
  },

  async 'an image'({ page, open, shot }) {
    await open('/image');
    await page.getByRole('button', { name: 'Draw' }).click();
    const image = page.getByRole('img', { name: 'The answer to the prompt' });
    await image.waitFor();
    assert.equal(await image.evaluate((element) => element.naturalWidth), 256);
    assert.match(await page.locator('[data-told=cost]').textContent(), /^\$0\.01/);
    await shot('image');
  },
};
