import { CString, type Pointer } from "bun:ffi";
import { getSystemErrorName } from "node:util";
import { EngineError } from "../errors/mod.ts";
import { libc } from "./libc.ts";

/** The symbolic name of an errno value, such as "EBUSY". */
export function errnoName(code: number): string {
  return getSystemErrorName(-code);
}

/** What failed and why, for a call that set errno. Kind "internal": callers that know better test the code first. */
export function systemError(what: string, code: number): EngineError {
  return new EngineError("internal", `${what}: ${errnoName(code)}`);
}

/** The C library's words as Docker's messages have them: "no such device". */
export function errnoText(code: number): string {
  const text = String(new CString(libc.strerror(code) as Pointer));
  return /^[A-Z][a-z]/.test(text) ? `${text.charAt(0).toLowerCase()}${text.slice(1)}` : text;
}
