import { EngineError } from "../errors/mod.ts";
import { type Filters, filterFlag, filterUntil, requireFilters } from "../wire/mod.ts";
import type { CacheRecord } from "./records.ts";

/** In bytes; 0 for no such limit. */
export interface CacheSpace {
  /** So much is kept whatever the others say. */
  readonly reserved: number;
  /** At most so much is kept. */
  readonly most: number;
  /** Free space that the disk must have, and what it has. */
  readonly minFree: number;
  readonly free: number;
}

const known = ["id", "until", "unused-for", "type", "parent", "parents", "description", "inuse", "shared", "private"];

/**
 * Which records go, in this order: those that match, last-used first, and nothing before what stands on it, as far as the
 * space demands (BuildKit `cache.pruneOnce`; with no limit of space all that match). What a build uses at the time stays, unless `inuse` asks for it.
 */
export function planPrune(
  records: readonly CacheRecord[],
  { filter, space }: { readonly filter: Filters; readonly space: CacheSpace },
): CacheRecord[] {
  const matches = recordTest(filter);
  const total = records.reduce((sum, record) => sum + own(record), 0);
  let excess = total - keptBytes(total, space);
  const gone: CacheRecord[] = [];
  for (const record of leavesFirst(records)) {
    if (excess <= 0 && isLimited(space)) break;
    if (!matches(record)) continue;
    gone.push(record);
    excess -= own(record);
  }
  return gone;
}

function isLimited({ reserved, most, minFree }: CacheSpace): boolean {
  return reserved > 0 || most > 0 || minFree > 0;
}

/** What an image has as well is not freed. */
function own({ shared, bytes }: CacheRecord): number {
  return shared ? 0 : bytes;
}

function keptBytes(total: number, space: CacheSpace): number {
  const { reserved, most, minFree, free } = space;
  if (!isLimited(space)) return 0;
  const limits = [most > 0 ? most : undefined, minFree > 0 ? total - Math.max(0, minFree - free) : undefined];
  const least = Math.min(...limits.filter((limit) => limit !== undefined));
  return Math.max(reserved, least === Number.POSITIVE_INFINITY ? 0 : least);
}

/** A record counts as used when what stands on it was. */
function leavesFirst(records: readonly CacheRecord[]): CacheRecord[] {
  const byId = new Map(records.map((record) => [record.id, record]));
  const rank = new Map<CacheRecord, { used: number; height: number }>();
  const todo = records.map((record) => ({ record, used: record.used, height: 0 }));
  for (let next = todo.pop(); next; next = todo.pop()) {
    const before = rank.get(next.record);
    if (before && before.used >= next.used && before.height >= next.height) continue;
    const now = { used: Math.max(next.used, before?.used ?? 0), height: Math.max(next.height, before?.height ?? 0) };
    rank.set(next.record, now);
    const parents = next.record.parents.flatMap((id) => byId.get(id) ?? []);
    todo.push(...parents.map((record) => ({ record, used: now.used, height: now.height + 1 })));
  }
  const of = (record: CacheRecord) => rank.get(record) ?? { used: record.used, height: 0 };
  return [...records].sort((a, b) => of(a).used - of(b).used || of(a).height - of(b).height);
}

function recordTest(filter: Filters): (record: CacheRecord) => boolean {
  requireFilters(filter, known);
  const flag = (key: string) => filterFlag(filter, key);
  const [inUse, shared, own] = [flag("inuse"), flag("shared"), flag("private")];
  const before = Math.min(filterUntil(filter), filterUntil(new Map([["until", filter.get("unused-for") ?? []]])));
  const parents = [...(filter.get("parent") ?? []), ...(filter.get("parents") ?? [])];
  const types = typesOf(filter);
  const some = (values: readonly string[], test: (value: string) => boolean) =>
    values.length === 0 || values.some(test);
  return (record) =>
    record.used < before &&
    record.inUse === (inUse ?? false) &&
    (shared === undefined || record.shared === shared) &&
    (own === undefined || record.shared !== own) &&
    some(filter.get("id") ?? [], (id) => record.id.startsWith(id)) &&
    some(types, (type) => record.type === type) &&
    some(parents, (id) => record.parents.some((parent) => parent.startsWith(id))) &&
    some(filter.get("description") ?? [], (text) => record.description.includes(text));
}

const allTypes = ["internal", "frontend", "source.local", "source.git.checkout", "exec.cachemount", "regular"];

function typesOf(filter: Filters): readonly string[] {
  const types = filter.get("type") ?? [];
  const unknown = types.find((type) => !allTypes.includes(type));
  if (unknown === undefined) return types;
  throw new EngineError("invalid", `invalid filter 'type=${unknown}': one of ${allTypes.join(", ")}`);
}
