import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Builder, BuildOptions } from "../../builder/mod.ts";
import { failurePlace } from "../../builder/testing/failed-at.ts";
import { type Db, openDb } from "../../db/mod.ts";
import { messageOf } from "../../errors/mod.ts";
import { Code, ConnectError, type ConnectRouter } from "../../grpc/mod.ts";
import { serve } from "../../http/mod.ts";
import type { Image } from "../../images/mod.ts";
import { nullLog } from "../../log/mod.ts";
import { canonical, digestOf, mediaTypes } from "../../oci/mod.ts";
import { type control, filesync, secrets, ssh } from "../../proto/mod.ts";
import { fromBuffer, readTar, type TarEntry, type TarType, writeTar } from "../../stream/mod.ts";
import { type BuildKitEngine, buildKitMigrations, createBuildKit } from "../mod.ts";
import { type SentFiles, sender } from "./sender.ts";

/** What the builder was asked for, and what it is to do. */
export interface Built {
  readonly names: readonly string[];
  readonly dockerfileText: string | undefined;
  readonly options: BuildOptions;
}
export type Act = (options: BuildOptions) => Promise<void>;
export const id = `sha256:${"a".repeat(64)}` as const;

/** What a build leaves: directories, files small and large, links. */
const resultFiles = (): TarEntry[] => [
  file("./", "directory"),
  file("./bin/", "directory"),
  file("./bin/app", "file", { content: "x".repeat(3_000_000), mode: 0o4755 }),
  ...Array.from({ length: 30 }, (_, at) => file(`./bin/f${at}`, "file", { content: "y".repeat(500_000) })),
  file("./bin/hard", "hardlink", { link: "./bin/app" }),
  file("./bin/soft", "symlink", { link: "app" }),
  file("./empty", "file"),
];

function file(name: string, type: TarType, more: { content?: string; mode?: number; link?: string } = {}): TarEntry {
  const bytes = Buffer.from(more.content ?? "");
  const header = {
    name: Buffer.from(name),
    type,
    mode: more.mode ?? 0o755,
    uid: 0,
    gid: 0,
    size: BigInt(bytes.length),
    mtime: 0n,
  };
  return {
    header: { ...header, ...(more.link !== undefined && { linkname: Buffer.from(more.link) }) },
    content: fromBuffer(bytes),
  };
}

interface Seen {
  readonly built: Built[];
  readonly discarded: string[];
  /** Which image went where, with which password. */
  readonly pushed: string[];
}

/** An engine whose steps do what the test says, and which tells what it was asked for. */
function fakeEngine(act: () => Act, { built, discarded, pushed }: Seen): BuildKitEngine {
  let received: string[] = [];
  const builder: Pick<Builder, "build" | "buildEach" | "failurePlace" | "usage"> = {
    failurePlace,
    buildEach: async (context, each) => {
      const images: Image[] = [];
      for (const options of each) images.push(await builder.build(context, options));
      return images;
    },
    build: async (context, options) => {
      built.push({ names: received, dockerfileText: context.dockerfileText, options });
      options.observer?.steps([
        { id: 0, text: "FROM base", inputs: [] },
        { id: 1, text: "RUN work", inputs: [0] },
      ]);
      options.observer?.ended(0, { kind: "cached" });
      options.observer?.started(1);
      await act()(options);
      options.observer?.ended(1, { kind: "done" });
      const architecture = options.platform?.split("/")[1] ?? "amd64";
      return { id, config: { os: "linux", architecture } } as Partial<Image> as Image;
    },
    usage: async () => [],
  };
  return {
    builder: builder as Partial<Builder> as Builder,
    receive: async (tar, { dockerfile, apart, dockerfileText }) => {
      received = [];
      for await (const { header, content } of readTar(tar)) {
        const bytes = Buffer.concat(await Array.fromAsync(content));
        received.push(`${Buffer.from(header.name)}=${bytes}`);
      }
      return { directory: "/none", dockerfile, ...apart, ...(dockerfileText !== undefined && { dockerfileText }) };
    },
    fetch: async (url, { dockerfile, dockerfileText }) => {
      received = [url];
      return { directory: "/none", dockerfile, ...(dockerfileText !== undefined && { dockerfileText }) };
    },
    archive: (images, { names, form, asIndex }) => {
      const ids = images.map((one) => (asIndex ? one.config.architecture : one.id)).join("+");
      return fromBuffer(Buffer.from(`${ids} ${names}${form ? ` ${form.compression}` : ""}`));
    },
    pushIndex: async (images, ref) => {
      pushed.push(`${images.map(({ config }) => config.architecture).join("+")} ${canonical(ref)}`);
      return { mediaType: mediaTypes.index, digest: digestOf("i"), size: 2 };
    },
    push: async (image, ref, { session, signal }) => {
      const auth = await session?.credentials(ref.domain, signal);
      pushed.push(`${image.id.slice(0, 10)} ${canonical(ref)} ${auth?.password}`);
      return { mediaType: mediaTypes.manifest, digest: digestOf("m"), size: 1 };
    },
    files: () => writeTar(resultFiles()),
    import: async (tar) => {
      const names = await Array.fromAsync(readTar(tar), ({ header }) => Buffer.from(header.name).toString());
      return { id: `sha256:${names.join("+")}` } as Partial<Image> as Image;
    },
    load: async (archive) => {
      const names = await Array.fromAsync(readTar(archive), ({ header }) => Buffer.from(header.name).toString());
      return { id: `sha256:${names.length}` } as Partial<Image> as Image;
    },
    imageIds: () => new Set(),
    provenance: async () => ({ predicateType: "https://slsa.dev/provenance/v1", predicate: Buffer.from("{}") }),
    discard: async (image) => void discarded.push(image.id),
    worker: () => ({
      id: "w",
      labels: {},
      platforms: [{ os: "linux", architecture: "amd64" }],
      buildkitVersion: { package: "berth", version: "v1", revision: "r" },
    }),
  };
}

