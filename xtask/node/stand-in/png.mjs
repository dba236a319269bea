// A small picture in PNG (W3C "Portable Network Graphics", second edition), always the same for the same words.
import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';

const SIDE = 256;

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** Rings around a point, between two colours; all three by the words. */
export function png(words) {
  const hash = createHash('sha256').update(words).digest();
  const [from, to] = [hash.subarray(0, 3), hash.subarray(3, 6)];
  const [centreX, centreY, rings] = [hash[6], hash[7], 8 + (hash[8] % 24)];
  const rows = Buffer.alloc(SIDE * (1 + 3 * SIDE));
  for (let y = 0; y < SIDE; y += 1) {
    const row = y * (1 + 3 * SIDE) + 1;
    for (let x = 0; x < SIDE; x += 1) {
      const share = (1 + Math.sin(Math.hypot(x - centreX, y - centreY) / rings)) / 2;
      for (let colour = 0; colour < 3; colour += 1) {
        rows[row + 3 * x + colour] = Math.round(from[colour] * share + to[colour] * (1 - share));
      }
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(SIDE, 0);
  header.writeUInt32BE(SIDE, 4);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits a channel, RGB, no interlace.
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}
