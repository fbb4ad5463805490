/** A worker thread that runs the jobs of this folder again and again, with nothing in between: see races.test.ts. */
import type { JobContext } from "../../../host/mod.ts";
import { extractJob } from "../extract.ts";
import { packPathJob } from "../pack-path.ts";

export interface Race {
  readonly root: string;
  readonly path: string;
  readonly tries: number;
  /** To be unpacked at the path; without it the path is packed. */
  readonly tar?: Uint8Array;
}

const context: JobContext = { check: () => undefined, report: () => undefined };
const pieceSize = 256 * 1024;

/** What is at the path, as the main thread would get it: what it is told, then the archive, each in a piece of its own. */
function pack(place: { root: string; path: string; hideDev: boolean }): string {
  const flow = { taken: new SharedArrayBuffer(4), pieces: new SharedArrayBuffer(8 * pieceSize) };
  packPathJob.run({ ...place, flow }, context);
  return Buffer.from(new Uint8Array(flow.pieces, pieceSize, 16 * 1024)).toString();
}

function extract(place: { root: string; path: string; hideDev: boolean }, tar: Uint8Array): void {
  const feed = { state: new SharedArrayBuffer(4 * 10), data: new SharedArrayBuffer(8 * pieceSize) };
  new Uint8Array(feed.data).set(tar);
  new Int32Array(feed.state).set([1, 1, tar.length]);
  const options = { ...place, noOverwriteDirNonDir: true, readOnly: false, mounts: [] };
  extractJob.run({ ...options, feed }, context);
}

function attempt({ root, path, tar }: Race): string {
  const place = { root, path, hideDev: false };
  try {
    if (tar) extract(place, tar);
    const found = tar ? "inside" : pack(place);
    if (found.includes("SECRET")) return "escaped";
    return found.includes("inside") ? "worked" : "saw something else";
  } catch (err) {
    return String(err).slice(0, 80);
  }
}

addEventListener("message", ({ data: race }: MessageEvent<Race>) => {
  const outcomes = new Map<string, number>();
  for (let at = 0; at < race.tries; at++) {
    const outcome = attempt(race);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  postMessage(outcomes);
});
