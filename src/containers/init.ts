import { accessSync, closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";

const programs = ["docker-init", "tini-static", "catatonit", "tini"];
const usualPlaces = "/usr/libexec/docker:/usr/libexec/podman";

/**
 * The init program for `--init`: the first of those that are made for it in PATH or in docker's or podman's place, and that
 * needs no libraries, since the container need not have them. Throws "unavailable".
 */
export function findInit(path = `${process.env["PATH"] ?? ""}:${usualPlaces}`): string {
  for (const program of programs) {
    for (const directory of path.split(":").filter(Boolean)) {
      const file = join(directory, program);
      if (isExecutable(file) && !isDynamic(file)) return file;
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

const programInterpreter = 3;

/** Whether the program headers of a 64-bit little-endian ELF file (elf(5)) name an interpreter, which is the dynamic linker. */
function isDynamic(file: string): boolean {
  const head = Buffer.alloc(4096);
  const fd = openSync(file, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  if (head.toString("latin1", 0, 4) !== "\x7fELF") return false;
  const [table, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
  const kinds = Array.from({ length: count }, (_, at) => table + at * size).filter((at) => at + 4 <= head.length);
  return kinds.some((at) => head.readUInt32LE(at) === programInterpreter);
}
