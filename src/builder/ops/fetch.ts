import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdir, open, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { EngineError, wrap } from "../../errors/mod.ts";
import { withoutCredentials } from "../attest/materials.ts";
import type { Build, Fetched } from "../context.ts";
import type { CopyOp, SourceFile } from "../graph/vertex.ts";

/** Where sources that are not files of the context lie as files, and their names there. */
export interface FetchedSources {
  readonly root: string;
  readonly names: readonly string[];
}

/** Writes here-documents and downloads of a COPY or ADD into a directory of their own; undefined when it has none. */
export async function fetchSources(build: Build, op: CopyOp): Promise<FetchedSources | undefined> {
  const sources = op.sources.filter((source) => source.kind === "url" || source.kind === "text");
  if (sources.length === 0) return undefined;
  const root = join(build.directory, `fetched-${randomBytes(8).toString("hex")}`);
  const names = await Promise.all(
    sources.map((source, index) => write(build, { source, op, root: join(root, `${index}`) })),
  );
  return { root, names: names.map((name, index) => `${index}/./${name}`.replace(/[*?[\]\\]/g, "\\$&")) };
}

interface Wanted {
  readonly source: Extract<SourceFile, { kind: "url" | "text" }>;
  readonly op: CopyOp;
  readonly root: string;
}

async function write(build: Build, { source, op, root }: Wanted): Promise<string> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  if (source.kind === "url") return download(build, { url: source.url, op, root });
  if (source.name.includes("/")) throw new EngineError("invalid", `invalid here-document name ${source.name}`);
  const path = join(root, source.name);
  await writeFile(path, source.text);
  await chmod(path, 0o644);
  return source.name;
}

async function download(build: Build, { url, op, root }: { url: string; op: CopyOp; root: string }): Promise<string> {
  const response = await answer(build, { url, keyword: op.keyword });
  const path = join(root, fileName(url, response));
  const wanted = op.checksum?.split(":", 1)[0] ?? materialHash;
  const digests = await save(response, { path, algorithms: [...new Set([materialHash, wanted])] });
  if (op.checksum !== undefined && `${wanted}:${digests[wanted]}` !== op.checksum) {
    throw new EngineError("invalid", `digest mismatch ${wanted}:${digests[wanted]}: ${op.checksum}`);
  }
  build.materials.push({ uri: withoutCredentials(url), digest: digests });
  const modified = Date.parse(response.headers.get("last-modified") ?? "");
  if (!Number.isNaN(modified)) await utimes(path, modified / 1000, modified / 1000);
  return basename(path);
}

async function answer(build: Build, { url, keyword }: { url: string; keyword: string }): Promise<Fetched> {
  let response: Fetched;
  try {
    response = await build.context.config.fetchUrl(url, build.signal);
  } catch (err) {
    throw wrap(err, `${keyword} failed: ${url}`);
  }
  if (response.status >= 200 && response.status < 300) return response;
  for await (const _ of response.bytes) break; // lets the connection go
  const status = `${response.status} ${response.statusText}`.trim();
  throw new EngineError("not-found", `${keyword} failed: failed to GET ${url} with status ${status}`);
}

/** The last part of the URL's path, slash or not, or what Content-Disposition says, or BuildKit's name for what has none. */
function fileName(url: string, response: Fetched): string {
  const own = decode(basename(new URL(url).pathname));
  const disposition = /filename="?([^";]+)"?/i.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? "";
  const name = own || basename(disposition);
  return name === "." || name === ".." || name === "" || /[/\0]/.test(name) ? "__unnamed__" : name;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** By which provenance knows a download, whatever its checksum is made with. */
const materialHash = "sha256";

interface Saving {
  readonly path: string;
  /** As OpenSSL calls them. */
  readonly algorithms: readonly string[];
}

/** Returns its digests in hexadecimal. */
async function save(response: Fetched, { path, algorithms }: Saving): Promise<Record<string, string>> {
  const hashes = algorithms.map((name) => [name, createHash(name)] as const);
  await using file = await open(path, "wx", 0o600);
  for await (const piece of response.bytes) {
    for (const [, hash] of hashes) hash.update(piece);
    await file.writeFile(piece);
  }
  return Object.fromEntries(hashes.map(([name, hash]) => [name, hash.digest("hex")]));
}
