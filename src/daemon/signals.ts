import { readdirSync } from "node:fs";
import { after } from "../async/mod.ts";
import type { Log } from "../log/mod.ts";

/** Resolves with the first SIGTERM or SIGINT; a second one ends the program at once, for whoever does not want to wait. */
export function untilStopped(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let asked = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (asked) process.exit(signal === "SIGTERM" ? 143 : 130);
      asked = true;
      resolve(signal);
    });
  }
  return promise;
}

/**
 * SIGUSR1 (dockerd's signal for looking inside) collects garbage and logs what the daemon holds: memory in use and resident, in
 * KiB, and open descriptors. For whoever looks for a leak; the daemon goes on.
 */
export function reportOnSignal(log: Log): void {
  process.on("SIGUSR1", async () => {
    Bun.gc(true);
    await after(100); // what was freed in the first round may have held something that the second can free
    Bun.gc(true);
    const { rss, heapUsed } = process.memoryUsage();
    const kib = (bytes: number) => Math.round(bytes / 1024);
    const openFiles = readdirSync("/proc/self/fd").length;
    log.info("Garbage was collected", { heapKiB: kib(heapUsed), residentKiB: kib(rss), openFiles });
  });
}
