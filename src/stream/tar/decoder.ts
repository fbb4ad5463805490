import { EngineError, isKind, wrap } from "../../errors/mod.ts";
import type { TarHeader } from "../stream.ts";
import { buildHeader } from "./entry.ts";
import { blockSize, isZero, parseHeader, type RawHeader } from "./header.ts";
import { count } from "./numbers.ts";
import { type PaxRecords, parsePax } from "./pax.ts";
import { checkSparse, mostSegments, oldSparsePairs, paxSparse, type SparseMap, SparseText } from "./sparse.ts";

/** What a {@link TarDecoder} finds: for each entry `entry`, then its content in order, then `end`. */
export interface TarSink {
  entry(header: TarHeader): void;
  /** A view of what was pushed: to be copied if it is kept. */
  data(piece: Uint8Array): void;
  /** So many zero bytes, which are not in the archive. */
  hole(length: number): void;
  end(): void;
}

/** Long names and pax headers are small; more than this in memory is refused. */
const metaLimit = 4 * 1024 * 1024;

type State =
  | { readonly at: "header" }
  /** The content of an entry that describes another: `left` bytes and padding to come. */
  | { readonly at: "meta"; readonly flag: string; readonly size: number; readonly pieces: Uint8Array[]; left: number }
  /** Extension blocks of an old GNU sparse header. */
  | { readonly at: "old-sparse"; readonly raw: RawHeader; readonly segments: number[]; readonly size: number }
  | { readonly at: "sparse-text"; readonly header: TarHeader; readonly text: SparseText; left: number }
  | { readonly at: "content"; left: number; readonly sparse?: Segments }
  | { readonly at: "skip"; left: number; readonly padding: boolean }
  | { readonly at: "end" };

/** Where in a sparse file the next stored byte belongs. */
interface Segments extends SparseMap {
  index: number;
  /** Bytes of the current segment that were delivered. */
  within: number;
  /** End of what was delivered, holes included. */
  position: number;
}

/**
 * Takes a tar archive in pieces of any size and tells a sink what is in it, synchronously, holding no content. Reads
 * ustar, pax, GNU (long names, base-256, sparse) and v7. Errors are "invalid" and say where in the archive.
 */
export class TarDecoder {
  readonly #sink: TarSink;
  readonly #block = Buffer.alloc(blockSize);
  #filled = 0;
  /** Bytes taken so far, and where the current entry's header begins. */
  #taken = 0;
  #entryAt = 0;
  #state: State = { at: "header" };
  /** After the content of the current entry. */
  #padding = 0;
  #zeroBlocks = 0;
  #name = "";
  #global: PaxRecords = new Map();
  #pax: PaxRecords | undefined;
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** True once the end marker was seen; what follows it is ignored. */
  get ended(): boolean {
    return this.#state.at === "end";
  }

  push(piece: Uint8Array): void {
    let rest = piece;
    while (rest.length > 0) {
      const took = this.#step(rest);
      this.#taken += took;
      rest = rest.subarray(took);
    }
  }

