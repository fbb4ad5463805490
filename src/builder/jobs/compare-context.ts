import { writeFileSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { type Feed, fed, type Job } from "../../host/mod.ts";
import { decodeContextLine } from "../../wire/mod.ts";
import { encodeManifest, type Manifest } from "../kept/manifest.ts";
import { type KeptFile, readStore } from "../kept/store.ts";

export interface CompareContextInput {
  /** Of the kept contents. */
  readonly store: string;
  /** A file that does not exist yet, for what the client told. */
  readonly manifest: string;
}

const mostLines = 1_000_000;
const longestLine = 64 * 1024;

/** Reads what a client tells of its context, and returns the numbers of the lines whose contents are not kept. */
export const compareContextJob: Job<CompareContextInput & Feed, readonly number[]> = {
  name: "builder.compareContext",
  run(input, context) {
    const { pack, files } = readStore(input.store) ?? { pack: "", files: new Map<string, KeptFile>() };
    const entries: Manifest["entries"][number][] = [];
    const missing: number[] = [];
    for (const text of lines(fed(input, context))) {
      const line = decodeContextLine(text);
      const kept = line.type === "file" && line.text !== "" ? files.get(line.path) : undefined;
      const isKept = kept?.stamp === line.text;
      if (line.type === "file" && !isKept) missing.push(entries.length);
      entries.push(kept && isKept ? { line, kept } : { line });
      if (entries.length > mostLines)
        throw new EngineError("invalid", `a build context of more than ${mostLines} files`);
    }
    writeFileSync(input.manifest, encodeManifest({ pack, entries }), { mode: 0o600, flag: "wx" });
    return missing;
  },
};

function* lines(pieces: Iterable<Uint8Array>): Generator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for (const piece of pieces) {
    const parts = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    if (rest.length > longestLine) throw new EngineError("invalid", "a line of the build context is too long");
    for (const part of parts) if (part !== "") yield part;
  }
  if (rest !== "") yield rest;
}
