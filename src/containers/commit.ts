import { isKind } from "../errors/mod.ts";
import { applyChanges, type Image } from "../images/mod.ts";
import type { PackedLayer } from "../layers/mod.ts";
import { type ImageConfig, type ImageRunConfig, parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import type { ContainerConfig } from "../wire/mod.ts";
import { mergeConfig } from "./config.ts";
import type { CommitOptions } from "./containers.ts";
import type { Context } from "./context.ts";
import { publish } from "./event.ts";
import { snapshotKey } from "./paths.ts";
import { resolve } from "./refs.ts";
import type { Row } from "./table.ts";
import { transition } from "./transition.ts";

/** Makes an image of what the container has changed, on top of the image that it was made from. */
export async function commit(ctx: Context, ref: string, options: CommitOptions): Promise<{ Id: string }> {
  const name = nameOf(options);
  const { id } = resolve(ctx.table, ref);
  return ctx.collector.hold(async () => {
    const { row, packed } = await ctx.locks.run(id, () => pack(ctx, { id, pause: options.pause }));
    const parent = ctx.images.get(row.imageId);
    const layers = [...ctx.images.layers(parent), ...(packed.empty ? [] : [packed.blob])];
    const config = imageConfig({ row, parent, packed, options });
    await ctx.layers.unpack(
      config.rootfs.diff_ids.map((diffId, at) => ({ diffId, blob: layers[at] ?? packed.blob })),
      { signal: ctx.closing },
    );
    const image = await ctx.images.register({ config, layers, parent: parent.id, names: name ? [name] : [] });
    const attributes = { comment: options.comment ?? "", imageID: image.id, imageRef: image.names[0] ?? "" };
    publish(ctx, row, { action: "commit", attributes });
    return { Id: image.id };
  });
}

function nameOf({ repo, tag }: CommitOptions): Reference | undefined {
  if (!repo) return undefined;
  return withDefaultTag(parseReference(tag ? `${repo}:${tag}` : repo));
}

/** Frozen while its files are read, unless the user would rather not. */
async function pack(
  ctx: Context,
  { id, pause }: { id: string; pause: boolean },
): Promise<{ row: Row; packed: PackedLayer }> {
  const row = resolve(ctx.table, id);
  transition(row.phase, "commit", row);
  const frozen = pause && row.phase === "running" && (await setFrozen(ctx, id, true));
  try {
    return { row, packed: await ctx.layers.pack(snapshotKey(id)) };
  } finally {
    if (frozen) await setFrozen(ctx, id, false);
  }
}

/** False when its process has just ended, which the row will say soon: nobody writes any more. */
async function setFrozen(ctx: Context, id: string, frozen: boolean): Promise<boolean> {
  try {
    await ctx.runtime.freeze(id, frozen);
    return true;
  } catch (err) {
    if (isKind(err, "not-found")) return false;
    throw err;
  }
}

interface Made {
  readonly row: Row;
  readonly parent: Image;
  readonly packed: PackedLayer;
  readonly options: CommitOptions;
}

function imageConfig({ row, parent, packed, options }: Made): ImageConfig {
  const { os, architecture, variant, rootfs, history = [] } = parent.config;
  const created = new Date().toISOString();
  const author = options.author ?? "";
  return {
    os,
    architecture,
    ...(variant && { variant }),
    created,
    ...(author && { author }),
    config: applyChanges(wantedConfig(row, options), options.changes),
    rootfs: { type: "layers", diff_ids: packed.empty ? rootfs.diff_ids : [...rootfs.diff_ids, packed.diffId] },
    history: [
      ...history,
      {
        created,
        created_by: (row.config.Cmd ?? []).join(" "),
        ...(author && { author }),
        ...(options.comment && { comment: options.comment }),
        ...(packed.empty && { empty_layer: true }),
      },
    ],
  };
}

/** With a configuration of the caller's own, the container's is merged into it as an image's is into a container's. */
function wantedConfig({ config }: Row, options: CommitOptions): ImageRunConfig {
  const own = runConfig(config);
  return options.config ? runConfig(mergeConfig(options.config, own)) : own;
}

/** What of the container's configuration is an image's: not its host name, not its terminal. */
function runConfig(config: ContainerConfig): ImageRunConfig {
  const { User, ExposedPorts, Env, Entrypoint, Cmd, Volumes, WorkingDir, Labels, StopSignal, Shell, Healthcheck } =
    config;
  return {
    ...(User && { User }),
    ...(ExposedPorts && { ExposedPorts }),
    Env,
    Entrypoint,
    Cmd,
    ...(Volumes && { Volumes }),
    ...(WorkingDir && { WorkingDir }),
    ...(Object.keys(Labels).length > 0 && { Labels }),
    ...(StopSignal && { StopSignal }),
    ...(Shell && { Shell }),
    ...(Healthcheck && { Healthcheck }),
  };
}
