import { resolve } from "node:path";
import type { Client } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { bool, list, listOf, text, type Values } from "../../flags/mod.ts";
import type { ExecInspect } from "../../wire/mod.ts";
import { command } from "../command.ts";
import type { CliIo } from "../io.ts";
import { detachKeys } from "../session/detach.ts";
import { runStreams } from "../session/streams.ts";
import { followSize, sizeOf } from "../session/terminal.ts";
import { containerPath } from "./path.ts";
import { environment, environmentFile, parseEnvironment } from "./values.ts";

const execFlags = {
  detach: bool("Detached mode: run command in the background", { short: "d" }),
  "detach-keys": text("Override the key sequence for detaching a container"),
  env: listOf("Set environment variables", { short: "e", placeholder: "NAME[=VALUE]", parse: parseEnvironment }),
  "env-file": list("Read in a file of environment variables", { placeholder: "FILE" }),
  interactive: bool("Keep STDIN open even if not attached", { short: "i" }),
  privileged: bool("Give extended privileges to the command"),
  tty: bool("Allocate a pseudo-TTY", { short: "t" }),
  user: text("Username or UID (format: <name|uid>[:<group|gid>])", { short: "u" }),
  workdir: text("Working directory inside the container", { short: "w" }),
};
type Flags = Values<typeof execFlags>;

export const exec = command({
  name: "exec",
  summary: "Execute a command in a running container",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  examples: ["berth exec -it web sh", "berth exec -u postgres db psql -c 'select 1'"],
  flags: execFlags,
  args: { min: 2 },
  interspersed: false,
  async run({ flags, args: [name = "", ...Cmd], client }, io) {
    const keys = await detachKeys(flags["detach-keys"], io);
    if (flags.tty && flags.interactive && !flags.detach && !io.stdin.isTTY)
      throw new EngineError("invalid", "the input device is not a TTY");
    const body = { ...execBody(flags, io), DetachKeys: keys, Cmd };
    const { Id } = await client.json<{ Id: string }>({ method: "POST", path: containerPath(name, "/exec"), body });
    const started = { Detach: flags.detach, Tty: flags.tty, ...consoleSize(flags, io) };
    const start = { method: "POST", path: `/exec/${Id}/start`, body: started } as const;
    if (flags.detach) return client.status(start).then(() => 0);
    const stream = await client.hijack(start);
    const stopSize = flags.tty && io.stdout.isTTY ? followSize(io, client, `/exec/${Id}`) : () => undefined;
    const ending = await runStreams(stream, { io, stdin: flags.interactive, tty: flags.tty, keys }).finally(stopSize);
    return ending === "detached" ? 0 : exitCode(client, Id);
  },
});

function execBody(flags: Flags, io: CliIo): Record<string, unknown> {
  const files = flags["env-file"].flatMap((path) => environmentFile(resolve(io.cwd, path), io.env));
  return {
    AttachStdin: flags.interactive && !flags.detach,
    AttachStdout: !flags.detach,
    AttachStderr: !flags.detach,
    Tty: flags.tty,
    Env: [...files, ...environment(flags.env, io.env)],
    Privileged: flags.privileged,
    User: flags.user,
    WorkingDir: flags.workdir,
    ...consoleSize(flags, io),
  };
}

function consoleSize(flags: Flags, io: CliIo): { readonly ConsoleSize?: readonly [number, number] } {
  const size = flags.tty ? sizeOf(io) : undefined;
  return size ? { ConsoleSize: [size.rows, size.columns] } : {};
}

async function exitCode(client: Client, id: string): Promise<number> {
  const { ExitCode } = await client.json<ExecInspect>({ method: "GET", path: `/exec/${id}/json` });
  return ExitCode ?? 0;
}
