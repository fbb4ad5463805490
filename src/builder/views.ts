import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BuilderContext } from "./context.ts";

/** Read-only looks at committed snapshots, mounted once a build, for COPY --from and RUN --mount. */
export class RootViews implements AsyncDisposable {
  readonly #context: BuilderContext;
  readonly #directory: string;
  readonly #views = new Map<string, Promise<string>>();

  constructor(context: BuilderContext, directory: string) {
    this.#context = context;
    this.#directory = directory;
  }

  /** Where the snapshot can be read; an empty directory for an empty root. */
  path(snapshot: string | undefined): Promise<string> {
    const name = snapshot ?? "";
    const view = this.#views.get(name) ?? this.#open(snapshot, `v${this.#views.size}`);
    this.#views.set(name, view);
    return view;
  }

  async #open(snapshot: string | undefined, name: string): Promise<string> {
    const path = join(this.#directory, name);
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (snapshot === undefined) return path;
    const mounts = await this.#context.snapshots.view(snapshot);
    for (const mount of mounts) this.#context.host.mounts.mount(mount, path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const view of this.#views.values()) {
      const path = await view.catch(() => undefined);
      if (path !== undefined) this.#context.host.mounts.unmount(path, "detach");
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}
