import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import type { CliIo } from "../io.ts";

/** Where `save` and `export` put an archive: a file, or standard output unless a person would get it on the screen. */
export async function deliver(io: CliIo, path: string, bytes: () => Promise<AsyncIterable<Uint8Array>>): Promise<void> {
  if (path) return saveTo(resolve(io.cwd, path), bytes);
  if (io.stdout.isTTY)
    throw new EngineError("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect");
  for await (const chunk of await bytes()) await io.stdout.write(chunk);
}

/** The file appears whole or not at all; a device or a FIFO is written to as it is. */
async function saveTo(path: string, bytes: () => Promise<AsyncIterable<Uint8Array>>): Promise<void> {
  const temporary = isSpecial(path) ? path : join(dirname(path), `.berth-${crypto.randomUUID()}`);
  const fd = openFor(temporary, path);
  try {
    for await (const chunk of await bytes()) writeAll(fd, chunk);
    if (temporary !== path) renameSync(temporary, path);
  } catch (err) {
    if (temporary !== path) rmSync(temporary, { force: true });
    throw err;
  } finally {
    closeSync(fd);
  }
}

function openFor(temporary: string, path: string): number {
  try {
    return openSync(temporary, "w", 0o600);
  } catch (err) {
    throw new EngineError("invalid", `failed to save to ${path}: ${messageOf(err)}`, { cause: err });
  }
}

function isSpecial(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && !stat.isFile();
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
