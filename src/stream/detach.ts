import { EngineError } from "../errors/mod.ts";

const named: Readonly<Record<string, number>> = { "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, _: 31 };

/** Docker's key sequences as bytes: single characters, `DEL` and `ctrl-X`, separated by commas (moby `term.ToBytes`). Throws "invalid". */
export function parseDetachKeys(keys: string): Uint8Array {
  return Uint8Array.from(keys.split(","), (key) => {
    if (/^[\0-\x7f]$/.test(key)) return key.charCodeAt(0);
    if (key === "DEL") return 127;
    const control = /^ctrl-(.)$/.exec(key)?.[1] ?? "";
    const byte = /^[a-z]$/.test(control) ? control.charCodeAt(0) - 96 : named[control];
    if (byte !== undefined) return byte;
    throw new EngineError("invalid", `Invalid detach keys (${keys}) provided: Unknown character: '${key}'`);
  });
}

/** Finds the detach keys in what is typed. A beginning of them is held back until it is known not to be one. */
export class DetachFilter {
  readonly #keys: Uint8Array;
  #held = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** What to pass on, and whether the sequence was completed (what follows it is dropped). */
  feed(typed: Uint8Array): { readonly pass: Uint8Array; readonly detached: boolean } {
    const pass: number[] = [];
    for (const byte of typed) {
      if (byte !== this.#keys[this.#held]) {
        pass.push(...this.#keys.subarray(0, this.#held));
        this.#held = 0;
      }
      if (byte !== this.#keys[this.#held]) pass.push(byte);
      else if (++this.#held === this.#keys.length) return { pass: Uint8Array.from(pass), detached: true };
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }
}
