import { EngineError } from "../errors/mod.ts";
import { type Digest, isDigest } from "./digest.ts";

/** Checked access to JSON that somebody else wrote: every failure is "invalid" and names its place. `null` is absent, as in Go. */
export type Json = Readonly<Record<string, unknown>>;

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function parseObject(bytes: Uint8Array, options: { readonly what: string; readonly limit: number }): Json {
  const { what, limit } = options;
  if (bytes.length > limit) throw invalid(what, `${bytes.length} bytes, at most ${limit} are accepted`);
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (err) {
    throw new EngineError("invalid", `${what}: invalid JSON`, { cause: err });
  }
  return asObject(value, what);
}

export function asObject(value: unknown, at: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(at, "an object is expected");
  return value as Json;
}

export function objectAt(from: Json, key: string, at: string): Json | undefined {
  const value = from[key] ?? undefined;
  return value === undefined ? undefined : asObject(value, `${at}.${key}`);
}

export function arrayAt(from: Json, key: string, at: string): readonly unknown[] | undefined {
  const value = from[key] ?? undefined;
  if (value !== undefined && !Array.isArray(value)) throw invalid(`${at}.${key}`, "an array is expected");
  return value;
}

export function stringAt(from: Json, key: string, at: string): string | undefined {
  const value = from[key] ?? undefined;
  if (value !== undefined && typeof value !== "string") throw invalid(`${at}.${key}`, "a string is expected");
  return value;
}

export function booleanAt(from: Json, key: string, at: string): boolean | undefined {
  const value = from[key] ?? undefined;
  if (value !== undefined && typeof value !== "boolean") throw invalid(`${at}.${key}`, "true or false is expected");
  return value;
}

/** A whole number of at least 0 that a double holds exactly. */
export function sizeAt(from: Json, key: string, at: string): number | undefined {
  const value = from[key] ?? undefined;
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid(`${at}.${key}`, "a size is expected");
  return value as number;
}

export function integerAt(from: Json, key: string, at: string): number | undefined {
  const value = from[key] ?? undefined;
  if (value !== undefined && !Number.isInteger(value)) throw invalid(`${at}.${key}`, "a whole number is expected");
  return value as number | undefined;
}

export function stringsAt(from: Json, key: string, at: string): readonly string[] | undefined {
  const values = arrayAt(from, key, at);
  for (const [index, value] of (values ?? []).entries()) {
    if (typeof value !== "string") throw invalid(`${at}.${key}[${index}]`, "a string is expected");
  }
  return values as readonly string[] | undefined;
}

export function stringMapAt(from: Json, key: string, at: string): Readonly<Record<string, string>> | undefined {
  const map = objectAt(from, key, at);
  if (!map) return undefined;
  for (const [name, value] of Object.entries(map)) {
    if (typeof value !== "string") throw invalid(`${at}.${key}[${JSON.stringify(name)}]`, "a string is expected");
  }
  return { ...(map as Record<string, string>) };
}

/** A set as Go's `map[string]struct{}` writes it: keys count, values do not. */
export function setAt(from: Json, key: string, at: string): Record<string, Record<string, never>> | undefined {
  const map = objectAt(from, key, at);
  return map && Object.fromEntries(Object.keys(map).map((name) => [name, {}]));
}

export function digestFrom(value: unknown, at: string): Digest {
  if (typeof value === "string" && isDigest(value)) return value;
  throw invalid(at, `a sha256 digest is expected, not ${JSON.stringify(value ?? null).slice(0, 100)}`);
}

export function required<T>(value: T | undefined, at: string): T {
  if (value === undefined) throw invalid(at, "missing");
  return value;
}

/** Leaves out what is undefined, as `exactOptionalPropertyTypes` asks for. */
export function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

export function invalid(at: string, problem: string): EngineError {
  return new EngineError("invalid", `${at}: ${problem}`);
}
