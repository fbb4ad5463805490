import { randomBytes } from "node:crypto";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { type Processes, removeTree, type Workers } from "../host/mod.ts";
import { type Bytes, sniff } from "../stream/mod.ts";
import type { BuildContext } from "./builder.ts";
import type { FetchUrl } from "./context.ts";
import { decompressFile } from "./decompress.ts";
import { receiveJob } from "./jobs/receive.ts";

export interface ReceiveOptions {
  /** The builder's own directory. */
  readonly directory: string;
  readonly workers: Workers;
  readonly processes: Processes;
  /** Path of the Dockerfile in the context; default "Dockerfile". */
  readonly dockerfile?: string;
  readonly signal: AbortSignal;
}

/**
 * Unpacks the body of a build request, plain or compressed with gzip, zstd, xz or bzip2. The context is deleted by the
 * build that gets it. Throws "invalid": a broken archive, no Dockerfile, an empty one, one outside of the context.
 */
export async function receiveContext(tar: Bytes, options: ReceiveOptions): Promise<BuildContext> {
  await using place = await newPlace(options);
  await save(tar, place.archive);
  const context = await unpackContext(place, options);
  if (!context) throw new EngineError("invalid", "the build context is not a tar archive");
  return place.keep(context);
}

/** A context from a URL: an archive, or a Dockerfile alone (docker build URL). */
export async function fetchContext(
  url: string,
  options: ReceiveOptions & { readonly fetchUrl: FetchUrl },
): Promise<BuildContext> {
  if (/^git(?:@|:\/\/)|^ssh:\/\/|\.git(?:#.*)?$|^github\.com\//.test(url)) {
    throw new EngineError("not-implemented", `a git repository as build context is not supported: ${url}`);
  }
  if (!/^https?:\/\//.test(url)) throw new EngineError("invalid", `unable to use remote context ${url}`);
  await using place = await newPlace(options);
  const response = await options.fetchUrl(url, options.signal);
  if (response.status < 200 || response.status > 299) {
    for await (const _ of response.bytes) break; // lets the connection go
    throw new EngineError(
      "invalid",
      `failed to GET ${url} with status ${response.status} ${response.statusText}`.trim(),
    );
  }
  await save(response.bytes, place.archive);
  return place.keep((await unpackContext(place, options)) ?? (await dockerfileAlone(place)));
}

interface Place extends AsyncDisposable {
  readonly archive: string;
  /** For the archive decompressed. */
  readonly plain: string;
  /** Not made yet. */
  readonly directory: string;
  /** From now on it belongs to the context. */
  keep(context: BuildContext): BuildContext;
}

async function newPlace({ directory, workers }: ReceiveOptions): Promise<Place> {
  await mkdir(join(directory, "contexts"), { recursive: true, mode: 0o700 });
  const own = join(directory, "contexts", randomBytes(12).toString("hex"));
  let kept = false;
  return {
    archive: `${own}.tar`,
    plain: `${own}.plain`,
    directory: own,
    keep: (context) => {
      kept = true;
      return context;
    },
    [Symbol.asyncDispose]: async () => {
      for (const end of [".tar", ".plain", ...(kept ? [] : [""])]) {
        await workers.run(removeTree, { path: `${own}${end}` });
      }
    },
  };
}

async function save(bytes: Bytes, path: string): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  for await (const piece of bytes) await file.writeFile(piece);
}

async function unpackContext(place: Place, options: ReceiveOptions): Promise<BuildContext | undefined> {
  const dockerfile = options.dockerfile || "Dockerfile";
  const archive = await plainArchive(place, options);
  const { directory } = place;
  const input = { archive, directory, dockerfile };
  const found = await options.workers.run(receiveJob, input, { signal: options.signal });
  const { dockerfileText, ignore } = found;
  return found.archive ? { directory, dockerfile, dockerfileText, ignore } : undefined;
}

async function plainArchive({ archive, plain }: Place, { processes, signal }: ReceiveOptions): Promise<string> {
  const format = await formatOf(archive);
  if (format !== "xz" && format !== "bzip2") return archive;
  const good = await decompressFile(processes, { format, from: archive, to: plain, signal });
  if (!good) throw new EngineError("invalid", `the build context is broken ${format} data`);
  return plain;
}

async function formatOf(path: string) {
  await using file = await open(path, "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(6), 0, 6, 0);
  return sniff(buffer.subarray(0, bytesRead));
}

async function dockerfileAlone(place: Place): Promise<BuildContext> {
  const { directory } = place;
  await mkdir(directory, { mode: 0o755 });
  const text = await readText(place.archive);
  if (text.trim() === "") throw new EngineError("invalid", "the Dockerfile (Dockerfile) cannot be empty");
  await writeFile(join(directory, "Dockerfile"), text, { mode: 0o644 });
  return { directory, dockerfile: "Dockerfile", dockerfileText: text };
}

async function readText(path: string): Promise<string> {
  await using file = await open(path, "r");
  if ((await file.stat()).size > 16 * 1024 * 1024)
    throw new EngineError("invalid", "the Dockerfile is larger than 16 MiB");
  return await file.readFile("utf8");
}
