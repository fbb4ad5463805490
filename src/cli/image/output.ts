import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import type { Client } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { copyFrom } from "../container/cp/from.ts";
import { containerPath } from "../container/path.ts";
import type { CliIo } from "../io.ts";
import { deliver } from "../output/save.ts";
import { imagePath } from "./path.ts";

/** Where the result of a build goes besides the engine's images. `dest` "" is standard output. */
export interface BuildOutput {
  readonly type: "local" | "tar" | "oci" | "docker";
  readonly dest: string;
}

const types = ["local", "tar", "oci", "docker"] as const satisfies readonly BuildOutput["type"][];

/** `type=local,dest=DIR`, a directory alone, or `-` for a tar archive on standard output (docker buildx build, `--output`). Throws "invalid" and "not-implemented". */
export function parseOutput(text: string): BuildOutput {
  if (text === "-") return { type: "tar", dest: "" };
  if (!text.includes("=")) return { type: "local", dest: text };
  const fields = new Map(
    text.split(",").map((field) => [field.split("=", 1)[0] ?? "", field.slice(field.indexOf("=") + 1)]),
  );
  const given = fields.get("type") ?? "";
  const type = types.find((one) => one === given);
  if (!type)
    throw new EngineError("not-implemented", `--output type=${given} is not supported: one of ${types.join(", ")}`);
  const other = [...fields.keys()].find((key) => key !== "type" && key !== "dest");
  if (other !== undefined) throw new EngineError("not-implemented", `--output with ${other} is not supported`);
  const dest = fields.get("dest") ?? "";
  if (type === "local" && dest === "") throw new EngineError("invalid", "--output type=local needs dest=DIR");
  return { type, dest: dest === "-" ? "" : dest };
}

export interface Delivery {
  readonly client: Client;
  readonly io: CliIo;
  readonly output: BuildOutput;
  /** The image's names; an image without one is removed once it is delivered. */
  readonly names: readonly string[];
}

/** Writes the image or its files to where they should go. */
export async function deliverBuild(id: string, { client, io, output, names }: Delivery): Promise<void> {
  await using undo = new AsyncDisposableStack();
  if (names.length === 0) undo.defer(() => removeImage(client, id));
  if (output.type === "oci" || output.type === "docker") {
    const query = { names: names.length > 0 ? names : [id] };
    const request = { method: "GET", path: "/images/get", query } as const;
    return deliver(io, output.dest, async () => (await client.stream(request)).bytes);
  }
  const container = await filesOf(client, id);
  undo.defer(() => removeContainer(client, container));
  if (output.type === "tar") {
    const request = { method: "GET", path: containerPath(container, "/export") } as const;
    return deliver(io, output.dest, async () => (await client.stream(request)).bytes);
  }
  const destination = resolve(io.cwd, output.dest);
  mkdirSync(destination, { recursive: true });
  const common = { followLink: false, archive: false, quiet: true };
  await copyFrom(client, io, { ...common, container, source: "/.", destination });
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
