export type * from "./content.ts";
export { type ContentOptions, openContent } from "./open.ts";
export { contentMigrations, recordReferences } from "./table.ts";
