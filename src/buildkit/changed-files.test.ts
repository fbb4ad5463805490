import { expect, test } from "bun:test";
import type { BuildContext, Builder } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { callOver, serveOver } from "../grpc/mod.ts";
import { filesync } from "../proto/mod.ts";
import { type Bytes, readTar } from "../stream/mod.ts";
import { receiveFiles } from "./changed-files.ts";
import { Session } from "./session.ts";
import type { BuildKitEngine } from "./solve.ts";
import { connections } from "./testing/connections.ts";
import { type SentFile, type SentFiles, sender } from "./testing/sender.ts";

interface Outcome {
  readonly way: "whole" | "changed";
  /** Of the archive. */
  readonly names: readonly string[];
  readonly keys: readonly string[];
  /** As they were compared. */
  readonly lines: readonly unknown[][];
}

interface Client {
  readonly sharedKey?: string;
  readonly excludes?: readonly string[];
  /** Numbers of the lines that the builder lacks. */
  readonly missing?: readonly number[];
  readonly failure?: EngineError;
}

const signal = new AbortController().signal;

/** One context of a client, as it reaches a builder that keeps what the test says. */
async function received(context: SentFiles, client: Client = {}): Promise<Outcome> {
  const [here, there] = connections();
  void serveOver(there, {
    signal,
    routes: (router) => router.service(filesync.FileSync, { diffCopy: sender({ context }) }),
  });
  const methods = new Set(["/moby.filesync.v1.filesync/diffcopy"]);
  const session = new Session(callOver(here), { id: "s", sharedKey: client.sharedKey ?? "app:node", methods });
  const found: { way: Outcome["way"]; names: string[]; keys: string[]; lines: unknown[][] } = {
    way: "whole",
    names: [],
    keys: [],
    lines: [],
  };
  const taken = async (way: Outcome["way"], bytes: Bytes) => {
    found.way = way;
    found.names = await Array.fromAsync(readTar(bytes), async ({ header, content }) => {
      return `${Buffer.from(header.name)}=${Buffer.concat(await Array.fromAsync(content))
        .toString()
        .slice(0, 20)}`;
    });
    return {} as Partial<BuildContext> as BuildContext;
  };
  const contexts: Builder["contexts"] = {
    compare: async (key, { bytes }) => {
      found.keys.push(key);
      const text = Buffer.concat(await Array.fromAsync(bytes)).toString();
      found.lines = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown[]);
      return { id: "id", missing: client.missing ?? [] };
    },
    complete: async (_, { bytes }) => {
      const done = await taken("changed", bytes);
      if (client.failure) throw client.failure;
      return done;
    },
  };
  const engine: Partial<BuildKitEngine> = {
    builder: { contexts } as Partial<Builder> as Builder,
    receive: (bytes) => taken("whole", bytes),
  };
  const files = { directory: "context", excludes: client.excludes ?? [], signal };
  const apart = { dockerfileText: "FROM a", ignore: [] };
  await receiveFiles(engine as BuildKitEngine, { session, files, dockerfile: "Dockerfile", apart });
  return found;
}

/** Enough to be worth a comparison. */
function many(more: SentFiles = {}): SentFiles {
  const names = Array.from({ length: 250 }, (_, at) => `f${String(at).padStart(3, "0")}`);
  return {
    ...Object.fromEntries(names.map((name): [string, SentFile] => [name, { content: `content of ${name}` }])),
    ...more,
  };
}

test("only what the builder lacks is asked for, under the numbers of its lines", async () => {
  const socket = { z: { mode: 2 ** 24 + 0o777 }, zz: { content: "after it" } };
  const found = await received(many(socket), { missing: [3, 249, 250] });
  expect(found).toMatchObject({ way: "changed", names: ["3=content of f003", "249=content of f249", "250=after it"] });
  expect(found.lines[3]).toEqual(["f003", "f", 0o644, "1700000000123456789", "15:1700000000123456789"]);
  expect(found.lines[250]?.[0]).toBe("zz");
});

test("nothing is asked for where nothing changed", async () => {
  expect(await received(many())).toMatchObject({ way: "changed", names: [] });
});

test("directories, links and attributes are told of", async () => {
  const kinds = {
    y: { mode: 2 ** 31 + 0o750 },
    "y/l": { mode: 2 ** 27 + 0o777, linkname: "../f001" },
    "y/x": { xattrs: { "user.a": Buffer.of(1) } },
  };
  const { lines } = await received(many(kinds));
  const time = "1700000000123456789";
  expect(lines.slice(250)).toEqual([
    ["y", "d", 0o750, time, ""],
    ["y/l", "l", 0o777, time, "../f001"],
    ["y/x", "f", 0o644, time, `0:${time}`, [["user.a", "AQ=="]]],
  ]);
});

test("a time that tells nothing of the contents is no stamp", async () => {
  const just = BigInt(Date.now()) * 1_000_000n + 1n;
  const { lines } = await received(many({ y: { modTime: 1_000_000_000n }, z: { modTime: just } }));
  expect(lines.slice(250).map((line) => line[4])).toEqual(["", ""]);
});

test("what is ignored and whose directory it is are parts of the key", async () => {
  const clients: Client[] = [{}, {}, { excludes: ["x"] }, { sharedKey: "app:other" }];
  const keys = await Promise.all(clients.map(async (client) => (await received(many(), client)).keys[0]));
  expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(keys[1]).toBe(keys[0]);
  expect(new Set(keys).size).toBe(3);
});

test("everything is sent where comparing is not worth it, or not possible", async () => {
  const all = Object.keys(many());
  const contexts: [SentFiles, Client][] = [
    [{ a: { content: "few" } }, {}],
    [many(), { sharedKey: "" }],
    [many({ y: { linkname: "f001", size: 15n } }), {}],
    [many({ "y/../../etc": { content: "out" } }), {}],
    [many({ y: { xattrs: { "user.big": Buffer.alloc(20_000) } } }), {}],
  ];
  for (const [files, client] of contexts) {
    const { way, names } = await received(files, client);
    expect(way).toBe("whole");
    expect(names.length).toBe(Object.keys(files).length);
    expect(names.length === 1 || names.some((name) => name.startsWith(all[7] ?? ""))).toBe(true);
  }
});

test("everything is sent again when what was kept went away meanwhile; other failures are told", async () => {
  const gone = new EngineError("conflict", "what was kept of the build context is gone");
  const found = await received(many(), { failure: gone });
  expect([found.way, found.names.length]).toEqual(["whole", 250]);
  const full = new EngineError("internal", "no space left on device");
  expect(await received(many(), { failure: full }).then(() => "", String)).toContain("no space left");
});
