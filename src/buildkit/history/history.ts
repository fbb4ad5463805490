import { setImmediate as nextTurn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { Db } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { Log } from "../../log/mod.ts";
import { control } from "../../proto/mod.ts";
import type { StatusFeed } from "../status.ts";
import { type BuildOutcome, completed, type Over } from "./complete.ts";
import { HistoryEvents } from "./events.ts";
import { type RecordFilter, recordFilter } from "./filter.ts";
import { type BuildRecord, eventOf, recordOf } from "./record.ts";
import { hasRoomToPin, outdated } from "./retention.ts";
import { StatusLog, statusResponses } from "./status-log.ts";
import {
  blobSize,
  deleteRecord,
  findBlob,
  findRecord,
  putRecord,
  recordRefs,
  recordSizes,
  updateRecord,
} from "./table.ts";

export interface HistoryOptions {
  readonly db: Db;
  readonly log: Log;
  /** Default: the clock. */
  readonly now?: () => Date;
}

/** A build that is to be kept in mind. */
export interface Recording {
  readonly request: control.SolveRequest;
  /** Closed when the build is over. */
  readonly feed: StatusFeed;
  readonly signal: AbortSignal;
}

/**
 * The builds of the Control API, those that are under way and those that were (BuildKit `solver/llbsolver/history`). A build has
 * a row once it is over, with everything that it told; what was under way when a daemon was killed is in no record, as with
 * BuildKit. Rows go as {@link outdated} says, which is asked at the start and after each build.
 */
export class BuildHistory {
  readonly #db: Db;
  readonly #log: Log;
  readonly #now: () => Date;
  readonly #active = new Map<string, BuildRecord>();
  readonly #events = new HistoryEvents();

  constructor({ db, log, now = () => new Date() }: HistoryOptions) {
    this.#db = db;
    this.#log = log;
    this.#now = now;
    this.#prune();
  }

  /** Runs the build, whose outcome it has; that a record cannot be written is no failure of the build's. */
  async record(recording: Recording, build: () => Promise<BuildOutcome>): Promise<BuildOutcome> {
    const { request, feed, signal } = recording;
    const record = recordOf(request, this.#now());
    if (!record) return build();
    const log = StatusLog.of(feed);
    log.catch(() => undefined); // whoever keeps the record sees it
    this.#active.set(record.ref, record);
    this.#events.add(eventOf("started", record));
    const [outcome] = await Promise.allSettled([build()]);
    await this.#keep(record, { outcome, signal, log });
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  }

  /** See `BuildHistoryRequest`. Filters and limit are for builds that are over, as with BuildKit; the last one comes first. */
  async *listen(
    { ref, activeOnly, earlyExit, filter, limit }: control.BuildHistoryRequest,
    signal: AbortSignal,
  ): AsyncGenerator<control.BuildHistoryEvent> {
    const from = this.#events.end;
    if (limit < 0) throw new EngineError("invalid", `invalid limit ${limit}`);
    const matches = recordFilter(filter, BigInt(this.#now().getTime()) * 1_000_000n);
    const isAsked = (record: BuildRecord) => ref === "" || record.ref === ref;
    for (const record of [...this.#active.values()].filter(isAsked)) yield eventOf("started", record);
    if (!activeOnly) yield* this.#listed({ matches: (record) => isAsked(record) && matches(record), limit, ref });
    if (earlyExit) return;
    for await (const event of this.#events.follow(from, signal)) if (event.record && isAsked(event.record)) yield event;
  }

  /** Throws "not-found" for a build that is not there or not over, "conflict" when no more can be pinned. */
  update({ ref, pinned, delete: goes, finalize }: control.UpdateBuildHistoryRequest): void {
    if (goes) this.#delete(ref);
    else if (!finalize) this.#pin(ref, pinned); // a record is final when its build is over: there are no traces to wait for
  }

  /** What the build told, if it is over and known. */
  async status(ref: string): Promise<Iterable<control.StatusResponse> | undefined> {
    const record = this.#db.read((q) => findRecord(q, ref));
    if (!record) return undefined;
    const log = record.logs && (await this.blob(record.logs.digest));
    return log ? statusResponses(log) : [];
  }

  /** Bytes that a record refers to. */
  async blob(digest: string): Promise<Uint8Array | undefined> {
    const found = this.#db.read((q) => findBlob(q, digest));
    return found && Bun.zstdDecompress(found.packed);
  }

  blobSize(digest: string): number | undefined {
    return this.#db.read((q) => blobSize(q, digest));
  }

  async #keep(record: BuildRecord, over: Over): Promise<void> {
    try {
      const { complete, blobs } = await completed(record, { ...over, now: this.#now() });
      this.#db.write((tx) => putRecord(tx, complete, blobs));
      this.#events.add(eventOf("complete", complete));
      this.#prune();
    } catch (err) {
      this.#log.warn("The record of a build cannot be kept", { ref: record.ref, err });
    } finally {
      this.#active.delete(record.ref);
    }
  }

  /** Deletes what is outdated, the oldest first; not more than its listeners can be told of at once. */
  #prune(): void {
    const refs = outdated(this.#db.read(recordSizes), this.#now().getTime()).slice(-prunedAtOnce);
    if (refs.length === 0) return;
    this.#db.write((tx) => {
      for (const ref of refs) deleteRecord(tx, ref);
    });
    for (const ref of refs) this.#events.add(deleted(ref));
  }

  #delete(ref: string): void {
    if (!this.#db.write((tx) => deleteRecord(tx, ref))) throw missing(ref);
    this.#events.add(deleted(ref));
  }

  #pin(ref: string, pinned: boolean): void {
    const record = this.#db.read((q) => findRecord(q, ref));
    if (!record) throw missing(ref);
    if (pinned && !hasRoomToPin(this.#db.read(recordSizes), ref))
      throw new EngineError(
        "conflict",
        `build ${ref} cannot be pinned: the records that are take all the room for such ones`,
      );
    Object.assign(record, { pinned, generation: record.generation + 1 });
    this.#db.write((tx) => updateRecord(tx, record));
    this.#events.add(eventOf("complete", record));
  }

  async *#listed({ ref, limit, matches }: Listing): AsyncGenerator<control.BuildHistoryEvent> {
    const refs = ref === "" ? this.#db.read(recordRefs) : [ref];
    let count = 0;
    for (const one of refs) {
      await nextTurn();
      const record = this.#db.read((q) => findRecord(q, one));
      if (!record || !matches(record)) continue;
      yield eventOf("complete", record);
      if (++count === limit) return;
    }
  }
}

/** Fewer than a listener may be behind. */
const prunedAtOnce = 64;

interface Listing {
  readonly ref: string;
  /** 0: all. */
  readonly limit: number;
  readonly matches: RecordFilter;
}

function deleted(ref: string): control.BuildHistoryEvent {
  return eventOf("deleted", create(control.BuildHistoryRecordSchema, { ref }));
}

function missing(ref: string): EngineError {
  return new EngineError("not-found", `no record of a build ${ref.slice(0, 100)} that is over`);
}
