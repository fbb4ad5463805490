import { EngineError } from "../../errors/mod.ts";

/** `count` ids on disk, from `disk` on, are those from `inside` on in the container. */
export interface IdmapRange {
  readonly disk: number;
  readonly inside: number;
  readonly count: number;
}

/** "owner": the source's owner and group are the container's user and group. All ids that are not named are nobody's. */
export type Idmap = "owner" | { readonly uids: readonly IdmapRange[]; readonly gids: readonly IdmapRange[] };

/** 2^32-1 is no id (chown(2)). */
const largest = 2 ** 32 - 2;

/** `owner`, or `uids=DISK-CONTAINER-COUNT[#…][;gids=…]` as podman has it; either alone is for both. Throws "invalid". */
export function parseIdmap(text: string): Idmap {
  if (text === "owner") return "owner";
  const found = new Map<string, readonly IdmapRange[]>();
  for (const part of text.split(";")) {
    const [, key = "", ranges = ""] = /^(uids|gids)=(.+)$/.exec(part) ?? [];
    if (key === "" || found.has(key)) throw malformed(text, "must be uids=DISK-CONTAINER-COUNT[#…][;gids=…]");
    found.set(key, parseRanges(text, ranges));
  }
  const [uids, gids] = [found.get("uids"), found.get("gids")];
  return { uids: uids ?? gids ?? [], gids: gids ?? uids ?? [] };
}

function parseRanges(text: string, ranges: string): readonly IdmapRange[] {
  const parsed = ranges.split("#").map((range) => {
    const [, disk = Number.NaN, inside = Number.NaN, count = 0] = (/^(\d+)-(\d+)-(\d+)$/.exec(range) ?? []).map(Number);
    if (count > 0 && disk + count - 1 <= largest && inside + count - 1 <= largest) return { disk, inside, count };
    throw malformed(text, `'${range}' is not DISK-CONTAINER-COUNT`);
  });
  for (const [at, one] of parsed.entries()) {
    if (parsed.slice(at + 1).some((other) => overlap(one, other))) throw malformed(text, "an id has two places");
  }
  return parsed;
}

function overlap(a: IdmapRange, b: IdmapRange): boolean {
  const meet = (from: number, to: number) => from < to + b.count && to < from + a.count;
  return meet(a.disk, b.disk) || meet(a.inside, b.inside);
}

function malformed(text: string, why: string): EngineError {
  return new EngineError("invalid", `invalid idmap '${text}': ${why}`);
}
