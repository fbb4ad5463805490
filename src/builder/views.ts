import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { IdMap } from "../host/mod.ts";
import type { BuilderContext } from "./context.ts";

/** Read-only looks at committed snapshots, mounted once a build, for COPY --from and RUN --mount. */
export class RootViews implements AsyncDisposable {
  readonly #context: BuilderContext;
  readonly #directory: string;
  readonly #views = new Map<string, Promise<string>>();

  readonly #signal: AbortSignal;

  constructor(context: BuilderContext, { directory, signal }: { directory: string; signal: AbortSignal }) {
    this.#context = context;
    this.#directory = directory;
    this.#signal = signal;
  }

  /** Where the snapshot can be read, with the owners that it has for users of a namespace with this map; an empty directory for an empty root. */
  path(snapshot: string | undefined, map?: IdMap): Promise<string> {
    const name = `${snapshot ?? ""} ${map ? JSON.stringify(map) : ""}`;
    const view = this.#views.get(name) ?? this.#open(snapshot, { name: `v${this.#views.size}`, ...(map && { map }) });
    this.#views.set(name, view);
    return view;
  }

  async #open(snapshot: string | undefined, { name, map }: { name: string; map?: IdMap }): Promise<string> {
    const path = join(this.#directory, name);
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (snapshot === undefined) return path;
    await this.#context.packedLayers.unpack(snapshot, this.#signal);
    if (map) {
      await this.#openMapped(snapshot, { path, map });
      return path;
    }
    const mounts = await this.#context.snapshots.view(snapshot);
    for (const mount of mounts) this.#context.host.mounts.mount(mount, path);
    return path;
  }

  async #openMapped(snapshot: string, { path, map }: { path: string; map: IdMap }): Promise<void> {
    const { snapshots, userns } = this.#context;
    const staged = `${path}.staged`;
    const mounts = (at: string) => snapshots.view(snapshot, { at });
    try {
      await userns.mountMapped({ source: snapshots.root, target: path, mounts, staged, map, through: [] });
    } finally {
      await userns.unstage(staged);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const view of this.#views.values()) {
      const path = await view.catch(() => undefined);
      if (path !== undefined) this.#context.host.mounts.unmount(path, "detach");
    }
    if (this.#views.size > 0) await rm(this.#directory, { recursive: true, force: true });
  }
}
