export { openSnapshots, type SnapshotsOptions } from "./open.ts";
export type * from "./snapshots.ts";
export { snapshotsMigrations } from "./table.ts";
