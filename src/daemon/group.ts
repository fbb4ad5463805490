import { readFileSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";

/** The gid that owns the socket: of the group asked for ("invalid" when there is none), else of `docker` if it exists, else root's. */
export function socketGroup(name: string | undefined): number {
  if (name !== undefined && /^\d+$/.test(name)) return Number(name);
  const found = gidOf(name ?? "docker");
  if (found === undefined && name !== undefined) throw new EngineError("invalid", `group ${name} does not exist`);
  return found ?? 0;
}

function gidOf(name: string): number | undefined {
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(":")[2]);
}
