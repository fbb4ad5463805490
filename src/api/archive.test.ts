import { expect, test } from "bun:test";
import type { Containers } from "../containers/mod.ts";
import { fromBuffer } from "../stream/mod.ts";
import { api } from "./api.suite.ts";
import { goMode } from "./archive.ts";

test("modes as Go's os.FileMode has them", () => {
  const modes = [0o100644, 0o040755, 0o120777, 0o020666, 0o060660, 0o010600, 0o140755, 0o104755, 0o102755, 0o041777];
  expect(modes.map(goMode)).toEqual([
    ...[0o644, 2147484141, 134218239, 69206454, 67109296, 33554816, 16777709],
    ...[8389101, 4194797, 2148532735],
  ]);
});

test("queries become options, and what is at a path a header", async () => {
  const calls: unknown[] = [];
  const stat = { name: "grüße", size: 5, mode: 0o120777, mtime: -1_500_000_000n, linkTarget: "/x" };
  const containers: Partial<Containers> = {
    statPath: async (ref, path) => {
      calls.push([ref, path]);
      return stat;
    },
    readPath: async (ref, path) => {
      calls.push([ref, path]);
      return { stat, bytes: fromBuffer("archive") };
    },
    writePath: async (ref, path, { noOverwriteDirNonDir, copyUidGid }) =>
      void calls.push([ref, path, noOverwriteDirNonDir, copyUidGid]),
  };
  await using a = await api({ containers });
  const told = { name: "grüße", size: 5, mode: 134218239, mtime: "1969-12-31T23:59:58.5Z", linkTarget: "/x" };
  for (const method of ["HEAD", "GET"]) {
    const { status, headers } = await a.ask(method, "/v1.30/containers//web/archive?path=/a%20b");
    const header = Buffer.from(String(headers.get("x-docker-container-path-stat")), "base64").toString();
    expect([status, JSON.parse(header)]).toEqual([200, told]);
  }
  await a.ask("PUT", "/containers/web/archive?path=x&noOverwriteDirNonDir=true&copyUIDGID=1");
  await a.ask("PUT", "/containers/web/archive?path=x&noOverwriteDirNonDir=0");
  expect((await a.ask("PUT", "/containers/web/archive")).body).toEqual({
    message: "bad parameter: path cannot be empty",
  });
  expect(calls).toEqual([
    ["web", "/a b"],
    ["web", "/a b"],
    ["web", "x", true, true],
    ["web", "x", false, false],
  ]);
});
