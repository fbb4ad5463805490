import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isKind } from "../errors/mod.ts";
import { removeTree } from "../host/mod.ts";
import type { UserNamespace } from "../userns/mod.ts";
import type { BuilderContext } from "./context.ts";

/** A snapshot being written, mounted. */
export interface BuildRoot extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  /** For other things that belong to the step; deleted with it. */
  readonly directory: string;
  readonly id: string;
  /** The user namespace of what runs in it, where that is not the host's. */
  readonly users?: StepUsers;
  /** The layer's own files, as overlayfs keeps them; to be touched after `unmount` only. */
  readonly upper: string;
  unmount(): void;
  /** Makes it a committed snapshot and returns its name. Unmounts first. */
  commit(): Promise<string>;
}

export interface StepUsers extends UserNamespace {
  /** For what is mounted on behalf of its root, see {@link UserNamespaces.stage}. */
  readonly staged: string;
}

export const activePrefix = "building/";
const donePrefix = "build/";

/**
 * Prepares a snapshot on `parent` and mounts it; with `runs` for a process, which may get a user namespace. Disposing one that
 * was not committed leaves nothing.
 */
export async function openRoot(
  context: BuilderContext,
  parent: string | undefined,
  { runs = false, signal }: { readonly runs?: boolean; readonly signal: AbortSignal },
): Promise<BuildRoot> {
  const id = randomBytes(12).toString("hex");
  const key = `${activePrefix}${id}`;
  const directory = join(context.config.directory, "work", id);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const users = runs && context.userns.remapped ? await openUsers(context, { id, undo }) : undefined;
  const path = users ? join(users.staged, "..", "rootfs") : join(directory, "rootfs");
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (parent !== undefined) await context.packedLayers.unpack(parent, signal);
  const mounts = await context.snapshots.prepare(key, parent);
  undo.defer(() => removeActive(context, { key, directory }));
  let mounted = false;
  const unmount = () => {
    if (mounted) context.host.mounts.unmount(path, "detach");
    mounted = false;
  };
  undo.defer(unmount);
  if (users) await mountMapped(context, { key, path, users });
  else for (const mount of mounts) context.host.mounts.mount(mount, path);
  mounted = true;
  const upper = context.snapshots.directory(key);
  const commit = async () => {
    unmount();
    const name = `${donePrefix}${id}`;
    await context.snapshots.commit(name, key);
    return name;
  };
  const owned = undo.move();
  return {
    path,
    directory,
    id,
    upper,
    ...(users && { users }),
    unmount,
    commit,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openUsers(
  context: BuilderContext,
  { id, undo }: { id: string; undo: AsyncDisposableStack },
): Promise<StepUsers> {
  const holder = `build-${id}`;
  const directory = join(stepsDirectory(context), id);
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  const users = await context.userns.open(holder);
  undo.defer(() => context.userns.close(holder));
  const staged = join(directory, "staged");
  undo.defer(() => context.userns.unstage(staged));
  return { ...users, staged };
}

/** Below it are the roots and mounts of steps in user namespaces. */
export function stepsDirectory({ config }: Pick<BuilderContext, "config">): string {
  return join(config.execRoot, "builds");
}

async function mountMapped(
  context: BuilderContext,
  { key, path, users }: { key: string; path: string; users: StepUsers },
): Promise<void> {
  const { snapshots, userns } = context;
  await userns.mountMapped({
    ...{ source: snapshots.root, target: path, staged: users.staged, map: users.map },
    mounts: (at) => snapshots.mounts(key, { at }),
    through: [stepsDirectory(context), dirname(path)],
  });
}

async function removeActive(
  context: BuilderContext,
  { key, directory }: { key: string; directory: string },
): Promise<void> {
  if (context.snapshots.info(key)?.state !== "active") return;
  try {
    await context.snapshots.remove(key);
  } catch (err) {
    if (isKind(err, "not-found")) return;
    // The step may have filled the disk, on which its row then cannot be deleted: room first.
    await rm(directory, { recursive: true, force: true });
    await context.host.workers.run(removeTree, { path: context.snapshots.directory(key) });
    await context.snapshots.remove(key);
  }
}
