// What SDKs show of an origin that sleeps, as a section of the docs that the suite writes and checks.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PAGE = 'docs/concepts/wake.md';
const TITLE = '## What a client\'s developer sees\n';

/** The SDKs' versions, as set-up installs them. */
function versions() {
  const { dependencies } = JSON.parse(readFileSync(at('xtask/node/package.json'), 'utf8'));
  const npm = ['openai', 'ai', '@ai-sdk/openai-compatible', '@ai-sdk/openai'].map((name) => `npm \`${name}\` ${dependencies[name]}`);
  const python = /^openai==([\w.]+)/m.exec(readFileSync(at('xtask/python/requirements.txt'), 'utf8'))[1];
  return [`PyPI \`openai\` ${python}`, ...npm].join(', ');
}

/** One cell; `note(message)` gives the number of an error's text. */
function cell({ text, error, requests, stream, headAtOnce, atOnce }, note) {
  if (!error) {
    if (atOnce) return 'the answer, at once';
    if (requests.length > 1) return 'the answer after the start, by its own retries';
    return `the answer after the start${stream && headAtOnce ? ', the head at once' : ''}`;
  }
  const parts = [`\`${error.class}\``, error.status, `\`${error.code}\``].filter(Boolean).join(' ');
  const where = error.finish ? ` in \`onError\`; ${error.finish}` : '';
  const text_ = text ? `, after \`${text}\`` : '';
  return `${parts}${where}${text_}, ${requests.length === 1 ? '1 request' : `${requests.length} requests`} [${note(error.message)}]`;
}

/** `rows`: one host's, as `ask` leaves them. */
function section(rows, sdks) {
  const notes = [];
  const note = (message) => {
    const steady = message.replace(/\d+ s\b/g, 'N s');
    if (!notes.includes(steady)) notes.push(steady);
    return notes.indexOf(steady) + 1;
  };
  const names = Object.keys(sdks);
  const lines = rows.flatMap(({ cold, wake, all }) => {
    const cells = [false, true].map((stream) =>
      names.map((sdk) => cell(all.find((one) => one.sdk === sdk && one.stream === stream), note)).join(' | '));
    const both = cells[0] === cells[1];
    const line = (asked, its) => `| \`${cold}\` | ${wake} | ${asked} | ${its} |\n`;
    return both ? [line('either way', cells[0])] : [line('whole', cells[0]), line('streamed', cells[1])];
  });
  const heads = names.map((name) => sdks[name].title);
  return `${TITLE}
SDKs with their default retries and time limits, as \`cargo xtask test wake\` saw them in workerd and in the Spin host:
${versions()}.
The suite writes this section (\`MOEGATE_UPDATE=1\`), and fails when it says something else. A start that ends in time
takes 4 s; one that takes longer is not over while the client asks, and \`hold\` waits for 4 s there.

| \`cold\` | the start | asked | ${heads.join(' | ')} |
|---|---|---|${heads.map(() => '---|').join('')}
${lines.join('')}
${notes.map((text, index) => `${index + 1}. ${text}\n`).join('')}
SDKs retry a 503 or a 504 twice, after what \`Retry-After\` says, which is 59 s at most: with \`refuse\` their retries span
two minutes, and a start that takes no longer than those that were seen. With \`hold\` each retry waits for the same start.
An error in a stream comes after the head, and is retried by \`@ai-sdk/openai\` alone, which guesses a status for it. A loop over
the AI SDK's \`textStream\` ends without an exception whatever happened: look at \`onError\`.

`;
}

/** Holds the docs to what was seen, or writes them with MOEGATE_UPDATE=1. */
export function check(rows, sdks) {
  const page = readFileSync(at(PAGE), 'utf8');
  const begin = page.indexOf(TITLE);
  const end = page.indexOf('\n## ', begin) + 1;
  if (begin < 0 || end <= 0) throw new Error(`${PAGE} has no section \`${TITLE.trim()}\` with another one behind it`);
  const text = section(rows, sdks);
  if (page.slice(begin, end) === text) return;
  if (process.env.MOEGATE_UPDATE !== '1') {
    throw new Error(`${PAGE} is not what this run saw: run \`MOEGATE_UPDATE=1 cargo xtask test wake\`, and look at what changed. Seen:\n${text}`);
  }
  writeFileSync(at(PAGE), page.slice(0, begin) + text + page.slice(end));
}
