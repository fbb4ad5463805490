export type * from "./snapshots.ts";
