export type * from "./images.ts";
export { type ImagesOptions, openImages } from "./open.ts";
export { imagesMigrations } from "./table.ts";
