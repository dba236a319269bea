// What every client can do at every kind of origin, as a page of the docs that the suite writes and checks.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('../../docs/reference/dialects.md', import.meta.url));
const HEAD = `# Clients and origins

What \`cargo xtask test dialects\` saw: unmodified SDKs at the gateway, with each kind of origin behind it, in workerd and in
the Spin host. The suite writes this page (\`MOEGATE_UPDATE=1\`), and fails when it says something else.

`;

/** Reasons without what changes from run to run. */
const steady = (reason) => reason.replace(/127\.0\.0\.1:\d+/g, 'the gateway').replace(/\b[\w-]{20,}\b/g, '…').replaceAll('|', '\\|').slice(0, 160);

/** `results`: as \`Results.all\`, a world's name being \`host, route\`. A tick where every host agrees. */
export function page(results) {
  const route = ({ world }) => world.split(', ').at(-1);
  const parts = [HEAD];
  for (const [name, its] of Map.groupBy(results, route)) {
    const features = [...new Set(its.map((one) => one.feature))];
    const notes = [];
    parts.push(`## ${name}\n\n| client | ${features.join(' | ')} |\n|---|${features.map(() => ':-:').join('|')}|\n`);
    for (const [client, lines] of Map.groupBy(its, (one) => one.client)) {
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
    parts.push('\n', ...notes.map((note, index) => `${index + 1}. ${note}\n`), notes.length > 0 ? '\n' : '');
  }
  return `${parts.join('').trimEnd()}\n`;
}

/** Writes the page with MOEGATE_UPDATE=1; otherwise null, or what is wrong with the one that is there. */
export function compare(results) {
  const text = page(results);
  if (process.env.MOEGATE_UPDATE === '1') {
    writeFileSync(PAGE, text);
    return null;
  }
  if (existsSync(PAGE) && readFileSync(PAGE, 'utf8') === text) return null;
  return 'docs/reference/dialects.md is not what this run saw: run `MOEGATE_UPDATE=1 cargo xtask test dialects`, and look at what changed';
}
