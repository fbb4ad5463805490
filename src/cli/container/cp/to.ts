import { posix } from "node:path";
import type { Client } from "../../../client/mod.ts";
import { EngineError } from "../../../errors/mod.ts";
import { batched, type TarEntry, writeTar } from "../../../stream/mod.ts";
import type { CliIo } from "../../io.ts";
import { containerPath } from "../path.ts";
import { statInContainer } from "./container-path.ts";
import type { CopyRequest } from "./from.ts";
import { localEntries } from "./pack.ts";
import { absolute, type CopyEnd, localSource, type Plan, plan, splitEntry } from "./paths.ts";
import { copied } from "./progress.ts";
import { renamed } from "./rename.ts";

/** Into a container: a local path, or an archive from standard input. */
export async function copyTo(client: Client, io: CliIo, request: CopyRequest): Promise<void> {
  const { container, archive } = request;
  const destination = await containerDestination(client, request);
  const { directory, bytes } = upload(io, { request, destination });
  const progress = copied(io, { header: "Copying to container - ", quiet: request.quiet });
  try {
    await client.status({
      method: "PUT",
      path: containerPath(container, "/archive"),
      query: { path: directory, noOverwriteDirNonDir: "true", copyUIDGID: archive ? "true" : undefined },
      bytes: progress.count(bytes),
      contentType: "application/x-tar",
    });
    await progress.done(`${container}:${destination.path}`);
  } finally {
    progress.stop();
  }
}

/** What is not there, or cannot be looked at, may still be written: the engine says so if not. */
async function containerDestination(client: Client, request: CopyRequest): Promise<CopyEnd> {
  const { container, destination: given } = request;
  const first = await statInContainer(client, container, given);
  const target = first?.linkTarget;
  const path = target === undefined ? given : absoluteIn(given, target);
  const stat = target === undefined ? first : await statInContainer(client, container, path);
  if (stat?.isDevice)
    throw new EngineError(
      "invalid",
      `destination "${container}:${given}" must be a directory or a regular file: got a device`,
    );
  return { path, exists: stat !== undefined, isDirectory: stat?.isDirectory ?? false };
}

function absoluteIn(link: string, target: string): string {
  return target.startsWith("/") ? target : posix.join(splitEntry(link).directory, target);
}

interface Upload {
  readonly directory: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

function upload(io: CliIo, { request, destination }: { request: CopyRequest; destination: CopyEnd }): Upload {
  const { container, source: given, followLink } = request;
  if (given === "-") {
    if (!destination.isDirectory)
      throw new EngineError("invalid", `destination "${container}:${request.destination}" must be a directory`);
    return { directory: destination.path, bytes: io.stdin };
  }
  const source = localSource(absolute(io.cwd, given), followLink);
  const { directory, rename } = plan(source, destination);
  const name = source.calledAs ?? splitEntry(source.path).base;
  const entries = localEntries(source.path, name === "/" ? "" : name);
  return { directory, bytes: batched(writeTar(renaming(entries, rename))) };
}

function* renaming(entries: Iterable<TarEntry>, rename: Plan["rename"]): Generator<TarEntry> {
  for (const { header, content } of entries) yield { header: renamed(header, rename), content };
}
