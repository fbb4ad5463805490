import { dockerfileError, type Lines } from "./error.ts";
import { didYouMean } from "./suggest.ts";

/** One `RUN --mount=…` (docs.docker.com/reference/dockerfile, "RUN --mount"). */
export interface RunMount {
  readonly type: "bind" | "cache" | "tmpfs" | "secret" | "ssh";
  /** As it was written; "" when it was not. */
  readonly target: string;
  readonly source: string;
  /** A stage or an image; undefined is the build context (bind) or nothing (cache). */
  readonly from?: string;
  readonly readonly: boolean;
  /** "" when it was not given. */
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked";
  readonly mode?: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; undefined for no limit of its own. */
  readonly size?: number;
  readonly required: boolean;
  /** Secret: the environment variable to put it in. */
  readonly env?: string;
}

/** `key=value` or `key`, in order; the words are not expanded yet. */
export type MountFields = readonly { readonly key: string; readonly value?: string; readonly text: string }[];

const types = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const sharings = ["shared", "private", "locked"] as const;
const keys =
  "type from source target readonly id sharing required mode uid gid src dst ro rw readwrite size env destination";
const aliases: Readonly<Record<string, string>> = {
  dst: "target",
  destination: "target",
  src: "source",
  ro: "readonly",
  rw: "readwrite",
};

/** Splits a mount at its commas, which quotes can hold together. `from` decides what else is built, so variables cannot. */
export function mountFields(text: string, lines: Lines): MountFields {
  return csvFields(text, lines).map((field) => {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const value = at < 0 ? undefined : field.slice(at + 1);
    if (key === "from" && /\$./.test(value ?? "")) {
      throw dockerfileError(lines, "'from' doesn't support variable expansion, define alias stage instead");
    }
    return { key, text: field, ...(value !== undefined && { value }) };
  });
}

/** The stage or image that a mount names; undefined for none. */
export function mountFrom(fields: MountFields): string | undefined {
  return fields.findLast(({ key }) => key === "from")?.value || undefined;
}

function csvFields(text: string, lines: Lines): string[] {
  if (text === "") throw dockerfileError(lines, "failed to parse csv mounts: EOF");
  const fields: string[] = [];
  const pattern = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (let end = false; !end; ) {
    const match = pattern.exec(text);
    if (!match) throw dockerfileError(lines, `failed to parse csv mounts: ${JSON.stringify(text)}`);
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    end = match[3] === "";
  }
  return fields;
}

interface Reading {
  readonly lines: Lines;
  readonly values: ReadonlyMap<string, string>;
  readonly type: RunMount["type"];
}

/** Throws "invalid" for an unknown type or key, and for what the type does not have (BuildKit `commands_runmount.go`). */
export function toMount(
  fields: MountFields,
  { lines, expand }: { lines: Lines; expand: (word: string) => string },
): RunMount {
  const values = new Map<string, string>();
  for (const { key, value, text } of fields) {
    const name = aliases[key] ?? key;
    const isFlag = ["readonly", "readwrite", "required"].includes(name);
    if (value === undefined && !isFlag) {
      throw dockerfileError(lines, `invalid field '${text}' must be a key=value pair`);
    }
    if (!keys.split(" ").includes(key)) {
      throw dockerfileError(lines, `unexpected key '${key}' in '${text}'${didYouMean(key, keys.split(" "))}`);
    }
    values.set(name, value === undefined ? "true" : expand(value));
  }
  const type = oneOf(values.get("type") ?? "bind", { lines, among: types, what: "mount type" });
  return checked({ lines, values, type });
}

function oneOf<T extends string>(
  text: string,
  { lines, among, what }: { lines: Lines; among: readonly T[]; what: string },
): T {
  const found = among.find((one) => one === text.toLowerCase());
  if (found) return found;
  throw dockerfileError(lines, `unsupported ${what} ${JSON.stringify(text)}${didYouMean(text, among)}`);
}

