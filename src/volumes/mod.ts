export type { ImportOptions } from "./moving/import.ts";
export type { AlsoRename, Renaming } from "./moving/rename.ts";
export { openVolumes, type VolumesOptions } from "./open.ts";
export { volumesMigrations } from "./table.ts";
export type * from "./volumes.ts";