/** BuildKit's doors on a socket, with that engine behind them; the rows are in a database of their own, or in one that was there before. */
export async function openDoor(given?: Db) {
  const directory = mkdtempSync(join(tmpdir(), "berth-buildkit-"));
  const path = join(directory, "s");
  const built: Built[] = [];
  const discarded: string[] = [];
  const pushed: string[] = [];
  const door = { path, built, discarded, pushed, act: (async () => undefined) as Act };
  const db = given ?? openDb(":memory:", buildKitMigrations);
  const buildKit = createBuildKit(
    fakeEngine(() => door.act, { built, discarded, pushed }),
    { db, log: nullLog },
  );
  const server = await serve({
    listen: `unix://${path}`,
    routes: [
      { method: "POST", path: "/build", handle: (request) => buildKit.build(request) },
      { method: "POST", path: "/build/cancel", handle: (request) => buildKit.cancel(request) },
      { method: "POST", path: "/session", handle: (request) => buildKit.session(request) },
      { method: "POST", path: "/grpc", handle: () => buildKit.grpc() },
    ],
    onError: (err) => ({ kind: "text", status: 500, type: "text/plain", body: messageOf(err) }),
    versioned: { newest: "1.51" },
    http2: (socket) => buildKit.http2(socket),
  });
  const close = async () => {
    await server[Symbol.asyncDispose]();
    if (!given) db[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  };
  return Object.assign(door, { sessionOf: buildKit.sessionOf, [Symbol.asyncDispose]: close });
}

export type TestDoor = Awaited<ReturnType<typeof openDoor>>;

export const context: SentFiles = {
  ".dockerignore": { content: "*.log\n" },
  a: { content: "A" },
  Dockerfile: { content: "FROM base" },
};
export const methods = [
  "/moby.filesync.v1.FileSync/DiffCopy",
  "/moby.buildkit.secrets.v1.Secrets/GetSecret",
  "/moby.sshforward.v1.SSH/CheckAgent",
  "/moby.filesync.v1.Auth/Credentials",
];

export interface ClientTells {
  /** The calls for its files. */
  readonly seen?: Headers[];
  /** What it was sent. */
  readonly taken?: Uint8Array[];
  /** Which of several outputs each was. */
  readonly outputs?: (string | null)[];
}

export function client(
  directories: Readonly<Record<string, SentFiles>>,
  { seen = [], taken, outputs }: ClientTells = {},
) {
  return (router: ConnectRouter): void => {
    router.service(filesync.FileSync, { diffCopy: sender(directories, seen) });
    if (taken) {
      router.service(filesync.FileSend, {
        async *diffCopy(messages, { requestHeader }) {
          outputs?.push(requestHeader.get("buildkit-attachable-exporter-id"));
          for await (const { data } of messages) taken.push(data);
          yield* [];
        },
      });
    }
    router.service(filesync.Auth, { credentials: ({ host }) => ({ username: "u", secret: `of ${host}` }) });
    router.service(secrets.Secrets, {
      getSecret: ({ id }) => {
        if (id === "known") return { data: Buffer.from("hush") };
        throw new ConnectError(`secret ${id}: not found`, id === "broken" ? Code.Internal : Code.NotFound);
      },
    });
    router.service(ssh.SSH, {
      checkAgent: ({ id }) => {
        if (id === "default") return {};
        throw new ConnectError(`unset ssh forward key ${id}`, Code.Unknown);
      },
      async *forwardAgent(messages, { requestHeader }) {
        for await (const { data } of messages) {
          yield { data: Buffer.concat([Buffer.from(`${requestHeader.get("buildkit.ssh.id")}:`), data]) };
        }
      },
    });
  };
}

/** The last state of every vertex, and all that was logged. */
export function told(responses: readonly control.StatusResponse[]) {
  const vertices = new Map<string, string>();
  for (const vertex of responses.flatMap((one) => one.vertexes)) {
    const state =
      vertex.error || (vertex.cached ? "cached" : vertex.completed ? "done" : vertex.started ? "started" : "waits");
    vertices.set(vertex.name, state);
  }
  return {
    vertices: Object.fromEntries(vertices),
    log: responses
      .flatMap((one) => one.logs)
      .map(({ msg }) => Buffer.from(msg).toString())
      .join(""),
  };
}
