import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { archive } from "../testing/store.ts";
import type { Race } from "./testing/racer.ts";
import { startSwapper } from "./testing/swapper.ts";

/** In each of two tests for each direction. */
const tries = 5000;
const directory = mkdtempSync(join(tmpdir(), "berth-races-"));
const outside = join(directory, "outside");
const root = join(directory, "root");

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(outside, { recursive: true });
  writeFileSync(join(outside, "file"), "SECRET of the host");
  mkdirSync(join(root, "work"), { recursive: true });
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** How the tries ended, while a directory is exchanged for a symlink to a directory of the host. */
async function race(what: Pick<Race, "path" | "tar">): Promise<ReadonlyMap<string, number>> {
  await using _swapper = await startSwapper(join(root, "work"), { target: outside, text: "inside" });
  const worker = new Worker(new URL("./testing/racer.ts", import.meta.url).href);
  const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<string, number>>();
  worker.onmessage = ({ data }) => resolve(data as ReadonlyMap<string, number>);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage({ root, tries, ...what } satisfies Race);
  return await promise.finally(() => worker.terminate());
}

test.each(["/work/dir/file", "/work"])(
  "5000 copies of %s meanwhile show nothing of the host's",
  async (path) => {
    const outcomes = await race({ path });
    expect(outcomes.get("escaped")).toBeUndefined();
    expect(outcomes.get("worked")).toBeGreaterThan(0);
    expect(outcomes.size).toBeGreaterThan(1);
  },
  120_000,
);

test.each([
  ["/work/dir", "new"],
  ["/work", "dir/new"],
])(
  "5000 archives unpacked in %s meanwhile write nothing outside (%s)",
  async (path, name) => {
    const tar = await archive({ name, text: "written" }, { name: `${name}-link`, linkname: "/etc" });
    const outcomes = await race({ path, tar });
    expect(outcomes.get("worked")).toBeGreaterThan(0);
    expect(outcomes.size).toBeGreaterThan(1);
    expect(readdirSync(outside)).toEqual(["file"]);
    expect(readFileSync(join(outside, "file"), "utf8")).toBe("SECRET of the host");
  },
  120_000,
);
