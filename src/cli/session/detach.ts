import { EngineError } from "../../errors/mod.ts";
import type { CliIo } from "../io.ts";
import { userConfig } from "./config.ts";

const usual = "ctrl-p,ctrl-q";
const named: Readonly<Record<string, number>> = { "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, _: 31 };

/** The keys that leave a container running: the flag's, the user's own of `config.json`, or ctrl-p ctrl-q. */
export function chosenKeys(given: string, io: CliIo): string {
  return given || userConfig(io).detachKeys || usual;
}

/** `a`, `ctrl-a` and so on, with commas between; as bytes. Throws "invalid" in docker's words. */
export function keyBytes(keys: string): Uint8Array {
  return Uint8Array.from(keys.split(","), (key) => {
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    const code = control === undefined ? undefined : controlCode(control);
    if (code !== undefined) return code;
    if (key === "DEL") return 127;
    if (Buffer.byteLength(key) === 1) return key.charCodeAt(0);
    throw new EngineError("invalid", `Unknown character: '${key}' in detach keys ${JSON.stringify(keys)}`);
  });
}

function controlCode(letter: string): number | undefined {
  return /[a-z]/.test(letter) ? letter.charCodeAt(0) - 96 : named[letter];
}

/** Finds the detach keys in what is typed; they never reach the process, keys that only begin like them do. */
export class DetachWatch {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: string) {
    this.#keys = keyBytes(keys);
  }

  feed(typed: Uint8Array): { readonly pass: Uint8Array; readonly detached: boolean } {
    const pass: number[] = [];
    for (const byte of typed) {
      if (byte !== this.#keys[this.#matched]) {
        pass.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) pass.push(byte);
      else if (++this.#matched === this.#keys.length) return { pass: Uint8Array.from(pass), detached: true };
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }
}
