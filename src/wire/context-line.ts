import { EngineError } from "../errors/mod.ts";

/**
 * One thing of a build context, as clients tell of it before they send contents: an array in JSON (docs/api.md).
 * Names are bytes: one character each, U+0000 to U+00FF.
 */
export interface ContextLine {
  /** Without a slash in front; a directory comes before what is in it. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink";
  /** Permission bits. */
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Of files: the same for the same path means the same content; "" for one that may still change. Of links: where to. */
  readonly text: string;
  /** Extended attributes by name, values in base64; a build carries some of them. */
  readonly xattrs?: readonly (readonly [name: string, value: string])[];
}

/** Nanoseconds. A file that was written to so recently may be written to again without its times telling: it has no stamp. */
export const contextSettles = 2_000_000_000n;

/** Whether asking what is missing costs more than sending everything. */
export function isSmallContext(sizes: readonly bigint[]): boolean {
  return sizes.length < 200 && sizes.reduce((sum, size) => sum + size, 0n) < 1n << 20n;
}

const letters = { file: "f", directory: "d", symlink: "l" } as const satisfies Record<ContextLine["type"], string>;

export function encodeContextLine({ path, type, mode, mtime, text, xattrs = [] }: ContextLine): string {
  return JSON.stringify([path, letters[type], mode, String(mtime), text, ...(xattrs.length > 0 ? [xattrs] : [])]);
}

/** As many lines at once as make some 100 kB. */
const together = 1000;

/** What a client tells of a whole context, in pieces. */
export async function* encodeContextLines(lines: Iterable<ContextLine>): AsyncGenerator<Uint8Array> {
  let some: string[] = [];
  for (const line of lines) {
    some.push(`${encodeContextLine(line)}\n`);
    if (some.length < together) continue;
    yield Buffer.from(some.join(""));
    some = [];
  }
  if (some.length > 0) yield Buffer.from(some.join(""));
}

/** Throws "invalid" for what is no such line, and for a path that leads out. */
export function decodeContextLine(line: string): ContextLine {
  const [path, letter, mode, mtime, text, xattrs = []] = parsed(line);
  const type = (Object.keys(letters) as ContextLine["type"][]).find((one) => letters[one] === letter);
  const isPath = typeof path === "string" && isContextPath(path);
  const isBytes = [path, text].every((one) => typeof one === "string" && /^[\x01-\xff]*$/.test(one));
  const isMode = typeof mode === "number" && Number.isInteger(mode) && mode >= 0 && mode <= 0o7777;
  const isTime = typeof mtime === "string" && /^-?\d{1,20}$/.test(mtime);
  if (!type || !isPath || !isBytes || !isMode || !isTime || !areAttributes(xattrs)) throw malformed(line);
  const base = { path, type, mode, mtime: BigInt(mtime), text: text as string };
  return xattrs.length > 0 ? { ...base, xattrs } : base;
}

/** One that leads nowhere else. */
export function isContextPath(path: string): boolean {
  return path !== "" && !path.split("/").some((part) => /^\.{0,2}$/.test(part));
}

function areAttributes(value: unknown): value is NonNullable<ContextLine["xattrs"]> {
  const isText = (one: unknown) => typeof one === "string" && !one.includes("\0");
  return Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));
}

function parsed(line: string): unknown[] {
  try {
    const value: unknown = JSON.parse(line);
    if (Array.isArray(value) && (value.length === 5 || value.length === 6)) return value;
  } catch {
    // told below
  }
  throw malformed(line);
}

function malformed(line: string): EngineError {
  return new EngineError("invalid", `malformed line of a build context: ${JSON.stringify(line.slice(0, 100))}`);
}