  /** To be called at the end of the bytes. Throws "invalid" when that is in the middle of something. */
  finish(): void {
    const state = this.#state;
    const { at } = state;
    if (at === "end" || (at === "header" && this.#filled === 0 && !this.#saidSomething())) return;
    // docker build -f leaves away what follows the last file's content (moby `ReplaceFileTarWrapper`), and Go reads that.
    if (state.at === "skip" && state.padding) return;
    const where = this.#name === "" ? "" : ` in ${shown(this.#name)}`;
    throw new EngineError("invalid", `Truncated tar archive: it ends at byte ${this.#taken}${where}`);
  }

  #saidSomething(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #step(bytes: Uint8Array): number {
    const state = this.#state;
    switch (state.at) {
      case "end":
        return bytes.length;
      case "content":
        return this.#content(state, bytes);
      case "skip":
        return this.#skip(state, bytes);
      case "meta":
        return this.#meta(state, bytes);
      case "header":
      case "old-sparse":
      case "sparse-text":
        return this.#blocks(bytes);
      default:
        return state satisfies never;
    }
  }

  /** Collects one block and hands it to what waits for one. */
  #blocks(bytes: Uint8Array): number {
    if (this.#filled === 0 && this.#state.at === "header") {
      this.#entryAt = this.#taken;
      this.#name = "";
    }
    const took = Math.min(blockSize - this.#filled, bytes.length);
    this.#block.set(bytes.subarray(0, took), this.#filled);
    this.#filled += took;
    if (this.#filled < blockSize) return took;
    this.#filled = 0;
    try {
      this.#takeBlock(this.#block);
    } catch (err) {
      throw this.#located(err);
    }
    return took;
  }

  #takeBlock(block: Buffer): void {
    const state = this.#state;
    if (state.at === "header") {
      if (isZero(block)) this.#zero();
      else if (this.#zeroBlocks > 0) throw new EngineError("invalid", "an entry follows half an end marker");
      else this.#header(block);
    } else if (state.at === "old-sparse") this.#oldSparseBlock(state, block);
    else if (state.at === "sparse-text") this.#sparseTextBlock(state, block);
  }

  #zero(): void {
    if (this.#saidSomething()) throw new EngineError("invalid", "an extended header describes nothing");
    if (++this.#zeroBlocks === 2) this.#state = { at: "end" };
  }

  #header(block: Buffer): void {
    const raw = parseHeader(block);
    if (isMeta(raw.flag)) {
      const size = Number(raw.size);
      if (!(size >= 0 && size <= metaLimit)) throw new EngineError("invalid", `extended header of ${raw.size} bytes`);
      this.#state = { at: "meta", flag: raw.flag, size, pieces: [], left: padded(size) };
      if (size === 0) this.#endMeta(raw.flag, Buffer.alloc(0));
    } else if (raw.flag === "V") this.#state = skip(padded(Number(raw.size)), false);
    else if (raw.flag === "M") throw new EngineError("invalid", "archives of several volumes are not supported");
    else if (raw.flag === "S") this.#oldSparse(raw, block);
    else this.#begin(raw);
  }

  #meta(state: Extract<State, { at: "meta" }>, bytes: Uint8Array): number {
    const took = Math.min(state.left, bytes.length);
    state.pieces.push(Buffer.from(bytes.subarray(0, took)));
    state.left -= took;
    if (state.left > 0) return took;
    try {
      this.#endMeta(state.flag, Buffer.concat(state.pieces).subarray(0, state.size));
    } catch (err) {
      throw this.#located(err);
    }
    return took;
  }

  #endMeta(flag: string, data: Buffer): void {
    this.#state = { at: "header" };
    if (flag === "g") for (const [key, value] of parsePax(data)) this.#global.set(key, value);
    else if (flag === "L") this.#longName = untilNul(data);
    else if (flag === "K") this.#longLink = untilNul(data);
    else this.#pax = parsePax(data);
  }

  #begin(raw: RawHeader, old?: SparseMap): void {
    const pax: PaxRecords = new Map([...this.#global, ...(this.#pax ?? [])]);
    const { header, stored } = buildHeader(raw, {
      pax,
      ...(this.#longName && { longName: this.#longName }),
      ...(this.#longLink && { longLink: this.#longLink }),
    });
    this.#pax = this.#longName = this.#longLink = undefined;
    this.#padding = padded(stored) - stored;
    this.#name = Buffer.from(header.name).toString();
    const sparse = header.type === "file" && !old ? paxSparse(pax) : undefined;
    if (sparse?.kind === "in-content") {
      const grown = { ...header, size: BigInt(sparse.size) };
      this.#state = { at: "sparse-text", header: grown, text: new SparseText(), left: stored };
      return;
    }
    const map = old ?? sparse?.map;
    if (map) this.#enter({ ...header, size: BigInt(map.size) }, stored, checkSparse(map, stored));
    else if (raw.flag === "D") this.#enterSkipping(header, stored);
    else this.#enter(header, stored);
  }

  /** GNU dump directories carry a listing that is of no use here. */
  #enterSkipping(header: TarHeader, stored: number): void {
    this.#sink.entry(header);
    this.#sink.end();
    this.#state = skip(padded(stored), false);
  }

  #enter(header: TarHeader, stored: number, map?: SparseMap): void {
    this.#sink.entry(header);
    this.#state = map
      ? { at: "content", left: stored, sparse: { ...map, index: 0, within: 0, position: 0 } }
      : { at: "content", left: stored };
    if (stored === 0) this.#leave();
  }

  #content(state: Extract<State, { at: "content" }>, bytes: Uint8Array): number {
    const took = Math.min(state.left, bytes.length);
    const piece = took === bytes.length ? bytes : bytes.subarray(0, took);
    if (state.sparse) this.#scatter(state.sparse, piece);
    else this.#sink.data(piece);
    state.left -= took;
    if (state.left === 0) this.#leave();
    return took;
  }

