import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { callOver, serveOver } from "../grpc/mod.ts";
import { filesync, fsutil } from "../proto/mod.ts";
import { type SyncRequest, syncFiles } from "./file-sync.ts";
import { Session } from "./session.ts";
import { connections } from "./testing/connections.ts";
import { type SentFiles, sender } from "./testing/sender.ts";

type DiffCopy = ReturnType<typeof sender>;

function sessionWith(diffCopy: DiffCopy): Session {
  const [here, there] = connections();
  const signal = new AbortController().signal;
  void serveOver(there, { signal, routes: (router) => router.service(filesync.FileSync, { diffCopy }) });
  return new Session(callOver(here), {
    id: "s",
    sharedKey: "",
    methods: new Set(["/moby.filesync.v1.filesync/diffcopy"]),
  });
}

async function synced(diffCopy: DiffCopy, request: Partial<SyncRequest> = {}) {
  const found: { name: string; type: string; mode: number; content: string; link: string }[] = [];
  const signal = new AbortController().signal;
  for await (const { header, content } of syncFiles(sessionWith(diffCopy), {
    directory: "context",
    signal,
    ...request,
  })) {
    const bytes = Buffer.concat(await Array.fromAsync(content));
    expect(BigInt(bytes.length)).toBe(header.size);
    const link = Buffer.from(header.linkname ?? []).toString();
    const text = bytes.length > 100 ? `${bytes.length} bytes` : bytes.toString();
    found.push({
      name: Buffer.from(header.name).toString(),
      type: header.type,
      mode: header.mode,
      content: text,
      link,
    });
  }
  return found;
}

const directory = 2 ** 31;

test("a directory comes in its order: files small and large, links, modes and owners", async () => {
  const files: SentFiles = {
    Dockerfile: { content: "FROM scratch\n" },
    bin: { mode: directory + 0o755 },
    "bin/app": { mode: 2 ** 23 + 0o755, content: Buffer.alloc(20_000_000, 7) },
    "bin/b": { content: Buffer.alloc(300_000, 1) },
    "bin/hard": { content: "", linkname: "bin/b", size: 300_000n },
    "bin/soft": { mode: 2 ** 27 + 0o777, linkname: "b" },
    "bin/socket": { mode: 2 ** 24 + 0o777 },
    empty: {},
    ü: { content: "last" },
  };
  let total = 0;
  const found = await synced(sender({ context: files }), { onBytes: (bytes) => (total = bytes) });
  expect(found).toEqual([
    { name: "Dockerfile", type: "file", mode: 0o644, content: "FROM scratch\n", link: "" },
    { name: "bin", type: "directory", mode: 0o755, content: "", link: "" },
    { name: "bin/app", type: "file", mode: 0o4755, content: "20000000 bytes", link: "" },
    { name: "bin/b", type: "file", mode: 0o644, content: "300000 bytes", link: "" },
    { name: "bin/hard", type: "hardlink", mode: 0o644, content: "", link: "bin/b" },
    { name: "bin/soft", type: "symlink", mode: 0o777, content: "", link: "b" },
    { name: "empty", type: "file", mode: 0o644, content: "", link: "" },
    { name: "ü", type: "file", mode: 0o644, content: "last", link: "" },
  ]);
  expect(total).toBe(20_300_017);
});

test("a name that is not UTF-8 stays as it is", async () => {
  const name = Buffer.from([0x6e, 0xe9]);
  const session = sessionWith(sender({ context: { odd: { content: "x", rawPath: name } } }));
  const request = { directory: "context", signal: new AbortController().signal };
  const names: Uint8Array[] = [];
  for await (const { header } of syncFiles(session, request)) names.push(header.name);
  expect(names.map((one) => Buffer.from(one).toString("hex"))).toEqual([name.toString("hex")]);
});

test("thousands of small files", async () => {
  const files = Object.fromEntries(Array.from({ length: 3000 }, (_, at) => [`f${at}`, { content: `content ${at}` }]));
  const found = await synced(sender({ context: files }));
  expect(found.length).toBe(3000);
  expect(found.every(({ name, content }) => content === `content ${name.slice(1)}`)).toBe(true);
});

test("what is asked for is said in the call's metadata", async () => {
  const seen: Headers[] = [];
  await synced(sender({ context: {} }, seen), { excludes: ["*.log", "é"], followPaths: [".dockerignore"] });
  expect(seen[0]?.get("followpaths")).toBe(".dockerignore");
  expect(seen[0]?.get("override-excludes")).toBe("true");
  expect(seen[0]?.get("exclude-patterns")).toBe("*.log, %C3%A9");
  expect(seen[0]?.get("exclude-patterns-encoded")).toBe("1");
});

test("a client that breaks the protocol ends the transfer, whatever it does", async () => {
  const packet = (init: Parameters<typeof create<typeof fsutil.PacketSchema>>[1]) => create(fsutil.PacketSchema, init);
  const stat = (path: string, size: bigint) =>
    packet({ type: 0, stat: { path: Buffer.from(path), mode: 0o644, size } });
  const cases: [string, () => AsyncGenerator<fsutil.Packet>][] = [
    [
      "ended the transfer of its files early",
      async function* () {
        yield* [];
      },
    ],
    [
      "error from sender: no",
      async function* () {
        yield packet({ type: 4, data: Buffer.from("no") });
      },
    ],
    [
      "content of file 7, which nobody asked for",
      async function* () {
        yield packet({ type: 2, id: 7 });
      },
    ],
    [
      "a packet of kind 9",
      async function* () {
        yield packet({ type: 9 });
      },
    ],
    [
      "has a size below 0",
      async function* () {
        yield stat("x", -1n);
      },
    ],
    [
      '"x" has grown while it was sent',
      async function* () {
        yield stat("x", 1n);
        await Bun.sleep(20);
        yield packet({ type: 2, id: 0, data: Buffer.from("more") });
      },
    ],
  ];
  for (const [message, answers] of cases) {
    await expect(synced(answers as DiffCopy)).rejects.toThrow(message);
  }
});

test("a directory that the client does not share is named", async () => {
  const [here, there] = connections();
  const signal = new AbortController().signal;
  void serveOver(there, { signal, routes: () => undefined });
  const session = new Session(callOver(here), { id: "s", sharedKey: "", methods: new Set() });
  const files = syncFiles(session, { directory: "context", signal });
  await expect(files.next()).rejects.toThrow("files of context from the client: unknown method");
});
