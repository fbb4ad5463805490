import { closeSync, openSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { tryLock } from "../host/mod.ts";

/**
 * Holds a lock file for the life of this process: the kernel lets go of it however the process ends, so a crash never
 * leaves a stale one. Throws "conflict" while another process holds it.
 */
export function holdLock(path: string): Disposable {
  const fd = openSync(path, "a", 0o600);
  if (!tryLock(fd)) {
    closeSync(fd);
    throw new EngineError(
      "conflict",
      `${path} is held by another berth process: each daemon and registry needs directories of its own`,
    );
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
