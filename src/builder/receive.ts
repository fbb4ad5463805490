import { randomBytes } from "node:crypto";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { feedJob, type Processes, removeTree, type Workers } from "../host/mod.ts";
import { type Bytes, fromFile, sniff } from "../stream/mod.ts";
import { largestBuildText } from "../wire/mod.ts";
import { withoutCredentials } from "./attest/materials.ts";
import type { BuildContext, BuildOptions } from "./builder.ts";
import type { FetchUrl } from "./context.ts";
import { decompressFile } from "./decompress.ts";
import { parseGitContext } from "./git/ref.ts";
import { gitContext } from "./git-context.ts";
import { receiveJob, type Tidied } from "./jobs/receive.ts";
import type { BuildSession } from "./session.ts";

export interface ReceiveOptions {
  /** The builder's own directory. */
  readonly directory: string;
  readonly workers: Workers;
  readonly processes: Processes;
  /** Path of the Dockerfile in the context; default "Dockerfile". */
  readonly dockerfile?: string;
  /** The Dockerfile itself, of a client that has sent it apart, and the ignore patterns, which it has applied. */
  readonly apart?: Tidied;
  /** The Dockerfile alone, of a client that has it beside a context which it has not seen. */
  readonly dockerfileText?: string;
  readonly signal: AbortSignal;
}

/**
 * Takes in the body of a build request, plain or compressed with gzip, zstd, xz or bzip2. The context is deleted by the
 * build that gets it. Throws "invalid": a broken archive, no Dockerfile, an empty one, one outside of the context.
 */
export async function receiveContext(tar: Bytes, options: ReceiveOptions): Promise<BuildContext> {
  await using place = await newPlace(options);
  const context = await taken(tar, { place, options });
  if (!context) throw new EngineError("invalid", "the build context is not a tar archive");
  return place.keep(context);
}

export interface FetchOptions extends ReceiveOptions {
  readonly fetchUrl: FetchUrl;
  /** The build's arguments, of which some are meant for whoever gets the context. */
  readonly args: BuildOptions["args"];
  /** Of the client whose build it is: a private repository needs what it alone has. */
  readonly session?: BuildSession;
}

/** A context from a URL: a git repository, an archive, or a Dockerfile alone (docker build URL). */
export async function fetchContext(url: string, options: FetchOptions): Promise<BuildContext> {
  const git = parseGitContext(url, options.args);
  if (!git && !/^https?:\/\//.test(url)) throw new EngineError("invalid", `unable to use remote context ${url}`);
  await using place = await newPlace(options);
  if (git) {
    const { directory } = place;
    return place.keep(await gitContext(git, { ...options, directory, dockerfile: dockerfileOf(options) }));
  }
  const response = await options.fetchUrl(url, options.signal);
  if (response.status < 200 || response.status > 299) {
    for await (const _ of response.bytes) break; // lets the connection go
    throw new EngineError(
      "invalid",
      `failed to GET ${url} with status ${response.status} ${response.statusText}`.trim(),
    );
  }
  const received = await taken(response.bytes, { place, options });
  if (!received && options.dockerfileText !== undefined)
    throw new EngineError("invalid", "the build context is not a tar archive");
  const context = received ?? (await dockerfileAlone(place));
  return place.keep({ ...context, origin: { uri: withoutCredentials(url) } });
}

/** Names that nobody has, for the files of one context. */
interface Place extends AsyncDisposable {
  readonly archive: string;
  readonly index: string;
  readonly directory: string;
  /** From now on it belongs to the context. */
  keep(context: BuildContext): BuildContext;
}

async function newPlace({ directory, workers }: ReceiveOptions): Promise<Place> {
  await mkdir(join(directory, "contexts"), { recursive: true, mode: 0o700 });
  const own = join(directory, "contexts", randomBytes(12).toString("hex"));
  const place = { archive: `${own}.tar`, index: `${own}.index`, directory: own };
  let kept: BuildContext | undefined;
  return {
    ...place,
    keep: (context) => {
      kept = context;
      return context;
    },
    [Symbol.asyncDispose]: async () => {
      if (!kept?.packed) for (const path of [place.archive, place.index]) await rm(path, { force: true });
      if (!kept) await workers.run(removeTree, { path: own });
    },
  };
}

interface Taking {
  readonly place: Place;
  readonly options: ReceiveOptions;
}

/** undefined: the bytes are no archive; they lie where it would. */
async function taken(bytes: Bytes, { place, options }: Taking): Promise<BuildContext | undefined> {
  const dockerfile = dockerfileOf(options);
  const { archive, index, directory } = place;
  const { workers, apart, dockerfileText, signal } = options;
  const own = { ...(apart && { apart }), ...(dockerfileText !== undefined && { dockerfileText }) };
  const input = { archive, index, directory, dockerfile, ...own };
  const found = await feedJob(workers, receiveJob, { input, bytes, signal });
  switch (found.kind) {
    case "none":
      return undefined;
    case "xz":
    case "bzip2":
      return decompressed(found.kind, { place, options });
    case "directory":
      return { directory, dockerfile, dockerfileText: found.dockerfileText, ignore: found.ignore };
    case "index": {
      const { dockerfileText, ignore, content } = found;
      return { directory, dockerfile, dockerfileText, ignore, packed: { archive, index, content } };
    }
    default:
      return found satisfies never;
  }
}

function dockerfileOf({ dockerfile }: ReceiveOptions): string {
  return dockerfile || "Dockerfile";
}

/** Workers start no programs. What decompresses to something compressed is no archive. */
async function decompressed(format: "xz" | "bzip2", { place, options }: Taking): Promise<BuildContext | undefined> {
  const plain = `${place.directory}.plain`;
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(plain, { force: true }));
  const { processes, signal } = options;
  const good = await decompressFile(processes, { format, from: place.archive, to: plain, signal });
  if (!good) throw new EngineError("invalid", `the build context is broken ${format} data`);
  if (["xz", "bzip2"].includes(await formatOf(plain))) return undefined;
  await rm(place.archive);
  return await taken(fromFile(plain), { place, options }); // before what it reads is removed
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
  if ((await file.stat()).size > largestBuildText)
    throw new EngineError("invalid", "the Dockerfile is larger than 1 MiB");
  return await file.readFile("utf8");
}
