import type { CliIo } from "../io.ts";
import { userConfig } from "./config.ts";

const usual = "ctrl-p,ctrl-q";

/** The keys that leave a container running: the flag's, the user's own of `config.json`, or ctrl-p ctrl-q. */
export function chosenKeys(given: string, io: CliIo): string {
  return given || userConfig(io).detachKeys || usual;
}
