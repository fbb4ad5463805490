import { EngineError } from "../../errors/mod.ts";

/** The functions of Go's templates and the ones that docker adds. Each gets its evaluated arguments. */
export type TemplateFunction = (args: readonly unknown[]) => unknown;

const text = (value: unknown) => show(value);

export const functions: Readonly<Record<string, TemplateFunction>> = {
  json: ([value]) => JSON.stringify(value ?? null),
  join: ([items, separator]) => (Array.isArray(items) ? items : []).map(text).join(text(separator)),
  split: ([value, separator]) => text(value).split(text(separator)),
  upper: ([value]) => text(value).toUpperCase(),
  lower: ([value]) => text(value).toLowerCase(),
  title: ([value]) => text(value).replace(/\b\p{L}/gu, (letter) => letter.toUpperCase()),
  pad: ([value, before, after]) => " ".repeat(Number(before)) + text(value) + " ".repeat(Number(after)),
  truncate: ([value, length]) => text(value).slice(0, Number(length)),
  println: (args) => `${args.map(text).join(" ")}\n`,
  print: (args) => args.map(text).join(""),
  printf: ([format, ...args]) => printf(text(format), args),
  len: ([value]) => lengthOf(value),
  index: ([value, ...keys]) => keys.reduce((at, key) => indexOf(at, key), value),
  slice: ([value, from, to]) => sliceOf(value, Number(from ?? 0), to === undefined ? undefined : Number(to)),
  not: ([value]) => !truth(value),
  and: (args) => args.find((one) => !truth(one)) ?? args.at(-1),
  or: (args) => args.find(truth) ?? args.at(-1),
  eq: ([first, ...others]) => others.some((one) => one === first),
  ne: ([a, b]) => a !== b,
  lt: ([a, b]) => compare(a, b) < 0,
  le: ([a, b]) => compare(a, b) <= 0,
  gt: ([a, b]) => compare(a, b) > 0,
  ge: ([a, b]) => compare(a, b) >= 0,
};

/** How Go prints a value: maps as `map[k:v]`, lists as `[a b]`. */
export function show(value: unknown): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value !== "object") return String(value);
  const entries = Object.entries(value as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, one]) => `${key}:${show(one)}`).join(" ")}]`;
}

/** Go's truth: false, 0, "", nil and empty collections are not. */
export function truth(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === "") return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === "object" && value !== null) return Object.keys(value).length;
  throw new EngineError("invalid", `template: len of ${show(value)}`);
}

function indexOf(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) {
    const at = Number(key);
    if (at in value) return value[at];
    throw new EngineError("invalid", `template: error calling index: index out of range: ${show(key)}`);
  }
  if (value === null || value === undefined) return "";
  return Object.hasOwn(value, String(key)) ? (value as Record<string, unknown>)[String(key)] : "";
}

function sliceOf(value: unknown, from: number, to?: number): unknown {
  return Array.isArray(value) ? value.slice(from, to) : show(value).slice(from, to);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [show(a), show(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** The verbs that people use: %s %v %d %q %x %t %%, with width and `-`. */
function printf(format: string, args: readonly unknown[]): string {
  let at = 0;
  return format.replace(
    /%(-?)(\d*)(?:\.(\d+))?([svdqxtf%])/g,
    (_, left: string, width: string, places: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      const value = at < args.length ? args[at++] : undefined;
      const shown = formatVerb(verb, value, places);
      return left ? shown.padEnd(Number(width)) : shown.padStart(Number(width));
    },
  );
}

function formatVerb(verb: string, value: unknown, places: string | undefined): string {
  if (verb === "q") return JSON.stringify(show(value));
  if (verb === "x") return typeof value === "number" ? value.toString(16) : Buffer.from(show(value)).toString("hex");
  if (verb === "f") return Number(value).toFixed(Number(places ?? 6));
  return show(value);
}
