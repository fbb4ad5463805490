export type * from "./registry-client.ts";
