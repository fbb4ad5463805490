import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { familiar, familiarName, parseReference } from "../oci/mod.ts";
import type { Filters } from "../wire/mod.ts";
import { requireRow } from "./find.ts";
import { globMatcher } from "./glob.ts";
import type { ImageRow, NameRow } from "./table.ts";

export interface Candidate {
  readonly row: ImageRow;
  readonly labels: Readonly<Record<string, string>>;
  readonly names: readonly NameRow[];
}

export type Test = (candidate: Candidate) => boolean;

/** Throws "invalid" for a key that is not among `known`: `invalid filter 'KEY'`. */
export function requireKnown(filter: Filters, known: readonly string[]): void {
  for (const key of filter.keys()) {
    if (!known.includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  }
}

/** Every test of the filter that looks at one image alone; `dangling` and `reference` are the caller's. */
export function testsOf(q: Query, filter: Filters): Test[] {
  const tests: Test[] = [];
  for (const name of filter.get("before") ?? []) {
    const { created } = requireRow(q, name);
    tests.push(({ row }) => row.created < created);
  }
  for (const name of filter.get("since") ?? []) {
    const { created } = requireRow(q, name);
    tests.push(({ row }) => row.created > created);
  }
  for (const text of filter.get("until") ?? []) {
    const limit = untilOf(text, Date.now());
    tests.push(({ row }) => row.created < limit);
  }
  for (const label of filter.get("label") ?? []) tests.push(({ labels }) => hasLabel(labels, label));
  for (const label of filter.get("label!") ?? []) tests.push(({ labels }) => !hasLabel(labels, label));
  return tests;
}

/** `dangling` as a boolean, undefined when it was not given. Throws "invalid" for other words. */
export function danglingOf(filter: Filters): boolean | undefined {
  const values = filter.get("dangling");
  if (!values || values.length === 0) return undefined;
  const truths = values.map((value) => {
    if (/^(1|t|true)$/i.test(value)) return true;
    if (/^(0|f|false)$/i.test(value)) return false;
    throw new EngineError("invalid", `invalid filter 'dangling=[${values.join(" ")}]'`);
  });
  return truths.some((truth) => truth);
}

/** True for names that one of the patterns matches, with or without their tag (reference.FamiliarMatch). */
export function referenceMatcher(filter: Filters): ((name: NameRow) => boolean) | undefined {
  const matchers = filter.get("reference")?.map(globMatcher);
  if (!matchers || matchers.length === 0) return undefined;
  return ({ name }) => {
    const ref = parseReference(name);
    return matchers.some((matches) => matches(familiar(ref)) || matches(familiarName(ref)));
  };
}

/** Milliseconds since 1970 for `until`: RFC 3339, a date, Unix seconds, or a Go duration before `now`. Throws "invalid". */
export function untilOf(text: string, now: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const duration = durationOf(text);
  if (duration !== undefined) return now - duration;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new EngineError("invalid", `invalid filter 'until=[${text}]'`);
  return at;
}

const units: Readonly<Record<string, number>> = { h: 3600e3, m: 60e3, s: 1e3, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };

/** Milliseconds of a Go duration such as `1h30m`; undefined for anything else. */
export function durationOf(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(h|ms|m|s|us|µs|ns))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)) {
    total += Number(count) * (units[unit] ?? 0);
  }
  return total;
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf("=");
  const key = at < 0 ? wanted : wanted.slice(0, at);
  return Object.hasOwn(labels, key) && (at < 0 || labels[key] === wanted.slice(at + 1));
}
