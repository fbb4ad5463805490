import { getSystemErrorName } from "node:util";
import { EngineError } from "../errors/mod.ts";

/** The symbolic name of an errno value, such as "EBUSY". */
export function errnoName(code: number): string {
  return getSystemErrorName(-code);
}

/** What failed and why, for a call that set errno. Kind "internal": callers that know better test the code first. */
export function systemError(what: string, code: number): EngineError {
  return new EngineError("internal", `${what}: ${errnoName(code)}`);
}
