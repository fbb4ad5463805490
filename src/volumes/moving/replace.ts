import { existsSync } from "node:fs";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { removeTree, type Workers } from "../../host/mod.ts";

/** A volume's directory: `_data` is what users see, what is made to take its place lies beside it. */
export interface ReplacePaths {
  readonly home: string;
  readonly data: string;
  /** Complete, and about to become `_data`. */
  readonly next: string;
  /** What it took the place of. */
  readonly old: string;
}

/** Begins the names of directories that are being filled. */
const incoming = "incoming-";

export function replacePaths(home: string): ReplacePaths {
  return { home, data: join(home, "_data"), next: join(home, "next"), old: join(home, "old") };
}

/** A new directory to put files into; what a crash leaves of it is removed by {@link finishReplacing}. */
export async function stage({ home }: ReplacePaths): Promise<string> {
  const path = join(home, `${incoming}${crypto.randomUUID()}`);
  await mkdir(path, { mode: 0o755 });
  return path;
}

/** Puts staged files in the place of those that are there, all at once. Nobody may use the volume meanwhile. */
export async function replaceBy(paths: ReplacePaths, staged: string, workers: Workers): Promise<void> {
  await rename(staged, paths.next);
  await finishSwap(paths, workers);
}

/** After a crash: completes what was complete, removes what was not. Before anything else is done in the directory. */
export async function finishReplacing(paths: ReplacePaths, workers: Workers): Promise<void> {
  if (!existsSync(paths.home)) return;
  const names = await readdir(paths.home);
  for (const name of names.filter((one) => one.startsWith(incoming))) {
    await workers.run(removeTree, { path: join(paths.home, name) });
  }
  if (names.includes("next") || names.includes("old")) await finishSwap(paths, workers);
}

async function finishSwap({ data, next, old }: ReplacePaths, workers: Workers): Promise<void> {
  if (existsSync(next)) {
    if (existsSync(data)) {
      await workers.run(removeTree, { path: old });
      await rename(data, old);
    }
    await rename(next, data);
  }
  await workers.run(removeTree, { path: old });
}
