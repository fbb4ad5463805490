import { EngineError } from "../../errors/mod.ts";
import { count, decimal } from "./numbers.ts";
import type { PaxRecords } from "./pax.ts";

/** Where the data of a sparse file lies: pairs of offset and length, flat; all else is holes. */
export interface SparseMap {
  readonly segments: number[];
  /** Size with holes. */
  readonly size: number;
}

/** Throws "invalid" unless segments ascend, fit into the file and add up to the bytes that are stored. */
export function checkSparse(map: SparseMap, stored: number): SparseMap {
  let end = 0;
  let total = 0;
  for (let at = 0; at < map.segments.length; at += 2) {
    const offset = map.segments[at] ?? 0;
    const length = map.segments[at + 1] ?? Number.NaN;
    if (!(offset >= end && length >= 0)) throw new EngineError("invalid", "sparse map is not in order");
    end = offset + length;
    total += length;
  }
  if (end > map.size || total !== stored) throw new EngineError("invalid", "sparse map does not fit the file");
  return map;
}

/** "offset,length,offset,length" of pax 0.0 and 0.1. */
export function parseSparseList(text: string): number[] {
  return text === "" ? [] : text.split(",").map((part) => decimal(part, "sparse map entry"));
}

/** Pairs of an old GNU header (4 at byte 386) or of its extension blocks (21 at byte 0); stops at the first empty one. */
export function oldSparsePairs(block: Uint8Array, { start, pairs }: { start: number; pairs: number }): number[] {
  const segments: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const at = start + pair * 24;
    if (block[at] === 0) break;
    segments.push(count(block, at, 12), count(block, at + 12, 12));
  }
  return segments;
}

export type PaxSparse =
  | { readonly kind: "listed"; readonly map: SparseMap }
  /** pax 1.0: the map is text in front of the content. */
  | { readonly kind: "in-content"; readonly size: number };

/** What pax records say of a sparse file; undefined for other files. */
export function paxSparse(records: PaxRecords): PaxSparse | undefined {
  const get = (key: string) => records.get(`GNU.sparse.${key}`)?.toString("latin1");
  const major = get("major");
  if (major !== undefined) {
    if (major !== "1" || get("minor") !== "0") {
      throw new EngineError("invalid", `sparse format ${major}.${get("minor")} is not known`);
    }
    return { kind: "in-content", size: decimal(get("realsize") ?? "", "sparse size") };
  }
  const list = get("map");
  const size = get("size") ?? get("realsize");
  if (size === undefined) return undefined;
  return { kind: "listed", map: { segments: parseSparseList(list ?? ""), size: decimal(size, "sparse size") } };
}

/** The most segments that are accepted; a file with so many is hardly sparse. */
export const mostSegments = 500_000;
const longestNumber = 20;

/** Collects the map of pax 1.0, which is decimal numbers on lines: how many pairs, then the pairs. */
export class SparseText {
  readonly #numbers: number[] = [];
  #expected = 1;
  #digits = "";

  /** Takes a block of 512 bytes; the flat pairs once it was the last one that belongs to the map. */
  push(block: Uint8Array): number[] | undefined {
    for (const byte of block) {
      if (byte !== 0x0a) this.#digits += String.fromCharCode(byte);
      else this.#line();
      if (this.#numbers.length === this.#expected) return this.#numbers.slice(1);
      if (this.#digits.length > longestNumber) throw new EngineError("invalid", "bad sparse map");
    }
    return undefined;
  }

  #line(): void {
    const value = decimal(this.#digits, "sparse map entry");
    this.#digits = "";
    if (this.#numbers.push(value) > 1) return;
    if (value > mostSegments) throw new EngineError("invalid", "sparse map is too long");
    this.#expected = 1 + value * 2;
  }
}
