import { EngineError } from "../errors/mod.ts";
import type { Filters } from "./event.ts";
import { parseInstant } from "./time.ts";

/** Throws "invalid" for a key that is not among `known`: `invalid filter 'KEY'`. */
export function requireFilters(filter: Filters, known: readonly string[]): void {
  const other = [...filter.keys()].find((key) => !known.includes(key));
  if (other !== undefined) throw new EngineError("invalid", `invalid filter '${other}'`);
}

/** A filter that is true or false (1 or 0); undefined when it was not given. Throws "invalid" for anything else, and for both. */
export function filterFlag(filter: Filters, key: string): boolean | undefined {
  const values = filter.get(key) ?? [];
  if (values.length === 0) return undefined;
  if (values.every((value) => value === "1" || value === "true")) return true;
  if (values.every((value) => value === "0" || value === "false")) return false;
  throw bad(key, values);
}

/** The `until` filter in milliseconds since 1970, of several the earliest; Infinity when it was not given. Its values are those of `parseInstant`. Throws "invalid". */
export function filterUntil(filter: Filters, now = Date.now()): number {
  const values = filter.get("until") ?? [];
  return Math.min(...values.map((text) => untilOf(text, now)));
}

function untilOf(text: string, now: number): number {
  try {
    return Number(parseInstant(text, BigInt(now) * 1_000_000n)) / 1e6;
  } catch {
    throw bad("until", [text]);
  }
}

/** Whether there is such a label; `wanted` is `NAME` or `NAME=VALUE`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf("=");
  const key = at < 0 ? wanted : wanted.slice(0, at);
  return Object.hasOwn(labels, key) && (at < 0 || labels[key] === wanted.slice(at + 1));
}

/** True for labels that have all of the filter's `label`s and none of its `label!`s. */
export function labelTest(filter: Filters): (labels: Readonly<Record<string, string>>) => boolean {
  const [wanted, unwanted] = [filter.get("label") ?? [], filter.get("label!") ?? []];
  return (labels) =>
    wanted.every((label) => hasLabel(labels, label)) && !unwanted.some((label) => hasLabel(labels, label));
}

function bad(key: string, values: readonly string[]): EngineError {
  return new EngineError("invalid", `invalid filter '${key}=[${values.join(" ")}]'`);
}
