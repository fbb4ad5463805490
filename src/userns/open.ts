import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import type { Host, IdMap, IdRange } from "../host/mod.ts";
import { resolveRemap } from "./remap.ts";
import { mountMapped, type StageParts, stage, unstage } from "./stage.ts";
import type { ExactMap, MappedTree, StagedMount, UserNamespace, UserNamespaces } from "./userns.ts";

export interface UserNamespacesOptions {
  readonly host: Pick<Host, "mounts" | "processes" | "users">;
  /** Namespaces are bound at EXECROOT/userns/HOLDER. */
  readonly execRoot: string;
  /** `--userns-remap`; without it nobody has a namespace who does not ask for one. */
  readonly remap?: string;
}

/** Throws "invalid" for a `remap` that means nobody. */
export async function openUserNamespaces(options: UserNamespacesOptions): Promise<UserNamespaces> {
  const opened = new Namespaces(options);
  if (options.remap !== undefined) await opened.check();
  return opened;
}

/** What a namespace's root is to mount lies below EXEC-ROOT, where it is nobody in particular. Throws "unavailable". */
function requireReachable(directory: string): void {
  for (let at = directory; at !== dirname(at); at = dirname(at)) {
    if (statSync(at).mode & 0o001) continue;
    const what = `Users of user namespaces cannot reach ${directory}: ${at} keeps them out`;
    throw new EngineError("unavailable", `${what}; let them through with chmod o+x`);
  }
}

/**
 * Besides the container's ids a map for `show` has the host's root, as an id that no file has: the kernel makes overlayfs' work
 * directory as root, which must have a place there.
 */
const hostRoot: IdRange = { inside: 2 ** 32 - 2, outside: 0, size: 1 };

class Namespaces implements UserNamespaces {
  readonly remapped: boolean;
  readonly #host: UserNamespacesOptions["host"];
  readonly #directory: string;
  readonly #remap: string;
  #map: Promise<IdMap> | undefined;
  /** Namespaces for `show`, by their paths. */
  readonly #shown = new Map<string, Promise<void>>();

  constructor({ host, execRoot, remap }: UserNamespacesOptions) {
    this.remapped = remap !== undefined;
    this.#host = host;
    this.#directory = join(execRoot, "userns");
    this.#remap = remap ?? "default";
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
  }

  /** Looked up once; what failed is tried again. */
  async map(): Promise<IdMap> {
    this.#map ??= resolveRemap(this.#host.processes, this.#remap);
    try {
      return await this.#map;
    } catch (err) {
      this.#map = undefined;
      throw err;
    }
  }

  /** What would fail with every container may as well fail at once. */
  async check(): Promise<void> {
    await this.map();
    requireReachable(this.#directory);
  }

  async open(holder: string): Promise<UserNamespace> {
    const [map, path] = [await this.map(), join(this.#directory, holder)];
    requireReachable(this.#directory);
    await this.#host.users.create(path, map);
    return { path, map };
  }

  close(holder: string): void {
    this.#host.users.remove(join(this.#directory, holder));
  }

  async show(source: string, target: string, map: IdMap): Promise<void> {
    this.#host.mounts.bindMapped(source, target, { userNamespace: await this.#namespaceFor(map) });
  }

  /** The mount keeps the map; its namespace is not needed any longer. */
  async showExactly(source: string, target: string, { map, recursive }: ExactMap): Promise<void> {
    const path = join(this.#directory, `+${crypto.randomUUID()}`);
    await this.#host.users.create(path, map);
    try {
      this.#host.mounts.bindMapped(source, target, { userNamespace: path, recursive });
    } finally {
      this.#host.users.remove(path);
    }
  }

  /** Named after what is in it; a holder's name has no "+". */
  async #namespaceFor({ uids, gids }: IdMap): Promise<string> {
    const map = { uids: [...uids, hostRoot], gids: [...gids, hostRoot] };
    const name = createHash("sha256").update(JSON.stringify(map)).digest("hex").slice(0, 16);
    const path = join(this.#directory, `+${name}`);
    const made = this.#shown.get(path) ?? this.#host.users.create(path, map);
    this.#shown.set(path, made);
    try {
      await made;
    } catch (err) {
      this.#shown.delete(path);
      throw err;
    }
    return path;
  }

  mountMapped(tree: MappedTree): Promise<void> {
    return mountMapped(this.#stageParts(), tree);
  }

  stage<M extends StagedMount>(mounts: readonly M[], where: { staged: string; map: IdMap }): Promise<M[]> {
    return stage(this.#stageParts(), mounts, where);
  }

  unstage(staged: string): Promise<void> {
    return unstage(this.#host, staged);
  }

  #stageParts(): StageParts {
    return { mounts: this.#host.mounts, show: (source, target, map) => this.show(source, target, map) };
  }

  recover(live: ReadonlySet<string>): void {
    this.#shown.clear();
    for (const name of readdirSync(this.#directory)) if (!live.has(name)) this.close(name);
  }

  shutdown(): void {
    for (const path of this.#shown.keys()) this.#host.users.remove(path);
    this.#shown.clear();
    if (existsSync(this.#directory) && readdirSync(this.#directory).length === 0) rmdirSync(this.#directory);
  }
}
