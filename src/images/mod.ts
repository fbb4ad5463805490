export type * from "./images.ts";
export { type ImagesOptions, openImages } from "./open.ts";
export { imageRoots, imagesMigrations } from "./table.ts";
