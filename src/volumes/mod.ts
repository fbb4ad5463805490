export { openVolumes, type VolumesOptions } from "./open.ts";
export { volumesMigrations } from "./table.ts";
export type * from "./volumes.ts";
