import { EngineError } from "../errors/mod.ts";

const named: Readonly<Record<string, number>> = { "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, _: 31 };

/** Docker's key sequences: single characters and `ctrl-X`, separated by commas. Throws "invalid" for anything else. */
export function parseDetachKeys(text: string | undefined): Uint8Array {
  if (text === undefined || text === "") return Uint8Array.of(16, 17); // ctrl-p,ctrl-q
  return Uint8Array.from(text.split(","), (key) => keyByte(key, text));
}

function keyByte(key: string, all: string): number {
  if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
  const control = /^ctrl-(.)$/.exec(key)?.[1] ?? "";
  if (/^[a-z]$/.test(control)) return control.charCodeAt(0) - 96;
  const byte = named[control];
  if (byte === undefined) throw new EngineError("invalid", `Invalid detach keys (${all}) provided`);
  return byte;
}

/** Looks for the detach sequence in what a client types. A beginning of it is held back until it is known not to be one. */
export class DetachFilter {
  readonly #keys: Uint8Array;
  #held = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** What to pass on, and whether the sequence was completed (what follows it is dropped). */
  feed(input: Uint8Array): { readonly bytes: Uint8Array; readonly detached: boolean } {
    const out: number[] = [];
    for (const byte of input) {
      if (byte !== this.#keys[this.#held]) {
        out.push(...this.#keys.subarray(0, this.#held));
        this.#held = 0;
      }
      if (byte !== this.#keys[this.#held]) out.push(byte);
      else if (++this.#held === this.#keys.length) return { bytes: Uint8Array.from(out), detached: true };
    }
    return { bytes: Uint8Array.from(out), detached: false };
  }
}
