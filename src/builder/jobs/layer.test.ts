import { afterAll, beforeEach, expect, test } from "bun:test";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { archive, type Entry } from "../../layers/testing/store.ts";
import { collect, fromBuffer, readTar } from "../../stream/mod.ts";
import { type CopyInput, copyJob } from "./copy.ts";
import { type LayerOutput, layerJob } from "./layer.ts";
import { takeContext } from "./receive.ts";
import { type PackedFiles, selectJob } from "./select.ts";
import { unpackContextJob } from "./unpack-context.ts";

const top = mkdtempSync(join(tmpdir(), "berth-builder-layer-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));
let count = 0;
let here: string;
beforeEach(() => {
  here = join(top, `${count++}`);
  mkdirSync(join(here, "below"), { recursive: true });
});

const context = { check: () => undefined, report: () => undefined };
const files: (Entry | string)[] = [
  { name: "Dockerfile", text: "FROM a" },
  { name: "a", text: "A", mode: 0o755 },
  { name: "d/", mode: 0o700 },
  { name: "d/f", text: "F".repeat(3000), mtime: 1_234_567_890_123n },
  { name: "d/l", linkname: "/nowhere" },
  { name: "d/sub/g", text: "G" },
  "d/odd name é",
];

async function received(entries: readonly (Entry | string)[]): Promise<PackedFiles> {
  const packed = { archive: join(here, "tar"), index: join(here, "index") };
  const input = { ...packed, directory: join(here, "files"), dockerfile: "Dockerfile" };
  await takeContext(fromBuffer(await archive(...entries)), { input, context });
  await unpackContextJob.run({ ...packed, directory: input.directory }, context);
  return packed;
}

interface Copying {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly owner?: { uid: number; gid: number };
  readonly mode?: number;
}

async function selected(packed: PackedFiles, sources: readonly string[]) {
  const input = { root: join(here, "files"), packed, sources, exclude: [], deep: false, where: "context" } as const;
  return (await selectJob.run({ ...input, keyword: "COPY" }, context)).selected;
}

/** What the job streams, and what it returns. */
async function layer(packed: PackedFiles, copying: Copying): Promise<{ tar: Buffer; output: LayerOutput }> {
  const flow = { taken: new SharedArrayBuffer(4), pieces: new SharedArrayBuffer(8 * 256 * 1024) };
  const pieces: Buffer[] = [];
  const report = (length: unknown) => {
    const at = (pieces.length % 8) * 256 * 1024;
    pieces.push(Buffer.from(new Uint8Array(flow.pieces).subarray(at, at + (length as number))));
    Atomics.add(new Int32Array(flow.taken), 0, 1);
  };
  const { sources, ...rest } = copying;
  const input = { owner: { uid: 0, gid: 0 }, ...rest, packed, selected: await selected(packed, sources), flow };
  const output = await layerJob.run({ ...input, below: join(here, "below") }, { check: () => undefined, report });
  return { tar: Buffer.concat(pieces), output };
}

function cloneBelow(to: string): void {
  expect(Bun.spawnSync(["cp", "-a", join(here, "below"), to]).exitCode).toBe(0);
}

/** The root as copying leaves it. */
async function copied(packed: PackedFiles, { sources, mode, ...rest }: Copying): Promise<string> {
  const to = join(here, "copied");
  cloneBelow(to);
  const items = (await selected(packed, sources)).map((item) => ({ ...item, unpack: false }));
  const plain = { owner: { uid: 0, gid: 0 }, link: false, exclude: [] };
  const chmod = mode === undefined ? {} : { mode: mode.toString(8) };
  const input: CopyInput = { ...plain, ...rest, ...chmod, from: join(here, "files"), selected: items, to };
  await copyJob.run(input, context);
  return to;
}

function describeFile(path: string): string {
  const { mode, uid, gid, mtimeMs } = lstatSync(path);
  const own = `${mode.toString(8)} ${uid}:${gid}`;
  if (lstatSync(path).isDirectory()) return own;
  const content = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : readFileSync(path, "utf8");
  return `${own} ${Math.floor(mtimeMs)} ${content}`;
}

function listing(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true }) as string[];
  return Object.fromEntries(names.sort().map((name) => [name, describeFile(join(root, name))]));
}

async function below(...entries: (Entry | string)[]): Promise<void> {
  const tar = join(here, "below.tar");
  await Bun.write(tar, await archive(...entries));
  Bun.spawnSync(["tar", "-xpf", tar, "-C", join(here, "below")]);
}

test("a layer is what copying would leave", async () => {
  const packed = await received(files);
  await below("app/", { name: "etc/", mode: 0o750, uid: 3, gid: 4 }, { name: "app/sub/", uid: 5 }, "app/f", "etc/x");
  const cases: Copying[] = [
    { sources: ["."], destination: "/" },
    { sources: ["d"], destination: "/app", owner: { uid: 7, gid: 8 } },
    { sources: ["d"], destination: "/new/deep/", mode: 0o640 },
    { sources: ["a"], destination: "/etc" },
    { sources: ["a"], destination: "/etc/name", mode: 0o4711 },
    { sources: ["a", "d/f", "d"], destination: "/many/" },
    { sources: ["d/*"], destination: "/glob/" },
  ];
  for (const copying of cases) {
    const { tar, output } = await layer(packed, copying);
    expect(output?.bytes).toBeGreaterThan(0);
    const to = await copied(packed, copying);
    const from = join(here, "layered");
    cloneBelow(from);
    await Bun.write(join(here, "layer.tar"), tar);
    expect(Bun.spawnSync(["tar", "-xpf", join(here, "layer.tar"), "-C", from]).exitCode).toBe(0);
    expect(listing(from)).toEqual(listing(to));
    for (const path of [to, from]) rmSync(path, { recursive: true });
  }
});

test("directories that are there come before what is put into them, with their own attributes", async () => {
  const packed = await received(files);
  await below({ name: "etc/", mode: 0o750, uid: 3, gid: 4 });
  const { tar } = await layer(packed, { sources: ["a"], destination: "/etc/", owner: { uid: 9, gid: 9 } });
  const found: unknown[] = [];
  for await (const { header, content } of readTar(fromBuffer(tar))) {
    await collect(content, 1 << 20);
    found.push([String(Buffer.from(header.name)), header.mode, header.uid]);
  }
  expect(found).toEqual([
    ["etc", 0o750, 3],
    ["etc/a", 0o755, 9],
  ]);
});

test("what only copying can tell is left to it, and nothing is written", async () => {
  const packed = await received([...files, ".wh.x"]);
  await below("real/", { name: "link", linkname: "real" }, "file", "d/f/", { name: "to", linkname: "file" });
  const cases: Copying[] = [
    { sources: ["a"], destination: "/link/x" },
    { sources: ["d"], destination: "/link" },
    { sources: ["a"], destination: "/file/x" },
    { sources: ["d"], destination: "/file" },
    { sources: ["d"], destination: "/d" },
    { sources: ["a"], destination: "/to" },
    { sources: [".wh.x"], destination: "/" },
    { sources: ["a"], destination: "/.wh.x/" },
  ];
  for (const copying of cases) {
    expect([copying, await layer(packed, copying)]).toEqual([copying, { tar: Buffer.alloc(0), output: undefined }]);
  }
});
