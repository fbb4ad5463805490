import { createHash } from "node:crypto";
import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Client } from "../../client/mod.ts";
import { isKind } from "../../errors/mod.ts";
import { batched, type TarEntry, writeTar } from "../../stream/mod.ts";
import { type ContextLine, contextSettles, encodeContextLines, isSmallContext } from "../../wire/mod.ts";
import type { DirectoryContext, SentContext } from "./context.ts";
import { entryOf, FirstNames, type Found, walkContext } from "./walk.ts";

/**
 * The build context, of which only what the engine does not have is sent. undefined where that is not worth it, or not
 * possible: an engine that is no Berth, or a context with something else than files of one name, directories and links.
 */
export async function changedContext(context: DirectoryContext, client: Client): Promise<SentContext | undefined> {
  const found = [...walkContext(context.root, context.walk)].filter(({ stat }) => !stat.isSocket());
  const names = new FirstNames();
  const hasKind = ({ stat }: Found) => stat.isFile() || stat.isDirectory() || stat.isSymbolicLink();
  const isPlain = found.every((one) => hasKind(one) && !names.of(one));
  if (!isPlain || isSmallContext(found.map(({ stat }) => stat.size))) return undefined;
  const answer = await ask(client, { context, found });
  if (!answer) return undefined;
  const entries = missingEntries(answer.Missing, { context, found });
  return { bytes: batched(writeTar(entries)), dockerfile: context.dockerfile, id: answer.Id };
}

interface Walked {
  readonly context: DirectoryContext;
  readonly found: readonly Found[];
}

interface Answer {
  readonly Id: string;
  /** Numbers of lines. */
  readonly Missing: readonly number[];
}

async function ask(client: Client, { context, found }: Walked): Promise<Answer | undefined> {
  const key = createHash("sha256").update(`${hostname()}\0${context.root}`).digest("hex");
  try {
    const bytes = encodeContextLines(linesOf({ context, found }));
    const { bytes: reply } = await client.stream({ method: "POST", path: "/build/context", query: { key }, bytes });
    return JSON.parse(Buffer.concat(await Array.fromAsync(reply)).toString()) as Answer;
  } catch (err) {
    // Another engine, which knows no such path, or one that has just forgotten what it kept.
    if (isKind(err, "not-found") || isKind(err, "conflict")) return undefined;
    throw err;
  }
}

function* linesOf({ context, found }: Walked): Generator<ContextLine> {
  const now = BigInt(Date.now()) * 1_000_000n;
  for (const one of found) yield lineOf(one, { root: context.root, now });
  if (context.extra) yield { path: context.dockerfile, type: "file", mode: 0o600, mtime: 0n, text: "" };
}

function lineOf({ name, stat }: Found, { root, now }: { root: string; now: bigint }): ContextLine {
  const base = { path: name.toString("latin1"), mode: Number(stat.mode & 0o7777n), mtime: stat.mtimeNs };
  if (stat.isDirectory()) return { ...base, type: "directory", text: "" };
  if (!stat.isSymbolicLink())
    return { ...base, type: "file", text: now - stat.ctimeNs > contextSettles ? stampOf(stat) : "" };
  const path = Buffer.concat([Buffer.from(`${root}/`), name]);
  return { ...base, type: "symlink", text: readlinkSync(path, { encoding: "buffer" }).toString("latin1") };
}

/** No write leaves all of it as it was. */
function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: Found["stat"]): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}

/** Those that are no files any more are left out. */
function* missingEntries(missing: readonly number[], { context, found }: Walked): Generator<TarEntry> {
  for (const index of missing) {
    const one = found[index];
    const entry = one ? entryIfThere(context.root, one) : context.extra;
    if (entry?.header.type === "file")
      yield { ...entry, header: { ...entry.header, name: Buffer.from(String(index)) } };
  }
}

function entryIfThere(root: string, found: Found): TarEntry | undefined {
  try {
    return entryOf(root, found);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw err;
  }
}
