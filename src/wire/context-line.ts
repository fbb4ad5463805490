import { EngineError } from "../errors/mod.ts";

/**
 * One thing of a build context, as `berth build` tells of it before it sends contents: an array in JSON (docs/api.md).
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
}

const letters = { file: "f", directory: "d", symlink: "l" } as const satisfies Record<ContextLine["type"], string>;

export function encodeContextLine({ path, type, mode, mtime, text }: ContextLine): string {
  return JSON.stringify([path, letters[type], mode, String(mtime), text]);
}

/** Throws "invalid" for what is no such line, and for a path that leads out. */
export function decodeContextLine(line: string): ContextLine {
  const [path, letter, mode, mtime, text] = parsed(line);
  const type = (Object.keys(letters) as ContextLine["type"][]).find((one) => letters[one] === letter);
  const isPath = typeof path === "string" && path !== "" && !path.split("/").some((part) => /^\.{0,2}$/.test(part));
  const isBytes = [path, text].every((one) => typeof one === "string" && /^[\x01-\xff]*$/.test(one));
  const isMode = typeof mode === "number" && Number.isInteger(mode) && mode >= 0 && mode <= 0o7777;
  const isTime = typeof mtime === "string" && /^-?\d{1,20}$/.test(mtime);
  if (!type || !isPath || !isBytes || !isMode || !isTime) throw malformed(line);
  return { path, type, mode, mtime: BigInt(mtime), text: text as string };
}

function parsed(line: string): unknown[] {
  try {
    const value: unknown = JSON.parse(line);
    if (Array.isArray(value) && value.length === 5) return value;
  } catch {
    // told below
  }
  throw malformed(line);
}

function malformed(line: string): EngineError {
  return new EngineError("invalid", `malformed line of a build context: ${JSON.stringify(line.slice(0, 100))}`);
}
