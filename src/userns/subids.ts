import { EngineError } from "../errors/mod.ts";
import type { IdRange } from "../host/mod.ts";

/** A line of subuid(5) or subgid(5). */
export interface SubordinateRange {
  readonly owner: string;
  readonly start: number;
  readonly size: number;
}

/** Ids that a name may not get, because 32 bits hold no more (2^32-1 is no id, 2^32-2 stands for the host's root). */
const most = 2 ** 32 - 2;

/** Lines that are none are passed over, as newuidmap(1) does. */
export function parseSubordinate(text: string): SubordinateRange[] {
  return text.split("\n").flatMap((line) => {
    const [, owner = "", start = "", size = ""] = /^([^:#]+):(\d+):(\d+)$/.exec(line.trim()) ?? [];
    return owner === "" ? [] : [{ owner, start: Number(start), size: Number(size) }];
  });
}

/**
 * The map of one who has these ranges: ids inside from 0 on, range after range, as dockerd has them. Throws "invalid" naming the
 * file when there is none, or one that would make a container's users the host's root.
 */
export function rangesOf(file: string, text: string, owners: readonly string[]): IdRange[] {
  const own = parseSubordinate(text).filter(({ owner, size }) => owners.includes(owner) && size > 0);
  if (own.length === 0) throw new EngineError("invalid", `no range of ids for ${owners[0]} in ${file}`);
  const ranges: IdRange[] = [];
  let inside = 0;
  for (const { start, size } of own) {
    if (start === 0 || start + size > most || inside + size > most) {
      throw new EngineError("invalid", `${file}: the range ${start}:${size} of ${owners[0]} is not one for containers`);
    }
    ranges.push({ inside, outside: start, size });
    inside += size;
  }
  return ranges;
}

/** Where a new range can begin: after all that are there, and after the host's own users. */
export function freeStart(...texts: readonly string[]): number {
  const ends = texts.flatMap(parseSubordinate).map(({ start, size }) => start + size);
  return Math.max(100_000, ...ends);
}
