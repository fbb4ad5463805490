export { writeTo } from "./channel.ts";
export type * from "./http.ts";
export { Input } from "./input.ts";
export { serve } from "./serve.ts";
