import { Semaphore } from "../async/mod.ts";
import type { ContentStore } from "../content/mod.ts";
import type { Db, Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import type { Collected, Collector, Leases, Roots } from "./gc.ts";

export interface CollectorOptions {
  readonly db: Db;
  readonly content: ContentStore;
  /** Left out where there are none, as in a registry. */
  readonly snapshots?: Snapshotter;
  /** Who must have registered before anything is collected, such as "images" and "containers". */
  readonly owners: readonly string[];
}

export function openCollector(options: CollectorOptions): Collector & Leases {
  return new MarkAndSweep(options);
}

class MarkAndSweep implements Collector, Leases {
  readonly #options: CollectorOptions;
  readonly #owners = new Map<string, Roots>();
  /** When each lease began, in milliseconds of performance.now(), which never goes back. */
  readonly #leases = new Set<{ readonly since: number }>();
  readonly #one = new Semaphore(1);

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  register(owner: string, roots: Roots): void {
    if (!this.#options.owners.includes(owner) || this.#owners.has(owner)) {
      throw new EngineError("internal", `Owner ${owner} of content was not announced, or registers twice`);
    }
    this.#owners.set(owner, roots);
  }

  async hold<T>(body: () => Promise<T>): Promise<T> {
    const lease = { since: performance.now() };
    this.#leases.add(lease);
    try {
      return await body();
    } finally {
      this.#leases.delete(lease);
    }
  }

  collect(): Promise<Collected> {
    return this.#one.run(() => this.#collect());
  }

  async #collect(): Promise<Collected> {
    this.#requireOwners();
    const { db, content, snapshots } = this.#options;
    const dropped = db.write((tx) => ({
      blobs: content.dropUnreferenced(tx, this.#contentRoots(tx)),
      snapshots: snapshots?.dropUnreferenced(tx, this.#snapshotRoots(tx, snapshots)) ?? [],
    }));
    const freed = (await snapshots?.deleteDropped(dropped.snapshots)) ?? 0;
    await content.deleteDropped(dropped.blobs);
    return {
      bytes: dropped.blobs.reduce((sum, blob) => sum + blob.size, freed),
      blobs: dropped.blobs.map((blob) => blob.digest),
      snapshots: dropped.snapshots.map((snapshot) => snapshot.name),
    };
  }

  #requireOwners(): void {
    const missing = this.#options.owners.filter((owner) => !this.#owners.has(owner));
    if (missing.length > 0) throw new EngineError("internal", `Nothing is collected before ${missing} registered`);
  }

  #contentRoots(q: Query) {
    const owned = [...this.#owners.values()].flatMap((roots) => [...(roots.content?.(q) ?? [])]);
    return [...owned, ...this.#leased((since) => this.#options.content.usedSince(since))];
  }

  #snapshotRoots(q: Query, store: Snapshotter) {
    const owned = [...this.#owners.values()].flatMap((roots) => [...(roots.snapshots?.(q) ?? [])]);
    return [...owned, ...this.#leased((since) => store.usedSince(since))];
  }

  /** All that was used since the oldest lease that is still held: leases do not say who used what. */
  #leased<T>(usedSince: (since: number) => Iterable<T>): Iterable<T> {
    if (this.#leases.size === 0) return [];
    return usedSince(Math.min(...[...this.#leases].map((lease) => lease.since)));
  }
}
