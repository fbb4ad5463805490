import type { FileChanges } from "./reasons.ts";

/** Everything that a step copies, a line each: something that stands for mode and content, a blank, the path. */
export type Listing = readonly string[];

/** More are not kept. */
export const mostListed = 100_000;

/** Compresses on the calling thread, which is a worker's. */
export function packListing(listing: Listing): Uint8Array {
  return Bun.zstdCompressSync(Buffer.from(listing.join("\n"), "latin1"));
}

export function compareListings(before: Uint8Array, now: Uint8Array): FileChanges {
  const [old, fresh] = [filesOf(before), filesOf(now)];
  const shown = (names: Iterable<string>) => [...names].map((name) => Buffer.from(name, "latin1").toString());
  const inBoth = fresh.keys().filter((path) => old.has(path));
  return {
    changed: shown(inBoth.filter((path) => old.get(path) !== fresh.get(path))),
    added: shown(fresh.keys().filter((path) => !old.has(path))),
    removed: shown(old.keys().filter((path) => !fresh.has(path))),
  };
}

function filesOf(packed: Uint8Array): ReadonlyMap<string, string> {
  const text = Buffer.from(Bun.zstdDecompressSync(packed)).toString("latin1");
  const lines = text === "" ? [] : text.split("\n");
  return new Map(lines.map((line) => [line.slice(line.indexOf(" ") + 1), line.slice(0, line.indexOf(" "))]));
}
