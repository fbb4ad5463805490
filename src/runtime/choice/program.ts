import { rmSync, symlinkSync } from "node:fs";
import { type Host, sealedCopy } from "../../host/mod.ts";
import type { RuntimeName } from "../runtime.ts";

/**
 * What to execute as the OCI runtime. crun guards its own file against the containers that it starts (CVE-2019-5736): each time, it
 * copies itself or mounts itself read-only, and executes that. A program that is a sealed copy already it leaves alone, which
 * halves the time of a call. `link` becomes the copy's name, which `ps` shows. It lasts as long as this process.
 */
export async function runtimeProgram(
  host: Pick<Host, "processes">,
  { name, path, link }: { name: RuntimeName; path: string; link: string },
): Promise<string> {
  rmSync(link, { force: true });
  const copy = name === "crun" ? sealedCopy(path) : undefined;
  if (copy === undefined) return path;
  symlinkSync(copy, link);
  const works = await host.processes.run([link, "--version"], { env: {} }).then(
    ({ code }) => code === 0,
    () => false, // a host may forbid to execute what is in no file system
  );
  return works ? link : path;
}
