export type * from "./layers.ts";
