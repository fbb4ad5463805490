import { EngineError, messageOf } from "../errors/mod.ts";
import type { Filters } from "./event.ts";

/** Docker's idea of a boolean in a query (moby `httputils.BoolValue`): anything but empty, 0, no, false and none is true. */
export function queryFlag(query: URLSearchParams, name: string, absent = false): boolean {
  const value = query.get(name);
  if (value === null) return absent;
  return !["", "0", "no", "false", "none"].includes(value.trim().toLowerCase());
}

/** An integer; `absent` when the key is missing or empty. Throws "invalid" for anything else. */
export function queryInteger<F>(query: URLSearchParams, name: string, absent: F): number | F {
  const value = query.get(name);
  if (value === null || value === "") return absent;
  if (/^[+-]?\d{1,15}$/.test(value)) return Number(value);
  throw new EngineError(
    "invalid",
    `invalid value for ${name}: ${JSON.stringify(value.slice(0, 100))} is not an integer`,
  );
}

/** A value that was given and is not empty. */
export function queryText(query: URLSearchParams, name: string): string | undefined {
  return query.get(name) || undefined;
}

/** Throws "invalid" when the key is missing or empty. */
export function requiredText(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value) return value;
  throw new EngineError("invalid", `query parameter ${name} is required`);
}

/** JSON inside a query parameter; undefined when there is none. Throws "invalid" naming the parameter. */
export function queryJson<T>(
  query: URLSearchParams,
  name: string,
  decode: (json: unknown, path: string) => T,
): T | undefined {
  const text = queryText(query, name);
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (err) {
    throw new EngineError("invalid", `invalid value for ${name}: ${messageOf(err)}`, { cause: err });
  }
  return json === null ? undefined : decode(json, name);
}

/** The `filters` parameter: `{"label":["a"]}` and the older `{"label":{"a":true}}`. Throws "invalid": `invalid filter…`. */
export function decodeFilters(query: URLSearchParams): Filters {
  const text = queryText(query, "filters");
  if (text === undefined) return new Map();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (err) {
    throw new EngineError("invalid", `invalid filter: ${messageOf(err)}`, { cause: err });
  }
  if (json === null) return new Map();
  if (typeof json !== "object" || Array.isArray(json))
    throw new EngineError("invalid", "invalid filter: not an object");
  return new Map(Object.entries(json).map(([key, values]) => [key, filterValues(key, values)]));
}

function filterValues(key: string, values: unknown): readonly string[] {
  if (Array.isArray(values) && values.every((value) => typeof value === "string")) return values;
  const isSet = typeof values === "object" && values !== null && !Array.isArray(values);
  if (isSet && Object.values(values).every((value) => typeof value === "boolean")) return Object.keys(values);
  throw new EngineError("invalid", `invalid filter: ${JSON.stringify(key)} must be a list of strings`);
}
