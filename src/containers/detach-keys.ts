import { EngineError } from "../errors/mod.ts";
import { parseDetachKeys } from "../stream/mod.ts";

/** What a client asked for, or ctrl-p ctrl-q. Throws "invalid" in dockerd's words, which knows two for attach and exec. */
export function detachKeys(text: string | undefined, word: "detach" | "escape" = "detach"): Uint8Array {
  try {
    return parseDetachKeys(text || "ctrl-p,ctrl-q");
  } catch (err) {
    throw new EngineError("invalid", `Invalid ${word} keys (${text}) provided`, { cause: err });
  }
}
