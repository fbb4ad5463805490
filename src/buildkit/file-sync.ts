import { Queue } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { metadata } from "../grpc/mod.ts";
import { filesync, type fsutil, headerOf, packetType, shownPath } from "../proto/mod.ts";
import type { Bytes, TarEntry } from "../stream/mod.ts";
import { type Session, told } from "./session.ts";

export interface SyncRequest {
  /** What the client calls the directory, such as "context". */
  readonly directory: string;
  /** Patterns as in .dockerignore. */
  readonly excludes?: readonly string[];
  /** Only these paths and what they link to. */
  readonly followPaths?: readonly string[];
  /** Told how many bytes of files have come. */
  readonly onBytes?: (total: number) => void;
  readonly signal: AbortSignal;
}

/**
 * A directory of the client as the entries of an archive, in the client's order (fsutil's protocol: the client lists its
 * files, the daemon asks for contents by number, both say FIN). Nothing is believed but the bytes: who unpacks the archive
 * keeps names inside, and a file that has more bytes than it was listed with ends the transfer. Throws "invalid".
 */
export async function* syncFiles(session: Session, request: SyncRequest): AsyncGenerator<TarEntry> {
  using files = openFiles(session, request);
  yield* files.entries();
}

/** A directory of the client while it is transferred. Disposing ends that. */
export interface ClientFiles extends Disposable {
  /** What the client lists, in its order, asked for nothing yet. undefined when that is more than should be kept in mind; the entries are there all the same. */
  listed(): Promise<readonly fsutil.Stat[] | undefined>;
  /** To be called once. Given names, only the files of these numbers in the list, under those names. */
  entries(names?: ReadonlyMap<number, string>): AsyncGenerator<TarEntry>;
}

/** See {@link syncFiles}. */
export function openFiles(session: Session, request: SyncRequest): ClientFiles {
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  const asked = new Queue<Asked>();
  const call = { messages: asked.batches(), headers: headersOf(request), signal };
  const answers = session.caller.batches(filesync.FileSync.method.diffCopy, call);
  const transfer = new Transfer(answers, { asked, onBytes: request.onBytes ?? (() => undefined) });
  const failed = (err: unknown): never => {
    request.signal.throwIfAborted();
    throw told(err, `files of ${request.directory} from the client`);
  };
  return {
    listed: () => transfer.listed().catch(failed),
    async *entries(names) {
      try {
        yield* transfer.entries(names);
      } catch (err) {
        failed(err);
      }
    },
    [Symbol.dispose]() {
      asked.close();
      stop.abort();
    },
  };
}

/** Values that are not plain ASCII are percent-encoded, and said to be (BuildKit session/filesync, `encodeOpts`). */
function headersOf({ directory, excludes = [], followPaths = [] }: SyncRequest): Headers {
  const given: Record<string, readonly string[]> = { "dir-name": [directory] };
  if (followPaths.length > 0) given["followpaths"] = followPaths;
  if (excludes.length > 0) Object.assign(given, { "exclude-patterns": excludes, "override-excludes": ["true"] });
  const encoded = Object.entries(given).flatMap(([name, values]): [string, readonly string[]][] => {
    if (values.every((value) => /^[ -~]*$/.test(value))) return [[name, values]];
    return [
      [name, values.map(encodeURIComponent)],
      [`${name}-encoded`, ["1"]],
    ];
  });
  return metadata(Object.fromEntries(encoded));
}

type Asked = { readonly type: number; readonly id?: number };

/** Bytes of files that are asked for ahead of their turn; one that is larger is asked for alone and passed on as it comes. */
const ahead = 8 * 1024 * 1024;
/** Bytes of names and attributes that are listed and not yet passed on: a hostile client must not fill the daemon's memory. */
const mostListed = 512 * 1024 * 1024;
/** The same for lists that are read to their end before anything is asked for. */
const mostAtOnce = 256 * 1024 * 1024;

interface Listed {
  readonly id: number;
  readonly stat: fsutil.Stat;
  /** Whether there is content to ask for. */
  full: boolean;
  readonly pieces: Uint8Array[];
  received: bigint;
  complete: boolean;
}

interface TransferOptions {
  readonly asked: Queue<Asked>;
  readonly onBytes: (total: number) => void;
}

class Transfer {
  readonly #answers: AsyncIterator<readonly fsutil.Packet[]>;
  readonly #options: TransferOptions;
  /** By number; given up once passed on. */
  readonly #listed: (Listed | undefined)[] = [];
  #allListed = false;
  /** While everything is listed first. */
  #holds = false;
  /** The next to be asked for. */
  #front = 0;
  /** Bytes asked for and not yet passed on. */
  #open = 0n;
  #total = 0;
  /** Bytes, see {@link mostListed}. */
  #names = 0;

