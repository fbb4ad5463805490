export type * from "./http.ts";
