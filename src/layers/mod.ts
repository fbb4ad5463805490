export { type ExtractOptions, extractInto, type PathStat, type Place, packPath, statPath } from "./archive/archive.ts";
export { layersJobs } from "./jobs/all.ts";
export type * from "./layers.ts";
export { type LayersOptions, type LayersService, openLayers } from "./open.ts";
export { type PackTreeOptions, packTree } from "./pack.ts";
export { layersMigrations } from "./table.ts";
