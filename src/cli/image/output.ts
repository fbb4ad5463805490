import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Client } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { readTar } from "../../stream/mod.ts";
import { copyFrom } from "../container/cp/from.ts";
import { containerPath } from "../container/path.ts";
import type { CliIo, Output } from "../io.ts";
import { deliver } from "../output/save.ts";
import type { BuildOutput } from "./output-flag.ts";
import { imagePath } from "./path.ts";
import { pushName } from "./transfer.ts";

export interface Delivery {
  readonly client: Client;
  readonly io: CliIo;
  readonly outputs: readonly BuildOutput[];
  /** The image's names; an image without one that is no output itself is removed once it is delivered. */
  readonly names: readonly string[];
  /** For what a push tells. */
  readonly to: Output;
  readonly quiet: boolean;
}

/** Writes the image or its files to where they should go, in order. Returns the digest of what was pushed. */
export async function deliverBuild(id: string, delivery: Delivery): Promise<string | undefined> {
  const { client, outputs, names } = delivery;
  if (outputs.length === 0) return undefined;
  await using undo = new AsyncDisposableStack();
  const stays = names.length > 0 || outputs.some(({ type }) => type === "image");
  if (!stays) undo.defer(() => removeImage(client, id));
  let pushed: string | undefined;
  for (const output of outputs) pushed = (await deliverOne(id, delivery, output)) ?? pushed;
  return pushed;
}

async function deliverOne(id: string, delivery: Delivery, output: BuildOutput): Promise<string | undefined> {
  const { client, io, names } = delivery;
  switch (output.type) {
    case "image":
      return output.push ? pushAll(delivery) : undefined;
    case "oci":
    case "docker": {
      const query = { names: names.length > 0 ? names : [id] };
      const archive = async () => (await client.stream({ method: "GET", path: "/images/get", query })).bytes;
      await (output.isDirectory
        ? layOut(resolve(io.cwd, output.dest), await archive())
        : deliver(io, output.dest, archive));
      return undefined;
    }
    case "tar":
    case "local":
      await deliverFiles(id, delivery, output);
      return undefined;
    default:
      return output satisfies never;
  }
}

async function pushAll({ client, io, names, to, quiet }: Delivery): Promise<string | undefined> {
  if (names.length === 0) throw new EngineError("invalid", "tag is needed when pushing to registry");
  let digest: string | undefined;
  for (const name of names) digest = (await pushName(client, name, { io, to, quiet })) ?? digest;
  return digest;
}

async function deliverFiles(
  id: string,
  { client, io }: Delivery,
  { type, dest }: BuildOutput & { readonly type: "local" | "tar" },
): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const container = await filesOf(client, id);
  undo.defer(() => removeContainer(client, container));
  if (type === "tar") {
    const request = { method: "GET", path: containerPath(container, "/export") } as const;
    return await deliver(io, dest, async () => (await client.stream(request)).bytes); // before the container goes
  }
  const destination = resolve(io.cwd, dest);
  mkdirSync(destination, { recursive: true });
  const common = { followLink: false, archive: false, quiet: true };
  await copyFrom(client, io, { ...common, container, source: "/.", destination });
}

/** What an image layout is made of; another path in an archive is nobody's that we know. */
const layoutPath = /^(?:blobs\/sha256\/[0-9a-f]{64}|index\.json|manifest\.json|oci-layout)$/;

/** An archive's files below a directory. */
async function layOut(directory: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const { header, content } of readTar(archive)) {
    const name = Buffer.from(header.name).toString("utf8");
    if (header.type !== "file") continue;
    if (!layoutPath.test(name)) throw new EngineError("internal", `the engine's archive has ${JSON.stringify(name)}`);
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
    for await (const piece of content) writeFileSync(path, piece, { flag: "a" });
  }
}

/** A container that never runs. */
async function filesOf(client: Client, image: string): Promise<string> {
  const body = { Image: image, Cmd: ["none"], Entrypoint: [], NetworkDisabled: true };
  return (await client.json<{ Id: string }>({ method: "POST", path: "/containers/create", body })).Id;
}

async function removeContainer(client: Client, id: string): Promise<void> {
  await client.status({ method: "DELETE", path: containerPath(id, ""), query: { v: true } });
}

/** Not by force: another build may have given it a name. */
export async function removeImage(client: Client, id: string): Promise<void> {
  await client.status({ method: "DELETE", path: imagePath(id, "") });
}
