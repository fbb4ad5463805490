import { parseDetachKeys } from "../stream/mod.ts";

/** What a client asked for, or ctrl-p ctrl-q. Throws "invalid". */
export function detachKeys(text: string | undefined): Uint8Array {
  return parseDetachKeys(text || "ctrl-p,ctrl-q");
}
