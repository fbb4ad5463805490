import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";

const programs = ["docker-init", "tini-static", "tini", "catatonit"];

/** The init program for `--init`: the first of those that are made for it in PATH or in podman's place. Throws "unavailable". */
export function findInit(path = `${process.env["PATH"] ?? ""}:/usr/libexec/podman`): string {
  for (const program of programs) {
    for (const directory of path.split(":").filter(Boolean)) {
      const file = join(directory, program);
      if (isExecutable(file)) return file;
    }
  }
  const advice = "install Debian's package tini or catatonit";
  throw new EngineError("unavailable", `--init needs an init program (${programs.join(", ")}) in PATH: ${advice}`);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
