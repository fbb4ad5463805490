import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import type { MountInfo } from "../../host/mod.ts";
import type { ContainersConfig } from "../context.ts";
import type { MountEntry } from "../mount-entry.ts";

/**
 * A bind of what holds the engine's own mounts, or of something among them, would keep them busy for as long as its
 * container lives; as a slave it lets them go with the host's. Throws "invalid" in Docker's words when asked for otherwise.
 */
export function settlePropagation(entry: MountEntry, { directory, execRoot }: Roots): MountEntry {
  const roots = [dirname(directory), execRoot];
  const root = entry.type === "bind" ? roots.find((path) => overlap(path, entry.source)) : undefined;
  if (root === undefined || /^(rslave|rshared)$/.test(entry.propagation)) return entry;
  if (entry.propagation === "") return { ...entry, propagation: "rslave", quietly: true };
  const where = `daemon root: ${JSON.stringify(root)}, bind mount source: ${JSON.stringify(entry.source)}`;
  throw new EngineError(
    "invalid",
    `invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, ${where}, propagation: ${JSON.stringify(entry.propagation)}`,
  );
}

type Roots = Pick<ContainersConfig, "directory" | "execRoot">;

function overlap(a: string, b: string): boolean {
  const within = (inner: string, outer: string) => `${inner}/`.startsWith(outer === "/" ? "/" : `${outer}/`);
  return within(a, b) || within(b, a);
}

/**
 * The propagation that the runtime is to give a mount. Mounts reach a container, or come out of it, only through a mount of
 * the host that is shared (mount_namespaces(7)). Throws "internal" in Docker's words, naming the path.
 */
export function propagationOf(entry: MountEntry, list: () => MountInfo[]): string {
  const wanted = entry.propagation || "rprivate";
  const shared = /^r?shared$/.test(wanted);
  if (!shared && !/^r?slave$/.test(wanted)) return wanted;
  const found = mountOf(realpathSync(entry.source), list());
  const peers = found?.peers ?? [];
  const enough = peers.some((peer) => peer.startsWith("shared:") || (!shared && peer.startsWith("master:")));
  if (enough) return wanted;
  if (entry.quietly) return "rprivate";
  const what = shared ? "a shared mount" : "a shared or slave mount";
  throw new EngineError("internal", `path ${entry.source} is mounted on ${found?.target ?? "/"} but it is not ${what}`);
}

/** What a path lies on: the last of the longest. */
export function mountOf(path: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  let best: MountInfo | undefined;
  for (const mount of mounts) {
    const { target } = mount;
    const above = target === "/" || path === target || path.startsWith(`${target}/`);
    if (above && target.length >= (best?.target.length ?? 0)) best = mount;
  }
  return best;
}
