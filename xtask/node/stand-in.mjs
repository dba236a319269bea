// Runs the stand-in provider until SIGTERM, or until standard input ends: stand-in.mjs --port N
//
// Prints one JSON line {"ready":true,"url":...}.
import { parseArgs } from 'node:util';
import { standIn } from './stand-in/provider.mjs';

const { values: { port } } = parseArgs({ options: { port: { type: 'string', default: '8790' } } });
const stop = () => process.exit(0);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, stop);
process.stdin.on('end', stop).on('error', stop).resume();

try {
  const { url } = await standIn().start(Number(port));
  console.log(JSON.stringify({ ready: true, url }));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
