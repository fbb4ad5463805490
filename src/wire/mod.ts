export type * from "./container.ts";
export type * from "./event.ts";
export type * from "./image.ts";
export type * from "./network.ts";