  #scatter(map: Segments, piece: Uint8Array): void {
    let rest = piece;
    while (rest.length > 0) {
      const offset = map.segments[map.index] ?? 0;
      const length = map.segments[map.index + 1] ?? 0;
      const took = Math.min(length - map.within, rest.length);
      if (took > 0) this.#jump(map, offset + map.within);
      if (took > 0) this.#sink.data(rest.subarray(0, took));
      map.within += took;
      map.position += took;
      rest = rest.subarray(took);
      if (map.within === length) {
        map.index += 2;
        map.within = 0;
      }
    }
  }

  #jump(map: Segments, to: number): void {
    if (to > map.position) this.#sink.hole(to - map.position);
    map.position = to;
  }

  #leave(): void {
    const state = this.#state;
    if (state.at === "content" && state.sparse) this.#jump(state.sparse, state.sparse.size);
    this.#sink.end();
    this.#state = skip(this.#padding, true);
  }

  #skip(state: Extract<State, { at: "skip" }>, bytes: Uint8Array): number {
    const took = Math.min(state.left, bytes.length);
    state.left -= took;
    if (state.left === 0) this.#state = { at: "header" };
    return took;
  }

  #oldSparse(raw: RawHeader, block: Buffer): void {
    const segments = oldSparsePairs(block, { start: 386, pairs: 4 });
    const size = count(block, 483, 12);
    if (block[482] !== 0) this.#state = { at: "old-sparse", raw, segments, size };
    else this.#begin(raw, { segments, size });
  }

  #oldSparseBlock(state: Extract<State, { at: "old-sparse" }>, block: Buffer): void {
    for (const value of oldSparsePairs(block, { start: 0, pairs: 21 })) state.segments.push(value);
    if (state.segments.length > 2 * mostSegments) throw new EngineError("invalid", "sparse map is too long");
    if (block[504] === 0) this.#begin(state.raw, { segments: state.segments, size: state.size });
  }

  #sparseTextBlock(state: Extract<State, { at: "sparse-text" }>, block: Buffer): void {
    state.left -= blockSize;
    if (state.left < 0) throw new EngineError("invalid", "sparse map is longer than the file");
    const segments = state.text.push(block);
    if (!segments) return;
    const map = { segments, size: Number(state.header.size) };
    this.#enter(state.header, state.left, checkSparse(map, state.left));
  }

  #located(err: unknown): unknown {
    if (!(err instanceof EngineError) || !isKind(err, "invalid")) return err;
    const name = this.#name === "" ? "" : ` (${shown(this.#name)})`;
    return wrap(err, `Bad tar archive, entry at byte ${this.#entryAt}${name}`);
  }
}

function isMeta(flag: string): boolean {
  return flag === "x" || flag === "X" || flag === "g" || flag === "L" || flag === "K";
}

function padded(size: number): number {
  return Math.ceil(size / blockSize) * blockSize;
}

function skip(left: number, padding: boolean): State {
  return left > 0 ? { at: "skip", left, padding } : { at: "header" };
}

function untilNul(data: Buffer): Buffer {
  const end = data.indexOf(0);
  return end < 0 ? data : data.subarray(0, end);
}

/** For messages: a name may have megabytes. */
function shown(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}
