import type { Client } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { bool, text } from "../../flags/mod.ts";
import type { ContainerInspect } from "../../wire/mod.ts";
import { command } from "../command.ts";
import type { CliIo } from "../io.ts";
import { type Attachment, runAttached } from "../session/attached.ts";
import { detachKeys } from "../session/detach.ts";
import { each } from "../session/each.ts";
import { containerPath } from "./path.ts";
import { waitFlags } from "./ready/goal.ts";
import { endOfLog } from "./ready/log-lines.ts";
import { untilReady, type Waiting } from "./ready/ready.ts";

const keysFlag = text("Override the key sequence for detaching a container");

export const attach = command({
  name: "attach",
  summary: "Attach local standard input, output, and error streams to a running container",
  usage: "[OPTIONS] CONTAINER",
  examples: ["berth attach --no-stdin web"],
  flags: {
    "detach-keys": keysFlag,
    "no-stdin": bool("Do not attach STDIN"),
    "sig-proxy": bool("Proxy all received signals to the process", { initial: true }),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const container = await client.json<ContainerInspect>({ method: "GET", path: containerPath(name, "/json") });
    const { State, Config } = container;
    if (!State.Running) throw new EngineError("conflict", "You cannot attach to a stopped container, start it first");
    if (State.Paused) throw new EngineError("conflict", "You cannot attach to a paused container, unpause it first");
    if (State.Restarting)
      throw new EngineError("conflict", "You cannot attach to a restarting container, wait until it is running");
    const stdin = Config.OpenStdin && !flags["no-stdin"];
    if (Config.Tty && stdin && !io.stdin.isTTY) throw new EngineError("invalid", "the input device is not a TTY");
    const keys = await detachKeys(flags["detach-keys"], io);
    return runAttached(
      {
        ...attachmentOf(container, { stdin, keys }),
        sigProxy: flags["sig-proxy"] && !Config.Tty,
        until: "not-running",
      },
      { io, client },
    );
  },
});

export const start = command({
  name: "start",
  summary: "Start one or more stopped containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth start web", "berth start -ai shell"],
  flags: {
    attach: bool("Attach STDOUT/STDERR and forward signals", { short: "a" }),
    "detach-keys": keysFlag,
    interactive: bool("Attach container's STDIN", { short: "i" }),
    ...waitFlags,
  },
  args: { min: 1 },
  async run({ flags, args, client }, io) {
    const begin = (name: string) => client.status({ method: "POST", path: containerPath(name, "/start") });
    const { wait: goals, "wait-timeout": limit } = flags;
    if (!flags.attach && !flags.interactive) {
      if (goals.length === 0) return each(io, args, (name) => begin(name).then(() => name));
      return each(io, args, (name) => startAndWait(name, { goals, timeout: limit / 1e6 }, { io, client }));
    }
    if (goals.length > 0) throw new EngineError("invalid", "--wait goes with neither --attach nor --interactive");
    const [name = "", more] = args;
    if (more !== undefined) throw new EngineError("invalid", "you cannot start and attach multiple containers at once");
    const container = await client.json<ContainerInspect>({ method: "GET", path: containerPath(name, "/json") });
    const { Id, Config, HostConfig } = container;
    const stdin = Config.OpenStdin && flags.interactive;
    const keys = await detachKeys(flags["detach-keys"], io);
    const until = HostConfig.AutoRemove ? "removed" : "next-exit";
    const attachment = { ...attachmentOf(container, { stdin, keys }), sigProxy: !Config.Tty, until } as const;
    return runAttached({ ...attachment, begin: () => begin(Id) }, { io, client });
  },
});

/** Lines of the log count from where the earlier process has ended. */
async function startAndWait(
  name: string,
  waiting: Pick<Waiting, "goals" | "timeout">,
  engine: { readonly io: CliIo; readonly client: Client },
): Promise<string> {
  const path = containerPath(name, "/json");
  const { client } = engine;
  const { State, Config } = await client.json<ContainerInspect>({ method: "GET", path });
  const looks = waiting.goals.some((goal) => goal.kind === "log") && !State.Running;
  const { signal } = new AbortController();
  const since = looks ? await endOfLog({ client, name, signal }, Config.Tty) : undefined;
  await client.status({ method: "POST", path: containerPath(name, "/start") });
  await untilReady({ ...waiting, name, ...(since !== undefined && { since }) }, engine);
  return name;
}

interface Input {
  readonly stdin: boolean;
  readonly keys: string;
}

function attachmentOf(
  { Id, Config }: ContainerInspect,
  { stdin, keys }: Input,
): Pick<Attachment, "id" | "tty" | "streams" | "keys"> {
  return { id: Id, tty: Config.Tty, streams: { stdin, stdout: true, stderr: true }, keys };
}
