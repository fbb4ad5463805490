export type * from "./gc.ts";
