export type * from "./http.ts";
export { serve } from "./serve.ts";
