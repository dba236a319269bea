// `application/vnd.amazon.eventstream`: prelude (total length, headers length, CRC32 of both), headers, payload, CRC32 of
// all before. Source: Amazon's "Event stream encoding" (smithy.io, "Amazon Event Stream Specification").
import { crc32 } from 'node:zlib';

const STRING = 7;

function headersOf(headers) {
  return Buffer.concat(Object.entries(headers).map(([name, value]) => {
    const [key, text] = [Buffer.from(name), Buffer.from(value)];
    const head = Buffer.alloc(key.length + 4);
    head.writeUInt8(key.length, 0);
    key.copy(head, 1);
    head.writeUInt8(STRING, key.length + 1);
    head.writeUInt16BE(text.length, key.length + 2);
    return Buffer.concat([head, text]);
  }));
}

/** One message with string headers. */
export function message(headers, payload) {
  const [head, body] = [headersOf(headers), Buffer.from(payload)];
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(16 + head.length + body.length, 0);
  prelude.writeUInt32BE(head.length, 4);
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
  const all = Buffer.concat([prelude, head, body]);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(all));
  return Buffer.concat([all, tail]);
}

export const event = (type, value) => message({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, JSON.stringify(value));
export const exception = (type, value) => message({ ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' }, JSON.stringify(value));
