import { chown, mkdir, stat } from "node:fs/promises";
import { posix } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import type { IdMap } from "../../host/mod.ts";
import { rootOf } from "../../userns/mod.ts";
import type { MountEntry } from "../mount-entry.ts";
import type { Row } from "../table.ts";

/** Throws "invalid" in Docker's words for a bind of `--mount` whose source is missing. */
export async function checkBindSources(mounts: readonly MountEntry[]): Promise<void> {
  for (const { type, source, createSource } of mounts) {
    if (type !== "bind" || createSource) continue;
    if (await exists(source)) continue;
    const why = `bind source path does not exist: ${source}`;
    throw new EngineError("invalid", `invalid mount config for type "bind": ${why}`);
  }
}

/** A path that is mistyped looks like an empty directory; nobody is told later. Who asks for one in so many words knows. */
export async function sourceWarnings({ mounts, hostConfig }: Row): Promise<string[]> {
  const asked = new Set(hostConfig.Mounts?.map(({ Source }) => Source));
  const warnings: string[] = [];
  for (const { type, source, createSource } of mounts) {
    if (type !== "bind" || !createSource || asked.has(source) || (await exists(source))) continue;
    warnings.push(
      `bind source path does not exist: ${source}: it is made, as an empty directory, with the first start`,
    );
  }
  return warnings;
}

/** What is made for the container belongs to its root. */
export async function createSource(path: string, map?: IdMap): Promise<void> {
  if (await exists(path)) return;
  try {
    const first = await mkdir(path, { recursive: true, mode: 0o755 });
    if (first === undefined || !map) return;
    const { uid, gid } = rootOf(map);
    for (let at = path; at.length >= first.length; at = posix.dirname(at)) await chown(at, uid, gid);
  } catch (err) {
    const why = /^[A-Z]+: (.*?),/.exec(messageOf(err))?.[1] ?? messageOf(err);
    const text = `error while creating mount source path '${path}': mkdir ${path}: ${why}`;
    throw new EngineError("internal", text, { cause: err });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
