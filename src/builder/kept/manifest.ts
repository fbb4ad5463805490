import { readFileSync } from "node:fs";
import { type ContextLine, decodeContextLine, encodeContextLine } from "../../wire/mod.ts";
import type { KeptFile } from "./store.ts";

/** What a client told of a context, and where what is kept of it lies. */
export interface Manifest {
  /** The pack that the places are in; "" for none. */
  readonly pack: string;
  readonly entries: readonly { readonly line: ContextLine; readonly kept?: KeptFile }[];
}

type Place = readonly [size: number, offset: number, digest: string];

export function encodeManifest({ pack, entries }: Manifest): string {
  const lines = entries.map(({ line, kept }) => {
    const place: Place | undefined = kept && [kept.size, kept.offset, kept.digest];
    return `${encodeContextLine(line)}\n${place ? JSON.stringify(place) : ""}`;
  });
  return [pack, ...lines].join("\n");
}

export function readManifest(path: string): Manifest {
  const [pack = "", ...lines] = readFileSync(path, "utf8").split("\n");
  const entries: { line: ContextLine; kept?: KeptFile }[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const line = decodeContextLine(lines[at] ?? "");
    const place = lines[at + 1];
    entries.push(place ? { line, kept: keptFile(line, JSON.parse(place) as Place) } : { line });
  }
  return { pack, entries };
}

function keptFile({ text: stamp }: ContextLine, [size, offset, digest]: Place): KeptFile {
  return { stamp, size, offset, digest };
}
