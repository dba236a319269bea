// What every SDK can do at every kind of origin, as a page of the docs that the suite writes and checks.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PAGE = 'docs/reference/sdks.md';
const HEAD = `# SDKs and origins

What \`cargo xtask test dialects\` saw: unmodified SDKs at the gateway, with each kind of origin behind it, in workerd and in
the Spin host. The providers are mocks, as strict as the real ones; behind \`to-moegate\` is moe-server with the demo model,
which has neither tools nor eyes. The suite writes this page (\`MOEGATE_UPDATE=1\`), and fails when it says something else.

✓: both hosts did what the SDK, straight at its own provider, gets. Of reasoning that is: the thoughts are in the answer where the
SDK has a place for them, their tokens in the usage where the origin counts them, and in the next step of a loop of tools the
origin gets them back where SDK and origin have a signature for them. Between Anthropic's or Bedrock's origins and clients of chat
completions that send no \`reasoning_details\` back, the next step is made without thinking. From Gemini's origins the signature
goes in the tool call's id, which every client sends back.
`;

/** Reasons without what changes from run to run. */
const steady = (reason) => reason.replace(/127\.0\.0\.1:\d+/g, 'the gateway').replace(/\b[\w-]{20,}\b/g, '…').replaceAll('|', '\\|').slice(0, 160);

/** The SDKs' versions, as set-up installs them. */
function versions() {
  const { dependencies } = JSON.parse(readFileSync(at('xtask/node/package.json'), 'utf8'));
  const npm = Object.entries(dependencies).filter(([name]) => /^(@ai-sdk\/|@anthropic-ai\/|@google\/|ai\d?$|openai$)/.test(name))
    // Older versions stand there under names of their own: `npm:ai@5.0.277`.
    .map(([name, version]) => /^npm:(.+)@(.+)$/.exec(version)?.slice(1) ?? [name, version]);
  const wanted = readFileSync(at('xtask/python/sdks.in'), 'utf8').split('\n').filter(Boolean);
  const locked = Object.fromEntries([...readFileSync(at('xtask/python/sdks.txt'), 'utf8').matchAll(/^([\w.-]+)==([\w.]+)/gm)].map(([, name, version]) => [name, version]));
  const pypi = wanted.filter((name) => /^(anthropic|google-genai|litellm|openai)$/.test(name)).map((name) => [name, locked[name]]);
  const row = (registry) => ([name, version]) => `| ${registry} | \`${name}\` | ${version} |\n`;
  return `\n| | SDK | version |\n|---|---|---|\n${npm.map(row('npm')).join('')}${pypi.map(row('PyPI')).join('')}`;
}

/** `results`: as \`Results.all\`, a world's name being \`host, route\`. A tick where every host agrees. */
export function page(results) {
  const parts = [HEAD, versions()];
  const route = ({ world }) => world.split(', ').at(-1);
  const order = (a, b) => (a < b ? -1 : 1);
  for (const [name, its] of [...Map.groupBy(results, route)].sort(([a], [b]) => order(a, b))) {
    const features = [...new Set(its.map((one) => one.feature))];
    const notes = [];
    parts.push(`\n## ${name}\n\n| client | ${features.join(' | ')} |\n|---|${features.map(() => ':-:').join('|')}|\n`);
    for (const [client, lines] of [...Map.groupBy(its, (one) => one.client)].sort(([a], [b]) => order(a, b))) {
      const cells = features.map((feature) => {
        const seen = lines.filter((one) => one.feature === feature);
        if (seen.length === 0) return ' ';
        const bad = seen.find((one) => !one.ok);
        if (!bad) return '✓';
        const note = steady(bad.reason);
        if (!notes.includes(note)) notes.push(note);
        return `✗ [${notes.indexOf(note) + 1}]`;
      });
      parts.push(`| ${client} | ${cells.join(' | ')} |\n`);
    }
    parts.push(...notes.map((note, index) => `\n${index + 1}. ${note}\n`));
  }
  return parts.join('');
}

/** Writes the page with MOEGATE_UPDATE=1; otherwise null, or what is wrong with the one that is there. */
export function compare(results) {
  const text = page(results);
  if (process.env.MOEGATE_UPDATE === '1') {
    writeFileSync(at(PAGE), text);
    return null;
  }
  if (existsSync(at(PAGE)) && readFileSync(at(PAGE), 'utf8') === text) return null;
  return `${PAGE} is not what this run saw: run \`MOEGATE_UPDATE=1 cargo xtask test dialects\`, and look at what changed`;
}
