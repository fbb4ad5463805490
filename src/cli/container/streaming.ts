import { EngineError } from "../../errors/mod.ts";
import { bool, list, text } from "../../flags/mod.ts";
import type { ContainerInspect, ExecInspect, WaitAnswer } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { type CliIo, write } from "../io.ts";
import { each } from "../session/each.ts";
import { demultiplex, runStreams } from "../session/streams.ts";
import { followSize, proxySignals, sizeOf } from "../session/terminal.ts";
import { environment, linesOf } from "./values.ts";

const detachKeys = text("Override the key sequence for detaching a container");
const sigProxy = bool("Proxy all received signals to the process", { initial: true });

export const exec = command({
  name: "exec",
  summary: "Execute a command in a running container",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  examples: ["berth exec -it web sh", "berth exec -u postgres db psql -c 'select 1'"],
  flags: {
    detach: bool("Detached mode: run command in the background", { short: "d" }),
    "detach-keys": detachKeys,
    env: list("Set environment variables", { short: "e" }),
    "env-file": list("Read in a file of environment variables"),
    interactive: bool("Keep STDIN open even if not attached", { short: "i" }),
    privileged: bool("Give extended privileges to the command"),
    tty: bool("Allocate a pseudo-TTY", { short: "t" }),
    user: text("Username or UID (format: <name|uid>[:<group|gid>])", { short: "u" }),
    workdir: text("Working directory inside the container", { short: "w" }),
  },
  args: { min: 2 },
  interspersed: false,
  async run({ flags, args, client }, io) {
    if (flags.tty && flags.interactive && !flags.detach && !io.stdin.isTTY)
      throw new EngineError("invalid", "the input device is not a TTY");
    const [name = "", ...Cmd] = args;
    const size = flags.tty ? sizeOf(io) : undefined;
    const console = size ? { ConsoleSize: [size.rows, size.columns] } : {};
    const body = {
      AttachStdin: flags.interactive && !flags.detach,
      AttachStdout: !flags.detach,
      AttachStderr: !flags.detach,
      DetachKeys: flags["detach-keys"],
      Tty: flags.tty,
      Env: environment([...flags["env-file"].flatMap((path) => linesOf("env-file", path)), ...flags.env], io.env),
      Cmd,
      Privileged: flags.privileged,
      User: flags.user,
      WorkingDir: flags.workdir,
      ...console,
    };
    const { Id } = await client.json<{ Id: string }>({
      method: "POST",
      path: `/containers/${encodeURIComponent(name)}/exec`,
      body,
    });
    const start = {
      method: "POST",
      path: `/exec/${Id}/start`,
      body: { Detach: flags.detach, Tty: flags.tty, ...console },
    } as const;
    if (flags.detach) return client.status(start).then(() => 0);
    const stream = await client.hijack(start);
    const stopSize = flags.tty && io.stdout.isTTY ? followSize(io, client, `/exec/${Id}`) : () => undefined;
    await runStreams(stream, { io, stdin: flags.interactive, tty: flags.tty });
    stopSize();
    const { ExitCode } = await client.json<ExecInspect>({ method: "GET", path: `/exec/${Id}/json` });
    return ExitCode ?? 0;
  },
});

export const attach = command({
  name: "attach",
  summary: "Attach local standard input, output, and error streams to a running container",
  usage: "[OPTIONS] CONTAINER",
  examples: ["berth attach --no-stdin web"],
  flags: { "detach-keys": detachKeys, "no-stdin": bool("Do not attach STDIN"), "sig-proxy": sigProxy },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const path = `/containers/${encodeURIComponent(name)}`;
    const { Id, Config, State } = await client.json<ContainerInspect>({ method: "GET", path: `${path}/json` });
    if (!State.Running) throw new EngineError("conflict", "You cannot attach to a stopped container, start it first");
    if (State.Paused) throw new EngineError("conflict", "You cannot attach to a paused container, unpause it first");
    return attachTo(
      {
        id: Id,
        tty: Config.Tty,
        stdin: Config.OpenStdin && !flags["no-stdin"],
        sigProxy: flags["sig-proxy"],
        keys: flags["detach-keys"],
      },
      { io, client },
    );
  },
});

interface AttachRequest {
  readonly id: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly sigProxy: boolean;
  readonly keys: string;
  /** Done once connected, so that a start cannot be missed. */
  readonly connected?: () => Promise<unknown>;
}

