import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import type { Values } from "../../flags/mod.ts";
import type { ContainerCreateAnswer } from "../../wire/mod.ts";
import { type Call, command } from "../command.ts";
import { type CliIo, print, tell } from "../io.ts";
import { pullImage } from "../session/pull.ts";
import { type CreateInput, createBody } from "./create-body.ts";
import { type ContainerFlags, containerFlags } from "./flags.ts";
import { type Replacement, replacing } from "./replace.ts";
import { toldBeforeRunning } from "./status.ts";
import { invalid } from "./values.ts";

export const create = command({
  name: "create",
  summary: "Create a new container",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  examples: ["berth create --name web -p 8080:80 nginx"],
  flags: containerFlags,
  args: { min: 1 },
  interspersed: false,
  async run(call, io) {
    const prepared = prepare(call, io, attachedStreams(call.flags));
    if (prepared instanceof EngineError) return toldBeforeRunning(io, call.words, prepared);
    const { id } = await createContainer(call, io, prepared);
    await print(io, `${id}\n`);
    return 0;
  },
});

/** The streams that `-a` names; without it both outputs, and the input where `-i` asks for it. */
export function attachedStreams(flags: Values<ContainerFlags>): CreateInput["attach"] {
  const chosen = new Set(flags.attach);
  if (chosen.size === 0) return { stdin: flags.interactive, stdout: true, stderr: true };
  return { stdin: chosen.has("stdin"), stdout: chosen.has("stdout"), stderr: chosen.has("stderr") };
}

type Body = Record<string, unknown>;

/** Everything that can be wrong with the flags themselves; given back rather than thrown, since it has a status of its own. */
export function prepare(call: Call<ContainerFlags>, io: CliIo, attach: CreateInput["attach"]): Body | EngineError {
  const { flags, given, args } = call;
  const [image = "", ...rest] = args;
  try {
    if (!["missing", "always", "never"].includes(flags.pull))
      throw invalid(`invalid pull option: '${flags.pull}': must be one of "always", "missing" or "never"`);
    if (!flags["disable-content-trust"]) throw invalid("image verification (content trust) is not supported");
    if (flags.replace && flags.name === "") throw invalid("--replace needs the --name of what is to be replaced");
    return createBody({ flags, given, image, command: rest, attach }, io);
  } catch (err) {
    return new EngineError("invalid", messageOf(err), { cause: err });
  }
}

export interface Created {
  readonly id: string;
  /** The id of the container that had its name, with --replace. */
  readonly replaced?: string;
}

/** Creates it, pulling the image first where that is asked for or it is missing. */
export async function createContainer(
  { flags, args, client }: Call<ContainerFlags>,
  io: CliIo,
  body: Body,
): Promise<Created> {
  const [image = ""] = args;
  const cidfile = flags.cidfile && resolve(io.cwd, flags.cidfile);
  if (cidfile && existsSync(cidfile))
    throw new EngineError(
      "conflict",
      `container ID file found, make sure the other container isn't running or delete ${flags.cidfile}`,
    );
  const send = (name: string) => {
    const query = { name: name || undefined, platform: flags.platform || undefined };
    return client.json<ContainerCreateAnswer>({ method: "POST", path: "/containers/create", query, body });
  };
  const pull = () => pullImage(client, image, { io, quiet: flags.quiet, platform: flags.platform, to: io.stderr });
  if (flags.pull === "always") await pull();
  const make = (name: string) =>
    send(name).catch(async (err) => {
      if (flags.pull === "never" || !isKind(err, "not-found") || !lacks(messageOf(err), { image, flags })) throw err;
      if (!flags.quiet) await tell(io, `Unable to find image '${taggedName(image)}' locally\n`);
      await pull();
      return send(name);
    });
  const made: Replacement = flags.replace
    ? await replacing(client, flags.name, make)
    : { answer: await make(flags.name) };
  const { answer, replaced } = made;
  if (flags["kernel-memory"] > 0)
    await tell(io, "WARNING: --kernel-memory has no effect: kernels have no such limit\n");
  for (const warning of answer.Warnings ?? []) await tell(io, `WARNING: ${warning}\n`);
  if (cidfile) writeFileSync(cidfile, answer.Id, { flag: "wx" });
  return { id: answer.Id, ...(replaced !== undefined && { replaced }) };
}

/** Whether it is the container's image that is missing, not one that is to be mounted, which nobody has asked to pull. */
function lacks(message: string, { image, flags }: { image: string; flags: Call<ContainerFlags>["flags"] }): boolean {
  const missing = /no such image: (\S+)/i.exec(message)?.[1];
  const mounted = flags.mount.filter(({ Type }) => Type === "image").map(({ Source = "" }) => taggedName(Source));
  return /no such image/i.test(message) && (missing === taggedName(image) || !mounted.includes(missing ?? ""));
}

function taggedName(image: string): string {
  return /@|:[^/]*$/.test(image) ? image : `${image}:latest`;
}
