// The wasm module, and how text and bytes get in and out of its memory.

const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const NOTHING = new Uint8Array(0);

/** One instance of the wasm module and its memory. */
export class Instance {
  constructor(module) {
    this.exports = new WebAssembly.Instance(module, {}).exports;
    this.memory = this.exports.memory;
    this.out = this.exports.out();
    this.bytes = NOTHING;
    this.env = null;
    this.exports.header_names();
    /** The request headers that rules look at. */
    this.headers = this.text(this.words()).split("\n").filter(Boolean);
  }

  /** The memory, whose buffer is another one after each growth. */
  view() {
    if (this.bytes.buffer !== this.memory.buffer) this.bytes = new Uint8Array(this.memory.buffer);
    return this.bytes;
  }

  /**
   * A copy of the eight words: operation, text pointer and length, bytes pointer and length, a, b, request. They are
   * read right after each call, before anything else can run.
   */
  words() {
    return new Uint32Array(this.memory.buffer, this.out, 8).slice();
  }

  text(words) {
    return decoder.decode(this.view().subarray(words[1], words[1] + words[2]));
  }

  /** A copy of the bytes shown: the memory will be used again. */
  shown(words) {
    return this.view().slice(words[3], words[3] + words[4]);
  }

  /** Puts bytes and then text into the input buffer; returns the two lengths. */
  put(bytes, text) {
    const room = bytes.length + text.length * 3;
    if (room === 0) return [0, 0];
    const at = this.exports.input(room);
    const view = this.view();
    view.set(bytes, at);
    const start = at + bytes.length;
    const written = text ? encoder.encodeInto(text, view.subarray(start, at + room)).written : 0;
    return [bytes.length + written, written];
  }

  configure(env) {
    this.exports.secret_names();
    const words = this.words();
    const secrets = {};
    for (const name of this.text(words).split("\n")) {
      if (typeof env[name] === "string") secrets[name] = env[name];
    }
    const [length] = this.put(NOTHING, JSON.stringify(secrets));
    if (this.exports.set_secrets(length) !== 0) throw new Error("the secrets could not be read");
    this.env = env;
  }
}
