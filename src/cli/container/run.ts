import { EngineError, messageOf } from "../../errors/mod.ts";
import { bool, text, type Values } from "../../flags/mod.ts";
import type { WaitAnswer } from "../../wire/mod.ts";
import { type Call, command } from "../command.ts";
import { type CliIo, print, tell } from "../io.ts";
import { runAttached } from "../session/attached.ts";
import { detachKeys } from "../session/detach.ts";
import { attachedStreams, createContainer, prepare } from "./create.ts";
import type { CreateInput } from "./create-body.ts";
import { containerFlags } from "./flags.ts";
import { containerPath } from "./path.ts";
import { waitFlags } from "./ready/goal.ts";
import { untilReady } from "./ready/ready.ts";
import { toldBeforeRunning, toldNotStarted } from "./status.ts";

const runFlags = {
  ...containerFlags,
  detach: bool("Run container in background and print container ID", { short: "d" }),
  "detach-keys": text("Override the key sequence for detaching a container"),
  ...waitFlags,
  "sig-proxy": bool("Proxy received signals to the process", { initial: true }),
};

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
  async run(call, io) {
    const { flags, words } = call;
    const attach = streamsOf(flags);
    if (flags.tty && attach.stdin && !io.stdin.isTTY) throw new EngineError("invalid", "the input device is not a TTY");
    const keys = await detachKeys(flags["detach-keys"], io);
    const body = prepare(call, io, attach);
    if (body instanceof EngineError) return toldBeforeRunning(io, words, body);
    let replaced: string | undefined;
    try {
      const made = await createContainer(call, io, body);
      replaced = made.replaced;
      const { id } = made;
      return await (flags.detach ? startDetached(call, io, id) : runForeground(call, io, { id, attach, keys }));
    } catch (err) {
      const gone =
        replaced && `The container that was called ${flags.name} before (${replaced.slice(0, 12)}) is gone.\n`;
      if (gone) await tell(io, gone);
      return toldNotStarted(io, words, err);
    }
  },
});

type RunCall = Call<typeof runFlags>;

function streamsOf(flags: Values<typeof runFlags>): CreateInput["attach"] {
  const attach = attachedStreams(flags);
  if (!flags.detach && flags.wait.length > 0) throw new EngineError("invalid", "--wait needs --detach");
  if (!flags.detach) return attach;
  if (flags.attach.length > 0)
    throw new EngineError("invalid", "conflicting options: cannot specify both --attach and --detach");
  return { stdin: false, stdout: false, stderr: false };
}

/** The id is told before the wait, since the container is there whatever becomes of it. */
async function startDetached({ client, flags }: RunCall, io: CliIo, id: string): Promise<number> {
  await client.status({ method: "POST", path: containerPath(id, "/start") });
  await print(io, `${id}\n`);
  const waiting = { name: flags.name || id.slice(0, 12), goals: flags.wait, timeout: flags["wait-timeout"] / 1e6 };
  try {
    await untilReady(waiting, { io, client });
    return 0;
  } catch (err) {
    await tell(io, `berth: ${messageOf(err)}\n`);
    return 1;
  }
}

interface Foreground {
  readonly id: string;
  readonly attach: CreateInput["attach"];
  readonly keys: string;
}

function runForeground({ client, flags }: RunCall, io: CliIo, { id, attach, keys }: Foreground): Promise<number> {
  const start = () => client.status({ method: "POST", path: containerPath(id, "/start") });
  const begin = flags.rm ? () => start().catch((err) => afterRemoval(client, id, err)) : start;
  const until = flags.rm ? "removed" : "next-exit";
  return runAttached(
    { id, tty: flags.tty, streams: attach, keys, sigProxy: flags["sig-proxy"], until, begin },
    { io, client },
  );
}

/** Milliseconds; far more than a removal takes. */
const removalTimeout = 10_000;

/** The engine removes a `--rm` container that could not start; when this program ends it is gone. */
async function afterRemoval(client: RunCall["client"], id: string, err: unknown): Promise<never> {
  const signal = AbortSignal.timeout(removalTimeout);
  const wait = { method: "POST", path: containerPath(id, "/wait"), query: { condition: "removed" }, signal } as const;
  await client.json<WaitAnswer>(wait).catch(() => undefined); // gone already, or not before the time is up
  throw err;
}
