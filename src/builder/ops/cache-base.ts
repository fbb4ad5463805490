import { randomBytes } from "node:crypto";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Planned } from "../context.ts";
import type { ExecMount } from "../graph/vertex.ts";
import { copyJob } from "../jobs/copy.ts";
import { selectFiles } from "./select.ts";

/** The id of a cache mount. What it begins with, be it the state that `from` names or the owner and mode of nothing, makes it another one. */
export function cacheId({ inputs }: Planned, { id, from, input, source, mode, uid, gid }: ExecMount): string {
  if (from !== undefined) return [id, input && inputs.get(input)?.snapshot, source].join("\n");
  return mode === undefined && uid === 0 && gid === 0 ? id : [id, "", "", mode ?? "", uid, gid].join("\n");
}

/** Makes the directory of a cache mount that begins with what its `from` has; it appears when it is complete. */
export async function fillCache(
  { build, inputs }: Planned,
  { mount, directory }: { mount: ExecMount; directory: string },
): Promise<void> {
  const { signal } = build;
  const { workers } = build.context.host;
  const root = await build.views.path(mount.input && inputs.get(mount.input)?.snapshot);
  const sources = [(mount.source || ".").replace(/[*?[\]\\]/g, "\\$&")];
  const what = { root, sources, exclude: [], deep: false, where: "stage", keyword: "RUN --mount" } as const;
  const { selected } = await selectFiles(build, what);
  const made = join(build.directory, `cache-${randomBytes(8).toString("hex")}`);
  await mkdir(made, { mode: 0o700 });
  const items = selected.map((item) => ({ ...item, unpack: false }));
  const input = { from: root, selected: items, to: made, destination: "/", link: false, exclude: [] };
  await workers.run(copyJob, input, { signal });
  await rename(made, directory);
}
