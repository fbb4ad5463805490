import { chmod, chown, rename } from "node:fs/promises";
import { KeyedLock } from "../async/mod.ts";
import { isKind } from "../errors/mod.ts";
import { chainIds, type Digest } from "../oci/mod.ts";
import { directoriesBelow } from "./below.ts";
import { inheritAttributes } from "./jobs/inherit.ts";
import { unpackLayer } from "./jobs/unpack.ts";
import type { Unpacked } from "./jobs/unpacker.ts";
import type { LayerSource, RestoreOptions, UnpackOptions } from "./layers.ts";
import type { LayersOptions } from "./open.ts";

/** Keys of snapshots that are being unpacked. */
export const unpackPrefix = "unpack/";

interface UnpackingOptions extends LayersOptions {
  chain(chainId: Digest): string | undefined;
  recordChain(chainId: Digest, snapshot: string): void;
}

interface Step {
  readonly layer: LayerSource;
  readonly chainId: Digest;
  /** Settles with the name of the snapshot below, once it is committed. */
  readonly parent: Promise<string | undefined>;
  readonly signal: AbortSignal;
}

interface Staged {
  readonly key: string;
  readonly unpacked: Unpacked;
}

/**
 * All layers are unpacked at once, each into a snapshot of its own that has no parent yet, since a parent must be committed
 * first. When its parent is, a layer's files are moved (one rename) into a snapshot on top of it, which is committed.
 * Waiting goes downwards only: a step waits for its chain id's lock, then for the step below.
 */
export class Unpacking {
  readonly #options: UnpackingOptions;
  readonly #locks = new KeyedLock();

  constructor(options: UnpackingOptions) {
    this.#options = options;
  }

  async run(layers: readonly LayerSource[], { signal, onUnpacked }: UnpackOptions): Promise<string | undefined> {
    // Nobody may be waiting for it yet when a download fails.
    for (const { ready } of layers) ready?.catch(() => undefined);
    signal.throwIfAborted();
    const chains = chainIds(layers.map((layer) => layer.diffId));
    const there = chains.findLastIndex((chainId) => this.#options.chain(chainId) !== undefined);
    const first = there >= 0 ? chains[there] : undefined;
    let parent = Promise.resolve(first && this.#options.chain(first));
    for (const layer of layers.slice(0, there + 1)) onUnpacked?.(layer.diffId);
    const failed = new AbortController();
    const joined = AbortSignal.any([signal, failed.signal]);
    const steps = layers.slice(there + 1).map((layer, at) => {
      const chainId = chains[there + 1 + at] as Digest;
      const step = this.#step({ layer, chainId, parent, signal: joined });
      parent = step.then((name) => {
        onUnpacked?.(layer.diffId);
        return name;
      });
      // The first failure stops the others, and is the one to tell of.
      parent.catch((err: unknown) => failed.abort(err));
      return parent;
    });
    await Promise.allSettled(steps);
    joined.throwIfAborted();
    return parent;
  }

  /** See `Layers.restore`. */
  restore(layer: LayerSource, { name, parent, signal }: RestoreOptions): Promise<void> {
    const restored = async () => {
      if (this.#options.snapshots.info(name)?.state === "committed") return;
      await using undo = new AsyncDisposableStack();
      const staged = await this.#stage({ layer, signal }, undo);
      const key = await this.#onTop({ staged, below: parent, signal }, undo);
      await this.#options.snapshots.commit(name, key);
    };
    return this.#locks.run(name, restored, signal);
  }

  #step(step: Step): Promise<string> {
    return this.#locks.run(step.chainId, () => this.#unpack(step), step.signal);
  }

  async #unpack(step: Step): Promise<string> {
    const known = this.#options.chain(step.chainId) ?? this.#committed(step.chainId);
    if (known !== undefined) return known;
    await using undo = new AsyncDisposableStack();
    const staged = await this.#stage(step, undo);
    const parent = await step.parent;
    step.signal.throwIfAborted();
    return await this.#adopt({ ...step, staged, below: parent }, undo);
  }

  /** A snapshot that a killed engine committed just before it would have recorded the chain. */
  #committed(chainId: Digest): string | undefined {
    const name = nameOf(chainId);
    if (this.#options.snapshots.info(name)?.state !== "committed") return undefined;
    this.#options.recordChain(chainId, name);
    return name;
  }

  async #stage(step: Pick<Step, "layer" | "signal">, undo: AsyncDisposableStack): Promise<Staged> {
    const { snapshots, log } = this.#options;
    const key = await this.#prepare(undo);
    const unpacked = await this.#arriving(step, snapshots.directory(key));
    for (const warning of unpacked.warnings) log.warn("attribute not kept", { layer: step.layer.diffId, warning });
    return { key, unpacked };
  }

