import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { type ErrorKind, kindOf } from "../errors/mod.ts";
import { type Digest, digestOf } from "../oci/mod.ts";
import type { ContentStore } from "./content.ts";

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: ContentStore;
}

/** What every content store must do. */
export function contentSuite(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let subject: StoreUnderTest;
    let store: ContentStore;
    beforeEach(async () => {
      subject = await make();
      store = subject.store;
    });
    afterEach(() => subject[Symbol.asyncDispose]());

    const bytes = (text: string) => Buffer.from(text);
    const none = digestOf("none");

    test("what was written is there after commit, under its digest, and not before", async () => {
      const ingest = await store.ingest();
      await ingest.write(bytes("hello "));
      await ingest.write(bytes("world"));
      expect(ingest.offset).toBe(11);
      expect(readFileSync(ingest.path, "utf8")).toBe("hello world");
      const digest = digestOf("hello world");
      expect(store.info(digest)).toBeUndefined();
      expect(await ingest.commit()).toEqual({ digest, size: 11 });
      expect(store.info(digest)).toEqual({ digest, size: 11 });
      expect([...store.list()]).toEqual([{ digest, size: 11 }]);
      expect(readFileSync(store.path(digest), "utf8")).toBe("hello world");
      expect(Buffer.from(await store.read(digest)).toString()).toBe("hello world");
      expect(existsSync(ingest.path)).toBe(false);
    });

    test("a range, its end cut at the blob's", async () => {
      const digest = await store.put(bytes("0123456789"));
      const range = async (start: number, end: number) =>
        Buffer.concat(await Array.fromAsync(store.open(digest, { start, end }))).toString();
      expect(await range(2, 5)).toBe("234");
      expect(await range(8, 100)).toBe("89");
      expect(await range(10, 10)).toBe("");
    });

    test("a large blob in one write, and the empty one", async () => {
      const large = Buffer.alloc(5_000_001, "abc");
      const digest = await store.put(large);
      expect(digest).toBe(digestOf(large));
      expect(Buffer.concat(await Array.fromAsync(store.open(digest))).equals(large)).toBe(true);
      expect(await store.read(await store.put(bytes("")))).toHaveLength(0);
    });

    test("expected digest and size are verified, and what differs leaves nothing", async () => {
      const digest = digestOf("right");
      const attempt = async (text: string, expected: { digest?: Digest; size?: number }) => {
        await using ingest = await store.ingest(expected);
        await ingest.write(bytes(text));
        await ingest.commit();
      };
      await attempt("right", { digest, size: 5 });
      await fails("invalid", `expected ${digest}`, attempt("wrong", { digest }));
      await fails("invalid", `${digest} has 2 bytes, expected 5`, attempt("ri", { digest, size: 5 }));
      await fails("invalid", `${digest} has more than the expected 4 bytes`, attempt("right", { digest, size: 4 }));
      expect([...store.list()]).toHaveLength(1);
    });

    test("an ingest that is not committed leaves nothing, and cannot be used again", async () => {
      const ingest = await store.ingest();
      await ingest.write(bytes("x"));
      await ingest.abort();
      await ingest.abort();
      expect(existsSync(ingest.path)).toBe(false);
      await fails("internal", "aborted", ingest.write(bytes("y")));
      await fails("internal", "aborted", ingest.commit());
      expect(store.info(digestOf("x"))).toBeUndefined();
    });

    test("the same blob from several sides at once is one blob", async () => {
      const write = async () => {
        await using ingest = await store.ingest({ digest: digestOf("same") });
        await ingest.write(bytes("same"));
        return await ingest.commit();
      };
      const results = await Promise.all([write(), write(), write(), store.put(bytes("same"))]);
      expect(results.slice(0, 3)).toEqual(Array(3).fill({ digest: digestOf("same"), size: 4 }));
      expect([...store.list()]).toHaveLength(1);
    });

    test("removing deletes the blob, removing again is no error, and it can come again", async () => {
      const digest = await store.put(bytes("gone"));
      const path = store.path(digest);
      await store.remove(digest);
      await store.remove(digest);
      expect(store.info(digest)).toBeUndefined();
      expect(existsSync(path)).toBe(false);
      await Promise.all([store.put(bytes("gone")), store.remove(digest)]);
      await store.put(bytes("gone"));
      expect(Buffer.from(await store.read(digest)).toString()).toBe("gone");
    });

    test("what is not there is not found, at once", async () => {
      expect(() => store.open(none)).toThrow(`Content ${none} not found`);
      expect(() => store.path(none)).toThrow("not found");
      await fails("not-found", none, store.read(none));
    });

    test("a blob too large for memory is refused by read", async () => {
      const digest = await store.put(Buffer.alloc((8 << 20) + 1));
      await fails("invalid", "at most 8388608", store.read(digest));
    });

    test("knows what was used since an instant", async () => {
      const old = await store.put(bytes("old"));
      const looked = await store.put(bytes("looked"));
      const since = performance.now();
      const made = await store.put(bytes("made"));
      store.info(looked);
      store.info(none);
      expect(store.usedSince(since).toSorted()).toEqual([looked, made].toSorted());
      expect(store.usedSince(0)).toContain(old);
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
