import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Migration, Query, Tx } from "../../db/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { control } from "../../proto/mod.ts";

export const buildKitMigrations: readonly Migration[] = [
  {
    module: "buildkit",
    version: 1,
    sql: `
      -- builds that are over; times are milliseconds since 1970, record is a BuildHistoryRecord
      CREATE TABLE build_history (
        ref TEXT PRIMARY KEY, created INTEGER NOT NULL, completed INTEGER NOT NULL, pinned INTEGER NOT NULL, record BLOB NOT NULL
      ) STRICT;
      -- what records refer to by digest: size is of the bytes themselves, packed is zstd
      CREATE TABLE build_history_blobs (
        ref TEXT NOT NULL REFERENCES build_history(ref) ON DELETE CASCADE, digest TEXT NOT NULL, size INTEGER NOT NULL,
        packed BLOB NOT NULL, PRIMARY KEY (ref, digest)
      ) STRICT;
      CREATE INDEX build_history_blobs_digest ON build_history_blobs(digest);
    `,
  },
];

export interface Blob {
  readonly digest: Digest;
  readonly size: number;
  readonly packed: Uint8Array;
}

/** In place of an earlier one of the same reference. */
export function putRecord(tx: Tx, record: control.BuildHistoryRecord, blobs: readonly Blob[]): void {
  deleteRecord(tx, record.ref);
  const times = [millis(record.createdAt), millis(record.completedAt)];
  const bytes = toBinary(control.BuildHistoryRecordSchema, record);
  tx.run("INSERT INTO build_history VALUES (?, ?, ?, ?, ?)", [record.ref, ...times, record.pinned, bytes]);
  for (const { digest, size, packed } of blobs)
    tx.run("INSERT OR IGNORE INTO build_history_blobs VALUES (?, ?, ?, ?)", [record.ref, digest, size, packed]);
}

export function updateRecord(tx: Tx, record: control.BuildHistoryRecord): void {
  const bytes = toBinary(control.BuildHistoryRecordSchema, record);
  tx.run("UPDATE build_history SET pinned = ?, record = ? WHERE ref = ?", [record.pinned, bytes, record.ref]);
}

/** False when there is none. */
export function deleteRecord(tx: Tx, ref: string): boolean {
  return tx.run("DELETE FROM build_history WHERE ref = ?", [ref]) > 0;
}

export function findRecord(q: Query, ref: string): control.BuildHistoryRecord | undefined {
  const row = q.get<{ record: Uint8Array }>("SELECT record FROM build_history WHERE ref = ?", [ref]);
  return row && fromBinary(control.BuildHistoryRecordSchema, row.record);
}

/** The last build first. */
export function recordRefs(q: Query): string[] {
  return q.all<{ ref: string }>("SELECT ref FROM build_history ORDER BY created DESC, ref").map(({ ref }) => ref);
}

export interface RecordSize {
  readonly ref: string;
  readonly completed: number;
  readonly pinned: boolean;
  /** Of the record and what it refers to, as stored. */
  readonly bytes: number;
}

/** What was over last comes first. */
export function recordSizes(q: Query): RecordSize[] {
  const blobs = "SELECT sum(length(packed)) FROM build_history_blobs AS blob WHERE blob.ref = build_history.ref";
  const bytes = `length(record) + length(ref) + coalesce((${blobs}), 0) AS bytes`;
  return q
    .all<Omit<RecordSize, "pinned"> & { pinned: number }>(
      `SELECT ref, completed, pinned, ${bytes} FROM build_history ORDER BY completed DESC, ref`,
    )
    .map((row) => ({ ...row, pinned: row.pinned !== 0 }));
}

export function findBlob(q: Query, digest: string): Blob | undefined {
  return q.get<Blob>("SELECT digest, size, packed FROM build_history_blobs WHERE digest = ? LIMIT 1", [digest]);
}

export function blobSize(q: Query, digest: string): number | undefined {
  return q.get<{ size: number }>("SELECT size FROM build_history_blobs WHERE digest = ? LIMIT 1", [digest])?.size;
}

function millis(time: control.Timestamp | undefined): number {
  return Number(time?.seconds ?? 0n) * 1000 + Math.floor((time?.nanos ?? 0) / 1_000_000);
}