async function attachTo(
  request: AttachRequest,
  { io, client }: { io: CliIo; client: Parameters<typeof followSize>[1] },
): Promise<number> {
  const { id, tty, stdin } = request;
  const path = `/containers/${id}`;
  const query = { stream: true, stdin, stdout: true, stderr: true, detachKeys: request.keys || undefined };
  const stream = await client.hijack({ method: "POST", path: `${path}/attach`, query });
  const waited = client.json<WaitAnswer>({
    method: "POST",
    path: `${path}/wait`,
    query: { condition: request.connected ? "next-exit" : "not-running" },
  });
  waited.catch(() => undefined); // only asked for once the stream has ended
  await request.connected?.();
  const stopProxy = request.sigProxy && !tty ? proxySignals(io, client, id) : () => undefined;
  const stopSize = tty && io.stdout.isTTY ? followSize(io, client, path) : () => undefined;
  await runStreams(stream, { io, stdin, tty });
  stopProxy();
  stopSize();
  const running = client.json<ContainerInspect>({ method: "GET", path: `${path}/json` }).then(
    ({ State }) => State.Running,
    () => false,
  );
  if (await Promise.race([running, waited.then(() => false)])) return 0;
  return (await waited).StatusCode;
}

export const start = command({
  name: "start",
  summary: "Start one or more stopped containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth start web", "berth start -ai shell"],
  flags: {
    attach: bool("Attach STDOUT/STDERR and forward signals", { short: "a" }),
    "detach-keys": detachKeys,
    interactive: bool("Attach container's STDIN", { short: "i" }),
  },
  args: { min: 1 },
  async run({ flags, args, client }, io) {
    const begin = (name: string) =>
      client.status({ method: "POST", path: `/containers/${encodeURIComponent(name)}/start` });
    if (!flags.attach && !flags.interactive) return each(io, args, (name) => begin(name).then(() => name));
    const [name = "", more] = args;
    if (more !== undefined) throw new EngineError("invalid", "you cannot start and attach multiple containers at once");
    const { Id, Config } = await client.json<ContainerInspect>({
      method: "GET",
      path: `/containers/${encodeURIComponent(name)}/json`,
    });
    const request = {
      id: Id,
      tty: Config.Tty,
      stdin: Config.OpenStdin && flags.interactive,
      sigProxy: true,
      keys: flags["detach-keys"],
    };
    return attachTo({ ...request, connected: () => begin(Id) }, { io, client });
  },
});

export const logs = command({
  name: "logs",
  summary: "Fetch the logs of a container",
  usage: "[OPTIONS] CONTAINER",
  examples: ["berth logs -f --tail 100 web", "berth logs --since 10m --timestamps web"],
  flags: {
    details: bool("Show extra details provided to logs"),
    follow: bool("Follow log output", { short: "f" }),
    since: text("Show logs since a timestamp or relative (42m for 42 minutes)", { placeholder: "TIME" }),
    tail: text("Number of lines to show from the end of the logs", { short: "n", initial: "all", placeholder: "N" }),
    timestamps: bool("Show timestamps", { short: "t" }),
    until: text("Show logs before a timestamp or relative", { placeholder: "TIME" }),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const path = `/containers/${encodeURIComponent(name)}`;
    const { Config } = await client.json<ContainerInspect>({ method: "GET", path: `${path}/json` });
    const { details, follow, tail, timestamps } = flags;
    const query = {
      stdout: true,
      stderr: true,
      details,
      follow,
      tail,
      timestamps,
      since: flags.since || undefined,
      until: flags.until || undefined,
    };
    const { bytes } = await client.stream({ method: "GET", path: `${path}/logs`, query });
    if (!Config.Tty) await demultiplex(bytes, io);
    else for await (const chunk of bytes) await write(io.stdout, chunk);
    return 0;
  },
});

export const wait = command({
  name: "wait",
  summary: "Block until one or more containers stop, then print their exit codes",
  usage: "CONTAINER [CONTAINER...]",
  examples: ["berth wait job"],
  flags: {},
  args: { min: 1 },
  run({ args, client }, io) {
    return each(io, args, async (name) => {
      const answer = await client.json<WaitAnswer>({
        method: "POST",
        path: `/containers/${encodeURIComponent(name)}/wait`,
      });
      return String(answer.StatusCode);
    });
  },
});

export const exportContainer = command({
  name: "export",
  summary: "Export a container's filesystem as a tar archive",
  usage: "[OPTIONS] CONTAINER",
  examples: ["berth export -o web.tar web"],
  flags: { output: text("Write to a file, instead of STDOUT", { short: "o", placeholder: "FILE" }) },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    if (!flags.output && io.stdout.isTTY)
      throw new EngineError("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    const { bytes } = await client.stream({ method: "GET", path: `/containers/${encodeURIComponent(name)}/export` });
    if (!flags.output) for await (const chunk of bytes) await write(io.stdout, chunk);
    else await saveTo(flags.output, bytes);
    return 0;
  },
});

/** Writes a stream to a file. */
export async function saveTo(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = Bun.file(path).writer();
  for await (const chunk of bytes) {
    file.write(chunk);
    await file.flush();
  }
  await file.end();
}
