import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CliIo } from "../io.ts";

/** What Berth reads of docker's `config.json`. */
export interface UserConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
  readonly detachKeys?: string;
}

/** `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`; empty where there is none that can be read, as for docker. */
export function userConfig({ env }: CliIo): UserConfig {
  const directory = env["DOCKER_CONFIG"] || join(env["HOME"] || homedir(), ".docker");
  try {
    return JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as UserConfig;
  } catch {
    return {};
  }
}
