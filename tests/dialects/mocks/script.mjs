// What every mock provider answers, by the content of the conversation: the same for all, told in no provider's terms.
//
// A mock turns its request into a `view`:
//   prompt      the text of the last user message            system    the system prompt
//   images      [{ media, bytes | url }] beside that text     files     the same for documents
//   tools       { name: schema }                             choice    'auto' | 'none' | 'any' | { name }
//   parallel    whether several calls at once are allowed     results   [{ name, text, images }] the last turn brought
//   schema      the JSON schema that the answer must satisfy  think     whether reasoning is asked for
//   carried     how many of its own signatures came back      prefill   the beginning of the answer, if it is given
//   stop        stop sequences                                max       the most output tokens (here: words)
import { setTimeout as sleep } from 'node:timers/promises';
import { sample } from './sample.mjs';

const PACE_MS = 2;
const SLOW_MS = 40;
const SLOW_WORDS = 1500;
const ARGUMENT_PIECE = 5;

export const HELLO = 'Hello! How can I help you today?';
export const THOUGHT = 'The user wants an answer, so I weigh what I know.';
export const CARRIED = ' I kept my thoughts.';
export const REFUSAL = "I can't help with that.";
export const PREAMBLE = 'Let me look that up for you now.';

/** Tokens of every answer: 40 in, of which 16 were read from a cache and 4 written to it; 20 out, 8 of them reasoning. */
export const USAGE = { input: 40, read: 16, write: 4, output: 20, reasoning: 8 };

function weather(view) {
  const found = /weather in ([A-Z]\w+)(?: and ([A-Z]\w+))?/.exec(view.prompt);
  if (!found || !view.tools?.weather) return [];
  return found.slice(1).filter(Boolean).map((city) => ({ name: 'weather', args: { city } }));
}

function called(view) {
  const names = Object.keys(view.tools ?? {});
  if (names.length === 0 || view.choice === 'none' || view.results.length > 0) return [];
  const wanted = weather(view);
  const forced = view.choice?.name ?? (view.choice === 'any' ? wanted[0]?.name ?? names[0] : undefined);
  const fits = wanted.filter((call) => forced === undefined || call.name === forced);
  const calls = forced !== undefined && fits.length === 0 ? [{ name: forced, args: sample(view.tools[forced]) }] : fits;
  return view.parallel === false ? calls.slice(0, 1) : calls;
}

const seen = ({ media, bytes, url }) => (url ? `${media ?? 'a file'} at ${url}` : `${media}, ${bytes} bytes`);

function spoken(view, said) {
  if (view.results.length > 0) {
    return `${view.results.map((one) => [`${one.name}: ${one.text}`, ...one.images.map(seen)].join(' ')).join('; ')}.`;
  }
  if (view.schema) return JSON.stringify(sample(view.schema));
  const files = [...(view.images ?? []), ...(view.files ?? [])];
  if (files.length > 0) return `I see ${files.map(seen).join(' and ')}.`;
  if (said.includes('slow')) return 'tick '.repeat(SLOW_WORDS);
  if (said.includes('system prompt')) return `It says: ${view.system}`;
  return HELLO;
}

/** What is answered: `{ fail }`, or reasoning, text and calls with how they end. */
export function plan(view, force) {
  const prompt = force ?? view.prompt;
  const said = prompt.toLowerCase();
  const status = /fail (\d{3})/.exec(said);
  if (status) return { fail: Number(status[1]) };
  if (said.includes('overloaded')) return { fail: 'overloaded' };
  const fault = said.includes('die mid-answer') ? 'die' : said.includes('fail mid-answer') ? 'error' : undefined;
  const calls = called(view);
  const reasoning = view.think && view.prompt.toLowerCase().includes('think') ? THOUGHT : undefined;
  const usage = { ...USAGE, reasoning: reasoning ? USAGE.reasoning : 0 };
  const answer = { reasoning, calls, usage, fault, pace: said.includes('slow') ? SLOW_MS : PACE_MS, finish: calls.length > 0 ? 'tools' : 'stop' };
  const blocked = said.includes('blocked prompt');
  if (blocked || said.includes('refuse')) return { ...answer, calls: [], text: REFUSAL, finish: 'refusal', blocked };
  let text = calls.length > 0 ? '' : spoken(view, said);
  if (calls.length > 0 && view.prompt.includes('tell me first')) text = PREAMBLE;
  if (view.carried > 0 && !view.schema && calls.length === 0) text += CARRIED;
  if (view.prefill && text.startsWith(view.prefill.trimEnd())) text = text.slice(view.prefill.trimEnd().length);
  const stopped = (view.stop ?? []).filter((one) => text.includes(one)).sort((a, b) => text.indexOf(a) - text.indexOf(b))[0];
  if (stopped !== undefined) return { ...answer, text: text.slice(0, text.indexOf(stopped)), finish: 'stop_sequence', stopped };
  const words = text.match(/\s*\S+/g) ?? [];
  if (view.max !== undefined && words.length > view.max) {
    return { ...answer, calls: [], text: words.slice(0, view.max).join(''), finish: 'length' };
  }
  return { ...answer, text };
}

/** The answer's steps in order, at its pace; ends early, with `gone`, when the client went away, and with `die` or `error` at a fault. */
export async function* steps(answer, exchange) {
  const all = [...listed(answer)];
  const half = answer.fault ? Math.max(2, all.length >> 1) : Infinity;
  for (const [index, step] of all.entries()) {
    if (index >= half) {
      yield { kind: answer.fault };
      return;
    }
    await sleep(answer.pace);
    if (exchange.gone) {
      yield { kind: 'gone' };
      return;
    }
    yield step;
  }
}

const pieces = (text) => text.match(/\s*\S+\s*$|\s*\S+/g) ?? (text ? [text] : []);

function* listed({ reasoning, text, calls }) {
  if (reasoning) {
    yield { kind: 'reasoning-start' };
    for (const piece of pieces(reasoning)) yield { kind: 'reasoning', piece };
    yield { kind: 'reasoning-end', text: reasoning };
  }
  if (text) {
    yield { kind: 'text-start' };
    for (const piece of pieces(text)) yield { kind: 'text', piece };
    yield { kind: 'text-end', text };
  }
  for (const [index, call] of calls.entries()) {
    yield { kind: 'call-start', index, call };
    const args = JSON.stringify(call.args);
    for (let at = 0; at < args.length; at += ARGUMENT_PIECE) yield { kind: 'args', index, piece: args.slice(at, at + ARGUMENT_PIECE) };
    yield { kind: 'call-end', index, call, args };
  }
}
