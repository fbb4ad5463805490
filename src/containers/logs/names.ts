import { existsSync, readdirSync } from "node:fs";
import { basename, dirname } from "node:path";

/**
 * A container's log is a row of segments. `container.log` is the one that conmon appends to; a rotation gives it a number
 * that is never used again (`container.log.7`), and packing makes `container.log.7.zst` of that. Numbers only grow, so a
 * reader that knows its own finds the next one whatever has happened meanwhile.
 */
export interface Segment {
  readonly seq: number;
  readonly path: string;
  readonly kind: "current" | "plain" | "packed";
}

/** An empty file in the place of the newest numbered segment when that was removed: its number is not given again. */
export const gone = ".gone";

/** What a packing that was cut off leaves behind. */
export const unfinished = ".tmp";

/**
 * Oldest first. A segment that is there plain and packed is listed packed: it is whole, and the plain one is about to go.
 * While a rotation is half done there is no current one, and conmon still writes to the newest of the others.
 */
export function segmentsOf(log: string): Segment[] {
  const found = new Map<number, Segment>();
  let newest = 0;
  for (const name of namesIn(dirname(log))) {
    const [, digits, suffix] = name.startsWith(`${basename(log)}.`)
      ? (/^\.(\d{1,15})(\.zst|\.gone)?$/.exec(name.slice(basename(log).length)) ?? [])
      : [];
    if (digits === undefined) continue;
    const seq = Number(digits);
    newest = Math.max(newest, seq);
    if (suffix === gone) continue;
    const kind = suffix ? "packed" : "plain";
    if (kind === "packed" || !found.has(seq)) found.set(seq, { seq, kind, path: `${dirname(log)}/${name}` });
  }
  const segments = [...found.values()].sort((one, other) => one.seq - other.seq);
  if (existsSync(log)) segments.push({ seq: newest + 1, path: log, kind: "current" });
  return segments;
}

export function plainPath(log: string, seq: number): string {
  return `${log}.${seq}`;
}

export function packedPath(log: string, seq: number): string {
  return `${log}.${seq}.zst`;
}

/** The directory goes with its container. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
