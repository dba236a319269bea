// What the stand-in provider answers: the script's counterpart in tests/dialects/mocks, in words for people.
import { sample } from '../../../tests/dialects/mocks/sample.mjs';

const PACE_MS = 30;
const LONG_SENTENCES = 60;

const about = (prompt) => `You wrote: “${prompt.trim().slice(0, 200)}”.`;
const PLAIN =
  'This is the stand-in provider that `cargo xtask run` starts: it knows nothing, but answers as a provider would. ' +
  'Give it a tool and it calls it, give it a JSON schema and it returns an object, ask for something long and there is time to press Stop.';

/** The first word after "in", "for", "of" or "about", or else the first that begins with a capital: good enough for a city. */
const subject = (prompt) =>
  /\b(?:in|for|of|about)\s+([\p{L}-]+)/u.exec(prompt)?.[1] ?? /\s(\p{Lu}[\p{L}-]+)/u.exec(prompt)?.[1] ?? 'something';

/** A value for a schema, whose strings are the prompt's subject or say what they stand for. */
const filled = (schema, prompt) => {
  let first = true;
  const text = ({ description }, name) => {
    const value = first ? subject(prompt) : description ?? `${name ?? 'text'} of ${subject(prompt)}`;
    first = false;
    return value;
  };
  return sample(schema, { text });
};

/** The tools that the prompt asks for: those with a word of their name in it. `get_weather`, `getWeather`: "weather". */
function called({ prompt, tools, choice, results, parallel }) {
  const names = Object.keys(tools ?? {});
  if (names.length === 0 || choice === 'none' || results.length > 0) return [];
  const said = prompt.toLowerCase();
  const words = (name) => name.split(/[^A-Za-z]+|(?=[A-Z])/).map((word) => word.toLowerCase());
  const asked = names.filter((name) => words(name).some((word) => word.length > 3 && said.includes(word)));
  const forced = choice?.name ? [choice.name] : choice === 'any' && asked.length === 0 ? names.slice(0, 1) : asked;
  return (parallel === false ? forced.slice(0, 1) : forced).map((name) => ({ name, args: filled(tools[name], prompt) }));
}

function spoken({ prompt, results, schema, images, system }) {
  if (results.length > 0) return `The answer from the tool: ${results.map(({ name, text }) => `${name} gave ${text}`).join(', and ')}.`;
  if (schema) return JSON.stringify(filled(schema, prompt));
  if (images.length > 0) return `${about(prompt)} I was shown ${images.length} image${images.length > 1 ? 's' : ''}.`;
  if (/\b(long|story|slow|count)\b/i.test(prompt)) {
    return Array.from({ length: LONG_SENTENCES }, (_, at) => `This is sentence ${at + 1} of a long answer.`).join(' ');
  }
  return [about(prompt), system && `The system prompt says: “${system.slice(0, 200)}”.`, PLAIN].filter(Boolean).join(' ');
}

const words = (text) => text.match(/\s*\S+/g) ?? [];

/** As `plan` in tests/dialects/mocks/script.mjs: `{ fail }`, or text and calls with how they end. */
export function script(view, { breaks = false } = {}) {
  const asked = /\bfail (\d{3})\b/i.exec(view.prompt);
  if (asked) return { fail: Number(asked[1]) };
  const calls = called(view);
  let text = calls.length > 0 ? '' : spoken(view);
  if (view.prefill && text.startsWith(view.prefill.trimEnd())) text = text.slice(view.prefill.trimEnd().length);
  const stops = view.stop.map((one) => text.indexOf(one)).filter((at) => at >= 0);
  if (stops.length > 0) text = text.slice(0, Math.min(...stops));
  const all = words(text);
  const cut = view.max !== undefined && all.length > view.max;
  const shown = cut ? all.slice(0, view.max) : all;
  const input = words([view.system, view.prompt, view.prefill, ...view.results.map((one) => one.text)].join(' ')).length;
  const output = shown.length + words(calls.map(({ args }) => JSON.stringify(args)).join(' ')).length;
  return {
    calls,
    text: shown.join(''),
    usage: { input, read: 0, write: 0, output, reasoning: 0 },
    fault: breaks || /\bbreak off\b/i.test(view.prompt) ? 'die' : undefined,
    pace: PACE_MS,
    finish: cut ? 'length' : calls.length > 0 ? 'tools' : stops.length > 0 ? 'stop_sequence' : 'stop',
  };
}
