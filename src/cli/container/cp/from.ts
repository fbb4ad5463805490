import type { Client } from "../../../client/mod.ts";
import { TarDecoder } from "../../../stream/mod.ts";
import type { CliIo } from "../../io.ts";
import { containerPath } from "../path.ts";
import { decodeStat, statInContainer } from "./container-path.ts";
import { absolute, checkOutput, followed, localDestination, plan, splitEntry } from "./paths.ts";
import { copied } from "./progress.ts";
import { LocalUnpacker, type UnpackerOptions } from "./unpack.ts";

export interface CopyRequest {
  readonly container: string;
  readonly source: string;
  readonly destination: string;
  readonly followLink: boolean;
  readonly archive: boolean;
  readonly quiet: boolean;
}

/** Out of a container: to a local path, or as an archive to standard output. */
export async function copyFrom(client: Client, io: CliIo, request: CopyRequest): Promise<void> {
  const { container, quiet } = request;
  const given = request.destination === "-" ? "-" : absolute(io.cwd, request.destination);
  if (given !== "-") checkOutput(given);
  const source = request.followLink ? await behindLink(client, request) : { path: request.source };
  const answer = await client.stream({
    method: "GET",
    path: containerPath(container, "/archive"),
    query: { path: source.path },
  });
  if (given === "-") {
    for await (const piece of answer.bytes) await io.stdout.write(piece);
    return;
  }
  const { isDirectory } = decodeStat(answer.headers);
  const progress = copied(io, { header: "Copying from container - ", quiet });
  try {
    const { base } = splitEntry(source.path);
    const planned = plan({ path: source.path, exists: true, isDirectory }, localDestination(given));
    const called = source.calledAs === undefined ? undefined : { from: base, to: source.calledAs };
    const rename = planned.rename ?? called;
    await unpack(progress.count(answer.bytes), { directory: planned.directory, ...(rename && { rename }) });
    await progress.done(given);
  } finally {
    progress.stop();
  }
}

async function behindLink(client: Client, { container, source }: CopyRequest) {
  const stat = await statInContainer(client, container, source);
  return stat?.linkTarget === undefined ? { path: source } : followed(source, stat.linkTarget);
}

async function unpack(
  bytes: AsyncIterable<Uint8Array>,
  options: Pick<UnpackerOptions, "directory" | "rename">,
): Promise<void> {
  const { makeNode } = await import("../../../host/mod.ts"); // what no API of the JavaScript runtime does
  const unpacker = new LocalUnpacker({ ...options, makeNode });
  const decoder = new TarDecoder(unpacker);
  try {
    for await (const piece of bytes) decoder.push(piece);
    decoder.finish();
    unpacker.finish();
  } catch (err) {
    unpacker.abandon();
    throw err;
  }
}
