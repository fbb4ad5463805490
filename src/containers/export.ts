import { EngineError } from "../errors/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { Context } from "./context.ts";

export function exportRootfs(_ctx: Context, _ref: string, _signal: AbortSignal): Bytes {
  throw new EngineError("not-implemented", "export is not implemented");
}