  /** A download that fails stops the unpacking that follows it, and is what failed. */
  async #arriving(step: Pick<Step, "layer" | "signal">, target: string): Promise<Unpacked> {
    const { ready } = step.layer;
    const lost = new AbortController();
    ready?.catch((err: unknown) => lost.abort(err));
    try {
      const unpacked = await this.#fill({ ...step, signal: AbortSignal.any([step.signal, lost.signal]) }, target);
      await ready;
      return unpacked;
    } catch (err) {
      if (isKind(err, "unavailable")) await ready;
      throw err;
    }
  }

  async #prepare(undo: AsyncDisposableStack, parent?: string): Promise<string> {
    const { snapshots, log } = this.#options;
    const key = `${unpackPrefix}${crypto.randomUUID()}`;
    undo.defer(() => snapshots.remove(key).catch((err) => log.warn("cannot remove a snapshot", { key, err })));
    await snapshots.prepare(key, parent);
    return key;
  }

  async #fill({ layer, signal }: Pick<Step, "layer" | "signal">, target: string): Promise<Unpacked> {
    const { workers, content } = this.#options;
    const input = { target, diffId: layer.diffId };
    if (layer.partial) {
      const { path, state } = layer.partial;
      try {
        return await workers.run(unpackLayer, { ...input, path, growing: state }, { signal, waits: true });
      } catch (err) {
        // It arrived, and got its final name, before there was a thread.
        if (!isKind(err, "not-found")) throw err;
      }
    }
    await layer.ready;
    return workers.run(unpackLayer, { ...input, path: content.path(layer.blob.digest) }, { signal });
  }

  async #adopt(
    { staged, below, chainId, signal }: Step & { staged: Staged; below: string | undefined },
    undo: AsyncDisposableStack,
  ): Promise<string> {
    const key = await this.#onTop({ staged, below, signal }, undo);
    const name = nameOf(chainId);
    await this.#options.snapshots.commit(name, key);
    this.#options.recordChain(chainId, name);
    return name;
  }

  /** Moves what was unpacked into a snapshot with a parent, and returns its key. */
  async #onTop(
    { staged, below, signal }: { staged: Staged; below: string | undefined; signal: AbortSignal },
    undo: AsyncDisposableStack,
  ): Promise<string> {
    const { snapshots } = this.#options;
    if (below === undefined) {
      await plainRoot(snapshots.directory(staged.key));
      return staged.key;
    }
    await this.#inherit({ staged, below, signal });
    const key = await this.#prepare(undo, below);
    await rename(snapshots.directory(staged.key), snapshots.directory(key));
    return key;
  }

  async #inherit({ staged, below, signal }: { staged: Staged; below: string; signal: AbortSignal }): Promise<void> {
    const { snapshots, workers } = this.#options;
    const { implied, opaqueRoot } = staged.unpacked;
    if (implied.length === 0 && !opaqueRoot) return;
    const lowers = directoriesBelow(snapshots, below);
    const input = { target: snapshots.directory(staged.key), lowers, implied, opaqueRoot };
    await workers.run(inheritAttributes, input, { signal });
  }
}

/** The root of an image that was packed from a private directory would be closed to all its users; dockerd takes no root from a layer. */
async function plainRoot(directory: string): Promise<void> {
  await chown(directory, 0, 0);
  await chmod(directory, 0o755);
}

function nameOf(chainId: Digest): string {
  return `layer/${chainId}`;
}
