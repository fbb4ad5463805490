import type { DetachFilter } from "../../stream/mod.ts";
import type { CliIo } from "../io.ts";
import { userConfig } from "./config.ts";

const usual = "ctrl-p,ctrl-q";

/** The keys that leave a container running: the flag's, the user's own of `config.json`, or ctrl-p ctrl-q. Throws "invalid" for keys that there are not. */
export async function detachKeys(given: string, io: CliIo): Promise<string> {
  const keys = given || userConfig(io).detachKeys || usual;
  if (keys !== usual) await detachWatch(keys);
  return keys;
}

/** Finds the keys in what is typed. Its module brings zlib along, which is 5 ms of a start: only terminals wait for it. */
export async function detachWatch(keys: string): Promise<DetachFilter> {
  const { DetachFilter, parseDetachKeys } = await import("../../stream/mod.ts");
  return new DetachFilter(parseDetachKeys(keys));
}
