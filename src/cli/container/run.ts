import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Client } from "../../client/mod.ts";
import { EngineError, isKind } from "../../errors/mod.ts";
import { bool, text } from "../../flags/mod.ts";
import type { ContainerCreateAnswer, WaitAnswer } from "../../wire/mod.ts";
import { type Call, command } from "../command.ts";
import { type CliIo, print, write } from "../io.ts";
import { pullImage } from "../session/pull.ts";
import { runStreams } from "../session/streams.ts";
import { followSize, proxySignals } from "../session/terminal.ts";
import { type CreateInput, createBody } from "./create-body.ts";
import { type ContainerFlags, containerFlags } from "./flags.ts";

const runFlags = {
  ...containerFlags,
  detach: bool("Run container in background and print container ID", { short: "d" }),
  "detach-keys": text("Override the key sequence for detaching a container"),
  "sig-proxy": bool("Proxy received signals to the process", { initial: true }),
};

export const create = command({
  name: "create",
  summary: "Create a new container",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  examples: ["berth create --name web -p 8080:80 nginx"],
  flags: containerFlags,
  args: { min: 1 },
  interspersed: false,
  async run(call, io) {
    const attach = { stdin: call.flags.interactive, stdout: true, stderr: true };
    await print(io, `${await createContainer(call, { attach, io })}\n`);
    return 0;
  },
});

export const run = command({
  name: "run",
  summary: "Create and run a new container from an image",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  examples: [
    "berth run --rm -p 8080:80 nginx",
    "berth run -it --rm debian:bookworm bash",
    "berth run -d --name db -e POSTGRES_PASSWORD=secret -v data:/var/lib/postgresql/data postgres",
  ],
  flags: runFlags,
  args: { min: 1 },
  interspersed: false,
  failureStatus: 125,
  async run(call, io) {
    const attach = attachOf(call);
    if (call.flags.tty && attach.stdin && !io.stdin.isTTY)
      throw new EngineError("invalid", "the input device is not a TTY");
    const id = await createContainer(call, { attach, io });
    if (call.flags.detach) {
      await call.client.status({ method: "POST", path: `/containers/${id}/start` });
      await print(io, `${id}\n`);
      return 0;
    }
    return runAttached(call, { id, attach, io });
  },
});

interface Foreground {
  readonly id: string;
  readonly attach: CreateInput["attach"];
  readonly io: CliIo;
}

/** Attached and waiting before it starts, so that neither the first byte nor the exit can be missed. */
async function runAttached({ client, flags }: Call<typeof runFlags>, { id, attach, io }: Foreground): Promise<number> {
  const stream = await client.hijack({
    method: "POST",
    path: `/containers/${id}/attach`,
    query: { stream: true, ...attach, detachKeys: flags["detach-keys"] || undefined },
  });
  const waited = client.json<WaitAnswer>({
    method: "POST",
    path: `/containers/${id}/wait`,
    query: { condition: flags.rm ? "removed" : "next-exit" },
  });
  waited.catch(() => undefined); // a start that fails is what the user is told about
  const stopProxy = flags["sig-proxy"] && !flags.tty ? proxySignals(io, client, id) : () => undefined;
  try {
    await start(client, id, stream.socket);
    const stopSize = flags.tty && io.stdout.isTTY ? followSize(io, client, `/containers/${id}`) : () => undefined;
    await runStreams(stream, { io, stdin: attach.stdin, tty: flags.tty });
    stopSize();
    return await exitStatus(waited, { client, id });
  } finally {
    stopProxy();
    stream.socket.destroy();
  }
}

async function start(client: Client, id: string, socket: { destroy(): unknown }): Promise<void> {
  try {
    await client.status({ method: "POST", path: `/containers/${id}/start` });
  } catch (err) {
    socket.destroy();
    throw err;
  }
}

/** The stream also ends when the user detaches: then the container still runs, and that is no failure. */
async function exitStatus(
  waited: Promise<WaitAnswer>,
  { client, id }: { client: Client; id: string },
): Promise<number> {
  const running = client.json<{ State: { Running: boolean } }>({ method: "GET", path: `/containers/${id}/json` }).then(
    ({ State }) => State.Running,
    () => false, // --rm has removed it already
  );
  const detached = Promise.race([running, waited.then(() => false)]);
  if (await detached) return 0;
  const answer = await waited;
  if (answer.Error) throw new EngineError("internal", answer.Error.Message);
  return answer.StatusCode;
}

function attachOf({ flags }: Call<typeof runFlags>): CreateInput["attach"] {
  if (flags.detach) {
    if (flags.attach.length > 0) throw new EngineError("invalid", "conflicting options: -a and -d");
    return { stdin: false, stdout: false, stderr: false };
  }
  const chosen = new Set(flags.attach.map((one) => one.toLowerCase()));
  for (const one of chosen)
    if (!["stdin", "stdout", "stderr"].includes(one))
      throw new EngineError("invalid", `invalid stream ${JSON.stringify(one)}: STDIN, STDOUT or STDERR is expected`);
  if (chosen.size === 0) return { stdin: flags.interactive, stdout: true, stderr: true };
  return { stdin: chosen.has("stdin"), stdout: chosen.has("stdout"), stderr: chosen.has("stderr") };
}

interface Creation {
  readonly attach: CreateInput["attach"];
  readonly io: CliIo;
}

/** Creates it, pulling the image first where that is asked for or it is missing; returns the id. */
async function createContainer(call: Call<ContainerFlags>, { attach, io }: Creation): Promise<string> {
  const { flags, client } = call;
  const [image = "", ...rest] = call.args;
  const body = createBody({ flags, given: call.given, image, command: rest, attach }, io);
  const send = () =>
    client.json<ContainerCreateAnswer>({
      method: "POST",
      path: "/containers/create",
      query: { name: flags.name || undefined, platform: flags.platform || undefined },
      body,
    });
  const pull = () => pullImage(client, image, { io, quiet: flags.quiet, platform: flags.platform, to: io.stderr });
  if (flags.pull === "always") await pull();
  const answer = await send().catch(async (err) => {
    if (!isKind(err, "not-found") || flags.pull === "never" || !/no such image/i.test(String(err))) throw err;
    await write(io.stderr, `Unable to find image '${image}' locally\n`);
    await pull();
    return send();
  });
  for (const warning of answer.Warnings ?? []) await write(io.stderr, `WARNING: ${warning}\n`);
  if (flags.cidfile) writeFileSync(resolve(io.cwd, flags.cidfile), answer.Id, { flag: "wx" });
  return answer.Id;
}
