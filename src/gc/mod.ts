/** Edges between blobs: call it in the transaction that first refers to the parent. */
export { recordReferences } from "../content/mod.ts";
export { type CollectorOptions, openCollector } from "./collect.ts";
export type * from "./gc.ts";
