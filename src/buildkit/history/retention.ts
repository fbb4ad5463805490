import type { RecordSize } from "./table.ts";

/** BuildKit's own: a record goes when there are so many newer ones, and it is older than that. */
const usual = { count: 50, age: 48 * 3600 * 1000 } as const;

/** Of all records; those that are pinned may take half of it. */
const most = { count: 500, bytes: 64 * 1024 * 1024 } as const;

/** Which records go, of those that were over last first. Whoever builds all day does not fill the disk: what is older goes earlier then. */
export function outdated(records: readonly RecordSize[], now: number): string[] {
  const [pinned, others] = [records.filter((one) => one.pinned), records.filter((one) => !one.pinned)];
  let { count, bytes } = totalOf(pinned);
  return others.flatMap((record, at) => {
    count++;
    bytes += record.bytes;
    const isOld = at >= usual.count && record.completed < now - usual.age;
    return isOld || count > most.count || bytes > most.bytes ? [record.ref] : [];
  });
}

/** Whether one more can be kept for ever. */
export function hasRoomToPin(records: readonly RecordSize[], ref: string): boolean {
  const { count, bytes } = totalOf(records.filter((one) => one.pinned || one.ref === ref));
  return count <= most.count / 2 && bytes <= most.bytes / 2;
}

function totalOf(records: readonly RecordSize[]): { count: number; bytes: number } {
  return { count: records.length, bytes: records.reduce((sum, { bytes }) => sum + bytes, 0) };
}
