import { extractInto, packPath } from "../../layers/mod.ts";
import { type Bytes, compress, decompress } from "../../stream/mod.ts";
import type { VolumeInspect } from "../../wire/mod.ts";
import type { Context } from "../context.ts";

export interface VolumeExport {
  readonly compression?: "gzip" | "zstd";
  readonly signal: AbortSignal;
}

export interface VolumeImport {
  readonly bytes: Bytes;
  /** What the volume has is replaced. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/** A volume's files as a tar archive, names relative to it and the volume itself first, as `./`. Held until its end. */
export function exportVolume(ctx: Context, name: string, { compression, signal }: VolumeExport): Bytes {
  const bytes = pack(ctx, name, signal);
  return compression ? compress(bytes, compression) : bytes;
}

async function* pack(ctx: Context, name: string, signal: AbortSignal): Bytes {
  await using held = await ctx.volumes.hold(name);
  const place = { root: held.directory, path: "/.", hideDev: false };
  const { bytes, done } = await packPath(ctx.host.workers, place, signal);
  try {
    yield* bytes;
  } finally {
    await done.catch(() => undefined);
  }
}

/** See `Volumes.import`; the archive may be compressed with gzip or zstd. */
export function importVolume(ctx: Context, name: string, options: VolumeImport): Promise<VolumeInspect> {
  const { force, bytes, signal } = options;
  const whole = { path: "/.", hideDev: false, itself: true, noOverwriteDirNonDir: false, readOnly: false, mounts: [] };
  const unpack = (root: string) => extractInto(ctx.host.workers, decompress(bytes), { ...whole, root, signal });
  return ctx.volumes.import(name, { force, unpack });
}
