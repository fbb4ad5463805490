import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../host/mod.ts";
import type { Image } from "../images/mod.ts";
import { packTree } from "../layers/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { BuilderContext } from "./context.ts";
import { RootViews } from "./views.ts";

/** All files of an image as an archive. The image must stay until it is read. */
export async function* imageFiles(
  context: BuilderContext,
  image: Image,
  signal: AbortSignal,
): Bytes & AsyncGenerator<Uint8Array> {
  const { workers } = context.host;
  const directory = join(context.config.directory, "work", `f${randomBytes(12).toString("hex")}`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => workers.run(removeTree, { path: directory }));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const views = undo.use(new RootViews(context, { directory: join(directory, "views"), signal }));
  const path = await views.path(await context.images.rootfs(image));
  yield* packTree(workers, path, { signal });
}
