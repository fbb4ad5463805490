export { applyChanges } from "./changes.ts";
export type * from "./images.ts";
export { type ImagesOptions, openImages } from "./open.ts";
export { imagesMigrations } from "./table.ts";
export { createTransfer } from "./transfer.ts";