  constructor(answers: AsyncIterable<readonly fsutil.Packet[]>, options: TransferOptions) {
    this.#answers = answers[Symbol.asyncIterator]();
    this.#options = options;
  }

  async listed(): Promise<readonly fsutil.Stat[] | undefined> {
    this.#holds = true;
    while (!this.#allListed && this.#names <= mostAtOnce) await this.#read();
    return this.#allListed ? this.#listed.flatMap((entry) => entry?.stat ?? []) : undefined;
  }

  async *entries(names?: ReadonlyMap<number, string>): AsyncGenerator<TarEntry> {
    this.#holds = false;
    if (names) for (const entry of this.#listed) if (entry && !names.has(entry.id)) entry.full = false;
    this.#ask();
    for (let at = 0; ; at++) {
      while (at >= this.#listed.length && !this.#allListed) await this.#read();
      const entry = this.#listed[at];
      if (!entry) break;
      const name = names?.get(at);
      if (!names) yield* this.#entry(entry);
      else if (name !== undefined) for await (const one of this.#entry(entry)) yield renamed(one, name);
      this.#names -= sizeOf(entry.stat);
      this.#listed[at] = undefined;
    }
    this.#options.asked.push({ type: packetType.finish });
    await this.#finished();
  }

  async *#entry(entry: Listed): AsyncGenerator<TarEntry> {
    const header = headerOf(entry.stat);
    if (!entry.full) {
      if (header) yield { header, content: fromPieces([]) };
      return;
    }
    if (!header) throw new TypeError("content of what has none");
    if (entry.stat.size > ahead) yield { header, content: this.#streamed(entry) };
    else {
      while (!entry.complete) await this.#read();
      yield { header: { ...header, size: entry.received }, content: fromPieces(entry.pieces) };
    }
    this.#open -= entry.stat.size;
    this.#ask();
  }

  async *#streamed(entry: Listed): AsyncGenerator<Uint8Array> {
    for (;;) {
      yield* entry.pieces.splice(0);
      if (entry.complete) return;
      await this.#read();
    }
  }

  /** As much as fits ahead, and always one. */
  #ask(): void {
    if (this.#holds) return;
    for (; this.#front < this.#listed.length; this.#front++) {
      const next = this.#listed[this.#front];
      if (!next?.full) continue;
      if (this.#open > 0n && this.#open + next.stat.size > ahead) return;
      this.#open += next.stat.size;
      this.#options.asked.push({ type: packetType.request, id: next.id });
    }
  }

  async #read(): Promise<void> {
    const { value, done } = await this.#answers.next();
    if (done) throw new EngineError("invalid", "the client ended the transfer of its files early");
    for (const packet of value) this.#take(packet);
  }

  #take(packet: fsutil.Packet): void {
    switch (packet.type) {
      case packetType.stat:
        if (packet.stat) this.#list(packet.stat);
        else this.#allListed = true;
        break;
      case packetType.data:
        this.#data(packet);
        break;
      case packetType.error:
        throw new EngineError("invalid", `error from sender: ${Buffer.from(packet.data).toString("utf8")}`);
      default:
        throw new EngineError("invalid", `the client sent a packet of kind ${packet.type} in the middle of its files`);
    }
  }

  #list(stat: fsutil.Stat): void {
    const id = this.#listed.length;
    this.#names += sizeOf(stat);
    if (this.#names > mostListed) throw new EngineError("invalid", "the client lists files faster than it sends them");
    const full = headerOf(stat)?.type === "file" && stat.size > 0n;
    this.#listed.push({ id, stat, full, pieces: [], received: 0n, complete: false });
    this.#ask();
  }

  #data({ id, data }: fsutil.Packet): void {
    const entry = this.#listed[id];
    if (!entry?.full || id >= this.#front || entry.complete) {
      throw new EngineError("invalid", `the client sent content of file ${id}, which nobody asked for`);
    }
    if (data.length === 0) entry.complete = true;
    entry.received += BigInt(data.length);
    if (entry.received > entry.stat.size) {
      throw new EngineError("invalid", `${shownPath(entry.stat)} has grown while it was sent`);
    }
    entry.pieces.push(data);
    this.#total += data.length;
    this.#options.onBytes(this.#total);
  }

  async #finished(): Promise<void> {
    for (let turn = await this.#answers.next(); !turn.done; turn = await this.#answers.next()) {
      if (turn.value.some(({ type }) => type === packetType.finish)) this.#options.asked.close();
    }
  }
}

function renamed({ header, content }: TarEntry, name: string): TarEntry {
  return { header: { ...header, name: Buffer.from(name) }, content };
}

function sizeOf({ path, linkname, xattrs }: fsutil.Stat): number {
  const attributes = Object.entries(xattrs).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  return 300 + path.length + linkname.length + attributes;
}

async function* fromPieces(pieces: readonly Uint8Array[]): Bytes & AsyncGenerator<Uint8Array> {
  yield* pieces;
}
