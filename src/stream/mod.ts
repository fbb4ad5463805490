export type * from "./stream.ts";
