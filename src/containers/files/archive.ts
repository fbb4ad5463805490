import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import { extractInto, type PathStat, packPath, statPath } from "../../layers/mod.ts";
import { resolveUser } from "../../rootfs/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import type { WritePath } from "../containers.ts";
import type { Context } from "../context.ts";
import { publish } from "../event.ts";
import { pathsOf } from "../paths.ts";
import { plain } from "./plain.ts";
import { openView, type View } from "./view.ts";

interface Asked {
  readonly ref: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

export async function statIn(ctx: Context, asked: Asked): Promise<PathStat> {
  await using view = await openView(ctx, asked.ref, asked.signal);
  return await named(asked.ref, () => statPath(ctx.host.workers, placeIn(view, asked), asked.signal));
}

export async function readFrom(ctx: Context, asked: Asked): Promise<{ stat: PathStat; bytes: Bytes }> {
  await using undo = new AsyncDisposableStack();
  const view = undo.use(await openView(ctx, asked.ref, asked.signal));
  const found = await named(asked.ref, () => packPath(ctx.host.workers, placeIn(view, asked), asked.signal));
  publish(ctx, view.row, { action: "archive-path" });
  const held = undo.move();
  // When it was read to its end, or left, or the client has gone before anybody began to read.
  const release = () => held.disposeAsync();
  found.done.then(release, release).catch((err: unknown) => {
    ctx.log.error("could not let go of a container's files", { container: view.row.id, error: messageOf(err) });
  });
  return found;
}

export async function writeTo(ctx: Context, asked: Asked, { bytes, ...options }: WritePath): Promise<void> {
  await using view = await openView(ctx, asked.ref, asked.signal);
  const { row } = view;
  const owner = options.copyUidGid ? ownerFor(ctx, view) : undefined;
  await named(asked.ref, () =>
    extractInto(ctx.host.workers, plain(ctx, bytes), {
      ...placeIn(view, asked),
      noOverwriteDirNonDir: options.noOverwriteDirNonDir,
      ...(owner && { owner }),
      readOnly: row.hostConfig.ReadonlyRootfs,
      mounts: row.mounts.map(({ destination, rw }) => ({ destination, rw })),
      signal: asked.signal,
    }),
  );
  publish(ctx, row, { action: "extract-to-dir" });
}

function placeIn({ root, hideDev, owners }: View, { path }: Asked) {
  return { root, hideDev, path, ...(owners && { owners }) };
}

/** Docker's -a: whom the container runs as, with the ids inside. Nobody in particular where that is not said. */
function ownerFor(ctx: Context, { row }: View): { readonly uid: number; readonly gid: number } | undefined {
  if (row.config.User === "") return undefined;
  const { uid, gid } = resolveUser(ctx.host.rooted(pathsOf(ctx.config, row.id).rootfs), { user: row.config.User });
  return { uid, gid };
}

async function named<T>(ref: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (err) {
    if (!isKind(err, "not-found")) throw err;
    throw new EngineError("not-found", `${messageOf(err)} in container ${ref}`, { cause: err });
  }
}