function checked(reading: Reading): RunMount {
  const { values, type, lines } = reading;
  const only = (key: string, ...allowed: RunMount["type"][]) => {
    if (values.has(key) && !allowed.includes(type)) throw notAllowed(key, reading);
  };
  only("required", "secret", "ssh");
  only("size", "tmpfs");
  only("env", "secret");
  only("mode", "secret", "ssh", "cache");
  only("uid", "secret", "ssh", "cache");
  only("gid", "secret", "ssh", "cache");
  if (type === "secret") checkSecret(reading);
  if (type === "ssh" && values.get("source")) throw dockerfileError(lines, "ssh does not support source");
  if (values.get("sharing") && type !== "cache") {
    throw dockerfileError(lines, `invalid cache sharing set for ${type} mount`);
  }
  return mountOf(reading);
}

function notAllowed(key: string, { type, lines }: Reading): Error {
  if (["mode", "uid", "gid"].includes(key)) {
    return dockerfileError(lines, `${key} not allowed for ${JSON.stringify(type)} type mounts`);
  }
  return dockerfileError(lines, `unexpected key '${key}' for mount type '${type}'`);
}

function checkSecret({ values, lines }: Reading): void {
  if (values.get("from")) throw dockerfileError(lines, "secret mount should not have a from");
  if (values.get("sharing")) throw dockerfileError(lines, "secret mount should not define sharing");
  if (!values.get("source") && !values.get("target") && !values.get("id")) {
    throw dockerfileError(lines, "invalid secret mount. one of source, target required");
  }
  if (values.get("source") && values.get("id")) throw dockerfileError(lines, "both source and id can't be set");
}

function mountOf(reading: Reading): RunMount {
  const { values, type, lines } = reading;
  const from = values.get("from") || undefined;
  const env = values.get("env");
  const mode = number(reading, { key: "mode", radix: 8 });
  const size = bytes(reading);
  const isSecret = type === "secret";
  return {
    type,
    target: values.get("target") ?? "",
    source: isSecret ? "" : (values.get("source") ?? ""),
    ...(from !== undefined && { from }),
    readonly: isReadonly(reading),
    id: (isSecret && values.get("source")) || (values.get("id") ?? ""),
    sharing: oneOf(values.get("sharing") ?? "shared", { lines, among: sharings, what: "sharing value" }),
    ...(mode !== undefined && { mode }),
    uid: number(reading, { key: "uid", radix: 10 }) ?? 0,
    gid: number(reading, { key: "gid", radix: 10 }) ?? 0,
    ...(size !== undefined && { size }),
    required: truth(reading, "required") ?? false,
    ...(env !== undefined && { env }),
  };
}

function isReadonly(reading: Reading): boolean {
  const readwrite = truth(reading, "readwrite");
  const readonly = truth(reading, "readonly") ?? (readwrite === undefined ? undefined : !readwrite);
  return readonly ?? !["cache", "tmpfs"].includes(reading.type);
}

/** The words of Go's `strconv.ParseBool`. */
function truth({ values, lines }: Reading, key: string): boolean | undefined {
  const value = values.get(key);
  if (value === undefined) return undefined;
  if (["1", "t", "T", "TRUE", "true", "True"].includes(value)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(value)) return false;
  throw dockerfileError(lines, `invalid value for ${key}: ${value}`);
}

function number({ values, lines }: Reading, { key, radix }: { key: string; radix: 8 | 10 }): number | undefined {
  const value = values.get(key);
  if (value === undefined) return undefined;
  const good = radix === 8 ? /^[0-7]{1,11}$/ : /^\d{1,10}$/;
  const found = good.test(value) ? Number.parseInt(value, radix) : Number.NaN;
  if (!(found < 2 ** 32)) throw dockerfileError(lines, `invalid value ${value} for ${key}`);
  return found;
}

/** go-units `RAMInBytes`. */
function bytes({ values, lines }: Reading): number | undefined {
  const value = values.get("size");
  if (value === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(value);
  if (!match) throw dockerfileError(lines, `invalid value for size: ${value}`);
  return Math.floor(Number(match[1]) * 1024 ** " kmgtp".indexOf((match[2] || " ").toLowerCase()));
}
