import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createWorkers } from "../../host/mod.ts";
import { collect, fromBuffer } from "../../stream/mod.ts";
import { archive } from "../testing/store.ts";
import { extractInto, type Place, packPath } from "./archive.ts";
import { startSwapper } from "./testing/swapper.ts";

/** In each of two tests for each direction. */
const tries = 2500;
const directory = mkdtempSync(join(tmpdir(), "berth-races-"));
const workers = createWorkers();
const outside = join(directory, "outside");
const root = join(directory, "root");

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(outside, { recursive: true });
  writeFileSync(join(outside, "file"), "SECRET of the host");
  mkdirSync(join(root, "work"), { recursive: true });
});

afterAll(async () => {
  await workers[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const place = (path: string): Place => ({ root, path, hideDev: false });

/** Runs so many at a time, and counts how they ended. */
async function repeat(attempt: () => Promise<string>): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>();
  let left = tries;
  const lane = async () => {
    while (left-- > 0) {
      const outcome = await attempt();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all([lane(), lane()]);
  return outcomes;
}

test.each(["/work/dir/file", "/work"])(
  "2500 copies of %s, while a directory is exchanged for a symlink to the host's, show nothing of it",
  async (path) => {
    await using _swapper = await startSwapper(join(root, "work"), { target: outside, text: "inside" });
    const outcomes = await repeat(async () => {
      try {
        const { bytes } = await packPath(workers, place(path));
        const text = String(await collect(bytes, 1 << 20));
        expect(text).not.toContain("SECRET");
        return text.includes("inside") ? "found" : "without";
      } catch (err) {
        return String(err).slice(0, 60);
      }
    });
    expect(outcomes.get("found")).toBeGreaterThan(0);
    expect(outcomes.size).toBeGreaterThan(1);
  },
  240_000,
);

test.each([
  ["/work/dir", "new"],
  ["/work", "dir/new"],
])(
  "2500 archives unpacked in %s meanwhile write nothing outside (%s)",
  async (path, name) => {
    const tar = await archive({ name, text: "written" }, { name: `${name}-link`, linkname: "/etc" });
    await using _swapper = await startSwapper(join(root, "work"), { target: outside, text: "inside" });
    const options = { ...place(path), noOverwriteDirNonDir: true, readOnly: false, mounts: [] };
    const outcomes = await repeat(async () => {
      try {
        await extractInto(workers, fromBuffer(tar), options);
        return "written";
      } catch (err) {
        return String(err).slice(0, 60);
      }
    });
    expect(outcomes.get("written")).toBeGreaterThan(0);
    expect(outcomes.size).toBeGreaterThan(1);
    expect(readdirSync(outside)).toEqual(["file"]);
    expect(readFileSync(join(outside, "file"), "utf8")).toBe("SECRET of the host");
  },
  240_000,
);
