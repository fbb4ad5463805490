import { EngineError } from "../errors/mod.ts";

/**
 * Decoders with the rules of Go's encoding/json, which Docker's clients rely on: keys match whatever their case, `null` is
 * as if the key were absent, unknown keys are ignored, integers must be integers. A failure is "invalid" and says where.
 */
export type Decode<T> = (json: unknown, path?: string) => T;

export function string(json: unknown, path = ""): string {
  if (typeof json === "string") return json;
  throw wrongType(json, { path, expected: "a string" });
}

export function boolean(json: unknown, path = ""): boolean {
  if (typeof json === "boolean") return json;
  throw wrongType(json, { path, expected: "a boolean" });
}

/** The largest double below 2^63: int64's own largest number is rounded up to what no reader of int64 takes any more. */
const largest = 2 ** 63 - 1024;

/** A signed 64-bit integer. Beyond 2^53 it comes rounded, which only "unlimited" values do. */
export function integer(json: unknown, path = ""): number {
  if (typeof json === "number" && Number.isInteger(json) && Math.abs(json) <= 2 ** 63) return Math.min(json, largest);
  throw wrongType(json, { path, expected: "an integer" });
}

/** For fields that sloppy clients send as a number: `"HostPort": 8080`. */
export function stringOrInteger(json: unknown, path = ""): string {
  return typeof json === "number" ? String(integer(json, path)) : string(json, path);
}

export function anything(json: unknown): unknown {
  return json;
}

/** Go decodes a null element as the zero value; what that would be is not known here, so it is refused. */
export function list<T>(element: Decode<T>): Decode<readonly T[]> {
  return (json, path = "") => {
    if (!Array.isArray(json)) throw wrongType(json, { path, expected: "an array" });
    return json.map((item: unknown, index) => element(item, `${path}[${index}]`));
  };
}

/** `"sh -c x"` or `["sh", "-c", "x"]`: a string is one word, as Docker's strslice has it. */
export function words(json: unknown, path = ""): readonly string[] {
  return typeof json === "string" ? [json] : list(string)(json, path);
}

/** Keys are data here and keep their case. */
export function record<T>(value: Decode<T>): Decode<Readonly<Record<string, T>>> {
  return (json, path = "") => {
    const entries = Object.entries(plain(json, path));
    return Object.fromEntries(entries.map(([key, item]) => [key, value(item, join(path, key))]));
  };
}

/** `null` stays null instead of being refused. */
export function nullable<T>(decode: Decode<T>): Decode<T | null> {
  return (json, path) => (json === null ? null : decode(json, path));
}

/** One of Go's `map[string]struct{}` values. */
export function emptyObject(json: unknown, path = ""): Readonly<Record<string, never>> {
  if (json !== null) plain(json, path);
  return {};
}

/** An object's fields, by name whatever the case; of two that differ in case only, the last one counts. */
export class Fields {
  readonly #values = new Map<string, unknown>();
  readonly #path: string;

  constructor(json: unknown, path = "") {
    this.#path = path;
    for (const [key, value] of Object.entries(plain(json, path)))
      if (value !== null) this.#values.set(key.toLowerCase(), value);
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  /** The field, or what stands for its absence. */
  get<T, F>(name: string, decode: Decode<T>, absent: F): T | F {
    const value = this.#values.get(name.toLowerCase());
    return value === undefined ? absent : decode(value, join(this.#path, name));
  }

  /** An object with that one field, or with none, to be spread. */
  maybe<K extends string, T>(name: K, decode: Decode<T>): { [P in K]?: T } {
    const value = this.#values.get(name.toLowerCase());
    return (value === undefined ? {} : { [name]: decode(value, join(this.#path, name)) }) as { [P in K]?: T };
  }

  /** Throws "invalid" when the field is absent or empty. */
  required(name: string): string {
    const value = this.get(name, string, "");
    if (value === "") throw new EngineError("invalid", `${join(this.#path, name)} is required`);
    return value;
  }
}

/** The present ones of a table's fields. */
export function partial<T extends object>(
  fields: Fields,
  table: { readonly [K in keyof T]: Decode<T[K]> },
): Partial<T> {
  const found: Partial<T> = {};
  for (const name of Object.keys(table)) Object.assign(found, fields.maybe(name, table[name as keyof T]));
  return found;
}

function plain(json: unknown, path: string): object {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  throw wrongType(json, { path, expected: "an object" });
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function wrongType(json: unknown, { path, expected }: { path: string; expected: string }): EngineError {
  const kind = json === null ? "null" : Array.isArray(json) ? "an array" : typeof json;
  const got = typeof json === "number" ? `the number ${json}` : kind;
  return new EngineError("invalid", `invalid JSON: ${path === "" ? "the body" : path} must be ${expected}, not ${got}`);
}
