import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { KeyedLock } from "../../async/mod.ts";
import type { Db } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { feedJob, removeTree, type Workers } from "../../host/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import type { BuildContext } from "../builder.ts";
import { compareContextJob } from "../jobs/compare-context.ts";
import { completeContextJob } from "../jobs/complete-context.ts";
import type { Tidied } from "../jobs/receive.ts";
import { contextDirectory, deleteContext, keptContexts, setContextSize } from "../table.ts";

export interface KeptContextsParts {
  readonly db: Db;
  readonly workers: Workers;
  /** The builder's own directory. */
  readonly directory: string;
}

export interface Completing {
  /** An archive of what was missing. */
  readonly bytes: Bytes;
  readonly dockerfile: string;
  /** See `ReceiveOptions`. */
  readonly apart?: Tidied;
  readonly signal: AbortSignal;
}

interface Told {
  readonly key: string;
  readonly manifest: string;
}

/** How many clients may have told of a context without sending what was missing. */
const mostTold = 64;

/** All of it, in bytes; what was used longest ago goes first. */
const mostKept = 4 * 1024 ** 3;

/**
 * Contents of the contexts that `berth build` sent last, by a key that stands for the client's directory: from the second
 * time on it sends only what changed. A build has its own name for the pack, so forgetting disturbs nobody.
 */
export class KeptContexts {
  readonly #parts: KeptContextsParts;
  readonly #locks = new KeyedLock();
  readonly #told = new Map<string, Told>();

  constructor(parts: KeptContextsParts) {
    this.#parts = parts;
  }

  /** Takes what a client tells of its context; returns an id for it and the numbers of the lines whose contents are missing. */
  async compare(
    key: string,
    { bytes, signal }: { bytes: Bytes; signal: AbortSignal },
  ): Promise<{ id: string; missing: readonly number[] }> {
    if (!/^[0-9a-f]{64}$/.test(key))
      throw new EngineError("invalid", "the key of a build context is a SHA-256 in hexadecimal");
    const id = randomBytes(12).toString("hex");
    const manifest = join(this.#parts.directory, "contexts", `${id}.manifest`);
    const input = { store: await this.#store(key), manifest };
    try {
      const missing = await this.#locks.run(
        key,
        () => feedJob(this.#parts.workers, compareContextJob, { input, bytes, signal }),
        signal,
      );
      await this.#remember(id, { key, manifest });
      return { id, missing };
    } catch (err) {
      await rm(manifest, { force: true });
      throw err;
    }
  }

  /** The context of an id, with what was missing. Throws "conflict" for an id that is not known any more. */
  async complete(id: string, { bytes, dockerfile, apart, signal }: Completing): Promise<BuildContext> {
    const told = this.#told.get(id);
    if (!told) throw new EngineError("conflict", `no such build context: ${id}`);
    this.#told.delete(id);
    const { key, manifest } = told;
    const own = join(this.#parts.directory, "contexts", randomBytes(12).toString("hex"));
    const places = { archive: `${own}.tar`, index: `${own}.index` };
    await using undo = new AsyncDisposableStack();
    undo.defer(() => rm(manifest, { force: true }));
    await using failed = new AsyncDisposableStack();
    for (const path of Object.values(places)) failed.defer(() => rm(path, { force: true }));
    const input = {
      ...places,
      directory: own,
      dockerfile,
      manifest,
      store: await this.#store(key),
      ...(apart && { apart }),
    };
    const done = await this.#locks.run(
      key,
      () => feedJob(this.#parts.workers, completeContextJob, { input, bytes, signal }),
      signal,
    );
    this.#parts.db.write((tx) => setContextSize(tx, key, done.bytes));
    await this.#shrink(mostKept);
    failed.move();
    const { dockerfileText, ignore, content } = done;
    return { directory: own, dockerfile, dockerfileText, ignore, packed: { ...places, content } };
  }

  /** Forgets what was used longest ago until at most so many bytes are kept; returns what that freed. */
  async #shrink(most: number): Promise<void> {
    const rows = this.#parts.db.read(keptContexts);
    let kept = rows.reduce((sum, row) => sum + row.bytes, 0);
    for (const row of rows) {
      if (kept <= most) return;
      await this.forget(row.key);
      kept -= row.bytes;
    }
  }

  async forget(key: string): Promise<void> {
    await this.#locks.run(key, async () => {
      const path = await this.#store(key);
      this.#parts.db.write((tx) => deleteContext(tx, key));
      await this.#parts.workers.run(removeTree, { path });
    });
  }

  /** Its directory, which has a row before it is made. */
  async #store(key: string): Promise<string> {
    const candidate = { directory: randomBytes(12).toString("hex"), used: Date.now() };
    const name = this.#parts.db.write((tx) => contextDirectory(tx, key, candidate));
    const path = join(this.#parts.directory, "kept", name);
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  async #remember(id: string, told: Told): Promise<void> {
    this.#told.set(id, told);
    for (const [oldest, { manifest }] of this.#told) {
      if (this.#told.size <= mostTold) return;
      this.#told.delete(oldest);
      await rm(manifest, { force: true });
    }
  }
}
