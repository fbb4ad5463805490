import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type ErrorKind, kindOf } from "../errors/mod.ts";
import type { Mount } from "../host/mod.ts";
import type { Snapshotter } from "./snapshots.ts";

export interface SnapshotterUnderTest extends AsyncDisposable {
  readonly snapshots: Snapshotter;
  /** Mounts, runs the body on the root, unmounts. */
  mounted<T>(mounts: readonly Mount[], body: (root: string) => T): T;
}

/** What every snapshotter must do. */
export function snapshotsSuite(name: string, make: () => Promise<SnapshotterUnderTest>): void {
  describe(name, () => {
    let subject: SnapshotterUnderTest;
    let snapshots: Snapshotter;
    beforeEach(async () => {
      subject = await make();
      snapshots = subject.snapshots;
    });
    afterEach(() => subject[Symbol.asyncDispose]());

    /** A committed snapshot with one file of that name in it. */
    async function layer(name: string, parent?: string): Promise<string> {
      const mounts = await snapshots.prepare(`key/${name}`, parent);
      subject.mounted(mounts, (root) => writeFileSync(join(root, name), name));
      await snapshots.commit(name, `key/${name}`);
      return name;
    }

    test("what is written into an active snapshot is seen through its children, not by its parents", async () => {
      await layer("a");
      await layer("b", "a");
      const mounts = await snapshots.prepare("top", "b");
      subject.mounted(mounts, (root) => {
        expect(readdirSync(root).toSorted()).toEqual(["a", "b"]);
        writeFileSync(join(root, "a"), "changed");
      });
      subject.mounted(snapshots.mounts("top"), (root) => expect(readFileSync(join(root, "a"), "utf8")).toBe("changed"));
      subject.mounted(await snapshots.view("a"), (root) => expect(readFileSync(join(root, "a"), "utf8")).toBe("a"));
      expect(readdirSync(snapshots.directory("top"))).toEqual(["a"]);
    });

    test("the nearest layer wins", async () => {
      for (const [name, parent] of [["1"], ["2", "1"], ["3", "2"]] as [string, string?][]) {
        const mounts = await snapshots.prepare(`key/${name}`, parent);
        subject.mounted(mounts, (root) => writeFileSync(join(root, "who"), name));
        await snapshots.commit(name, `key/${name}`);
      }
      subject.mounted(await snapshots.view("3"), (root) => expect(readFileSync(join(root, "who"), "utf8")).toBe("3"));
      subject.mounted(await snapshots.view("2"), (root) => expect(readFileSync(join(root, "who"), "utf8")).toBe("2"));
    });

    test("a view is read-only, of one layer and of several", async () => {
      await layer("a");
      await layer("b", "a");
      for (const name of ["a", "b"]) {
        const mounts = await snapshots.view(name);
        subject.mounted(mounts, (root) => expect(() => writeFileSync(join(root, "x"), "")).toThrow("EROFS"));
      }
    });

    test("info and list say name, parent, state and time", async () => {
      const before = Date.now();
      await layer("a");
      await snapshots.prepare("b", "a");
      expect(snapshots.info("a")).toMatchObject({ name: "a", state: "committed" });
      expect(snapshots.info("a")).not.toHaveProperty("parent");
      expect(snapshots.info("b")).toMatchObject({ name: "b", parent: "a", state: "active" });
      expect(snapshots.info("b")?.created).toBeGreaterThanOrEqual(before);
      expect([...snapshots.list()].map((info) => info.name)).toEqual(["a", "b"]);
      expect(snapshots.info("key/a")).toBeUndefined();
    });

    test("the root directory is 0755 root, or like the parent's", async () => {
      const root = (name: string) => {
        const { mode, uid, gid } = statSync(snapshots.directory(name));
        return [mode & 0o7777, uid, gid];
      };
      await layer("a");
      expect(root("a")).toEqual([0o755, 0, 0]);
      chmodSync(snapshots.directory("a"), 0o1770);
      chownSync(snapshots.directory("a"), 7, 8);
      await snapshots.prepare("b", "a");
      expect(root("b")).toEqual([0o1770, 7, 8]);
    });

    test("names are one namespace, parents must be committed", async () => {
      await layer("a");
      await snapshots.prepare("k");
      await fails("conflict", "Snapshot a already exists", snapshots.prepare("a"));
      await fails("conflict", "Snapshot a already exists", snapshots.commit("a", "k"));
      expect(snapshots.info("k")?.state).toBe("active");
      await fails("conflict", "k is not committed", snapshots.prepare("child", "k"));
      await fails("conflict", "k is not committed", snapshots.view("k"));
      await fails("conflict", "a is already committed", snapshots.commit("b", "a"));
      await fails("not-found", "Snapshot nope not found", snapshots.prepare("child", "nope"));
      await fails("not-found", "nope", snapshots.view("nope"));
      await fails("not-found", "nope", snapshots.commit("x", "nope"));
      await fails("not-found", "nope", snapshots.usage("nope"));
      expect(() => snapshots.mounts("nope")).toThrow("not found");
      expect(() => snapshots.directory("nope")).toThrow("not found");
      expect(() => snapshots.mounts("a")).toThrow("already committed");
      expect(snapshots.info("child")).toBeUndefined();
    });

    test("remove deletes files, refuses parents, and does not mind what is gone", async () => {
      await layer("a");
      await layer("b", "a");
      const directory = snapshots.directory("b");
      await fails("conflict", "Snapshot a is the parent of b", snapshots.remove("a"));
      await snapshots.remove("b");
      expect(existsSync(directory)).toBe(false);
      await snapshots.remove("b");
      await snapshots.remove("a");
      expect([...snapshots.list()]).toEqual([]);
    });

    test("usage counts a layer's own files only", async () => {
      await layer("a");
      await snapshots.prepare("b", "a");
      subject.mounted(snapshots.mounts("b"), (root) => {
        mkdirSync(join(root, "d"));
        writeFileSync(join(root, "d/big"), Buffer.alloc(1 << 20, "x"));
      });
      const { bytes, inodes } = await snapshots.usage("b");
      expect(bytes).toBeGreaterThanOrEqual(1 << 20);
      expect(bytes).toBeLessThan(2 << 20);
      expect(inodes).toBe(2);
      expect((await snapshots.usage("a")).bytes).toBeLessThan(1 << 20);
      expect(await snapshots.usage("a")).toEqual(await snapshots.usage("a"));
    });

    test("200 layers", async () => {
      let parent: string | undefined;
      for (let at = 0; at < 200; at++) {
        const key = `key/${at}`;
        await snapshots.prepare(key, parent);
        writeFileSync(join(snapshots.directory(key), "all"), String(at));
        writeFileSync(join(snapshots.directory(key), `f${at}`), "");
        parent = `layer/${at}`;
        await snapshots.commit(parent, key);
      }
      subject.mounted(await snapshots.prepare("top", parent), (root) => {
        expect(readFileSync(join(root, "all"), "utf8")).toBe("199");
        expect(readdirSync(root)).toHaveLength(201);
        writeFileSync(join(root, "new"), "");
      });
      expect(readdirSync(snapshots.directory("top"))).toEqual(["new"]);
    });

    test("knows what was used since an instant, parents of what was made among it by being its parents", async () => {
      await layer("old");
      await layer("asked");
      await layer("parent");
      const since = performance.now();
      snapshots.info("asked");
      snapshots.info("nope");
      await snapshots.prepare("new", "parent");
      expect(snapshots.usedSince(since).toSorted()).toEqual(["asked", "new"]);
      expect(snapshots.usedSince(0)).toContain("old");
    });
  });
}

export async function fails(kind: ErrorKind, message: string, promise: Promise<unknown>): Promise<void> {
  const err = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).toBeInstanceOf(Error);
  expect(kindOf(err)).toBe(kind);
  expect((err as Error).message).toContain(message);
}
