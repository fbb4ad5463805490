import { createHash } from "node:crypto";
import type { BuildContext, ReceiveOptions } from "../builder/mod.ts";
import { isKind } from "../errors/mod.ts";
import { type fsutil, headerOf } from "../proto/mod.ts";
import { batched, type TarHeader, writeTar } from "../stream/mod.ts";
import { type ContextLine, contextSettles, encodeContextLines, isContextPath, isSmallContext } from "../wire/mod.ts";
import { type ClientFiles, openFiles, type SyncRequest } from "./file-sync.ts";
import type { Session } from "./session.ts";
import type { BuildKitEngine } from "./solve.ts";

export interface ContextRequest {
  readonly session: Session;
  readonly files: SyncRequest;
  /** Path of the Dockerfile, and what is known of it. */
  readonly dockerfile: string;
  readonly apart: NonNullable<ReceiveOptions["apart"]>;
}

/**
 * A client's directory as a build context, of which only what the builder has not kept from the last build is sent, as in
 * BuildKit (`source/local`): whoever has a shared key, a path, a size and a time in common is taken to have the contents in common.
 */
export async function receiveFiles(engine: BuildKitEngine, request: ContextRequest): Promise<BuildContext> {
  const changed = await changedFiles(engine, request);
  if (changed) return changed;
  using files = openFiles(request.session, request.files);
  return await whole(engine, request, files);
}

function whole(engine: BuildKitEngine, { files, dockerfile, apart }: ContextRequest, all: ClientFiles) {
  return engine.receive(batched(writeTar(all.entries())), { dockerfile, apart, signal: files.signal });
}

/** undefined when what was kept went away meanwhile. */
async function changedFiles(engine: BuildKitEngine, request: ContextRequest): Promise<BuildContext | undefined> {
  const { contexts } = engine.builder;
  const { dockerfile, apart } = request;
  const { signal } = request.files;
  using files = openFiles(request.session, request.files);
  const key = keyOf(request);
  const stats = key === undefined ? undefined : await files.listed();
  const lines = stats && linesOf(stats);
  if (key === undefined || !lines) return await whole(engine, request, files);
  try {
    const { id, missing } = await contexts.compare(key, {
      bytes: encodeContextLines(lines.map(({ line }) => line)),
      signal,
    });
    const names = new Map(missing.map((number) => [lines[number]?.id ?? -1, String(number)]));
    const bytes = batched(writeTar(files.entries(names)));
    return await contexts.complete(id, { bytes, dockerfile, apart, signal });
  } catch (err) {
    if (isKind(err, "conflict")) return undefined;
    throw err;
  }
}

/** What is ignored belongs to it: builds of one directory take turns, with a list of their own each. */
function keyOf({ session, files: { directory, excludes = [] } }: ContextRequest): string | undefined {
  if (session.sharedKey === "") return undefined;
  const text = ["buildkit", session.sharedKey, directory, ...excludes].join("\0");
  return createHash("sha256").update(text).digest("hex");
}

interface ListedLine {
  /** Its number in the client's list. */
  readonly id: number;
  readonly line: ContextLine;
}

/** undefined where keeping is not worth it, or the lines cannot say what there is: hard links, devices, names that lead out. */
function linesOf(stats: readonly fsutil.Stat[]): ListedLine[] | undefined {
  if (isSmallContext(stats.map(({ size }) => size))) return undefined;
  const now = BigInt(Date.now()) * 1_000_000n;
  const lines: ListedLine[] = [];
  for (const [id, stat] of stats.entries()) {
    const header = headerOf(stat);
    if (!header) continue; // nobody sends a socket
    const line = lineOf(header, now);
    if (!line) return undefined;
    lines.push({ id, line });
  }
  return lines;
}

/** Bytes. */
const mostAttributes = 16 * 1024;

function lineOf(header: TarHeader, now: bigint): ContextLine | undefined {
  const { type, mode, mtime, xattrs = new Map<string, Uint8Array>() } = header;
  if (type !== "file" && type !== "directory" && type !== "symlink") return undefined;
  const path = Buffer.from(header.name).toString("latin1");
  if (!isContextPath(path)) return undefined;
  const attributes = [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString("base64")] as const);
  if (attributes.reduce((sum, [name, value]) => sum + name.length + value.length, 0) > mostAttributes) return undefined;
  const link = Buffer.from(header.linkname ?? []).toString("latin1");
  const text = { file: () => stampOf(header, now), directory: () => "", symlink: () => link }[type]();
  return { path, type, mode, mtime, text, ...(attributes.length > 0 && { xattrs: attributes }) };
}

const second = 1_000_000_000n;

/** A time of whole seconds was set by somebody, as tar(1) and builds that are to be reproducible do: it tells nothing of the contents. */
function stampOf({ size, mtime }: TarHeader, now: bigint): string {
  return mtime % second === 0n || now - mtime < contextSettles ? "" : `${size}:${mtime}`;
}
