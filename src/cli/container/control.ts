import { EngineError } from "../../errors/mod.ts";
import { bool, integer, list, text } from "../../flags/mod.ts";
import type { ContainerInspect, FilesystemChange, TopAnswer } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { print, write } from "../io.ts";
import { renderList } from "../output/table.ts";
import { binarySize } from "../output/units.ts";
import { confirm, each, filtersOf } from "../session/each.ts";
import { inspectAll } from "../session/inspect.ts";
import { restartPolicy } from "./create-body.ts";
import { bytesOf, nanoCpus } from "./values.ts";

/** Commands that ask the engine to do one thing to each container named. */

const at = (name: string, rest = "") => `/containers/${encodeURIComponent(name)}${rest}`;
const stopFlags = {
  signal: text("Signal to send to the container", { short: "s" }),
  timeout: integer("Seconds to wait before killing the container (-1 waits for ever)", { short: "t" }),
  time: integer("The same as --timeout"),
};

export const stop = command({
  name: "stop",
  summary: "Stop one or more running containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth stop web", "berth stop -t 30 db"],
  flags: stopFlags,
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const query = { signal: flags.signal || undefined, t: flags.timeout ?? flags.time };
    return each(io, args, (name) => client.status({ method: "POST", path: at(name, "/stop"), query }).then(() => name));
  },
});

export const restart = command({
  name: "restart",
  summary: "Restart one or more containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth restart web"],
  flags: stopFlags,
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const query = { signal: flags.signal || undefined, t: flags.timeout ?? flags.time };
    return each(io, args, (name) =>
      client.status({ method: "POST", path: at(name, "/restart"), query }).then(() => name),
    );
  },
});

export const kill = command({
  name: "kill",
  summary: "Kill one or more running containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth kill web", "berth kill -s HUP web"],
  flags: { signal: text("Signal to send to the container", { short: "s", initial: "KILL" }) },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    return each(io, args, (name) =>
      client.status({ method: "POST", path: at(name, "/kill"), query: { signal: flags.signal } }).then(() => name),
    );
  },
});

const plain = (name: string, summary: string) =>
  command({
    name,
    summary,
    usage: "CONTAINER [CONTAINER...]",
    examples: [`berth ${name} web`],
    flags: {},
    args: { min: 1 },
    run: ({ args, client }, io) =>
      each(io, args, (one) => client.status({ method: "POST", path: at(one, `/${name}`) }).then(() => one)),
  });

export const pause = plain("pause", "Pause all processes within one or more containers");
export const unpause = plain("unpause", "Unpause all processes within one or more containers");

export const rm = command({
  name: "rm",
  summary: "Remove one or more containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth rm web", "berth rm -f $(berth ps -aq)"],
  flags: {
    force: bool("Force the removal of a running container (uses SIGKILL)", { short: "f" }),
    link: bool("Remove the specified link", { short: "l" }),
    volumes: bool("Remove anonymous volumes associated with the container", { short: "v" }),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const query = { force: flags.force, v: flags.volumes, link: flags.link };
    return each(io, args, async (name) => {
      const removed = client.status({ method: "DELETE", path: at(name), query });
      // `rm -f` is what clean-up scripts call: that it is not there is what they want.
      await removed.catch((err) => {
        if (!(flags.force && err instanceof EngineError && err.kind === "not-found")) throw err;
        return write(io.stderr, `berth: ${err.message}\n`);
      });
      return name;
    });
  },
});

export const rename = command({
  name: "rename",
  summary: "Rename a container",
  usage: "CONTAINER NEW_NAME",
  examples: ["berth rename web old-web"],
  flags: {},
  args: { min: 2, max: 2 },
  run: ({ args: [name = "", next = ""], client }) =>
    client.status({ method: "POST", path: at(name, "/rename"), query: { name: next } }).then(() => 0),
});

export const update = command({
  name: "update",
  summary: "Update configuration of one or more containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth update --memory 512m --cpus 0.5 db"],
  flags: {
    "blkio-weight": integer("Block IO weight (10 to 1000)"),
    "cpu-period": integer("Length of a CPU period in microseconds"),
    "cpu-quota": integer("CPU time in microseconds per period"),
    "cpu-shares": integer("CPU shares (relative weight)", { short: "c" }),
    cpus: text("Number of CPUs"),
    "cpuset-cpus": text("CPUs in which to allow execution (0-3, 0,1)"),
    "cpuset-mems": text("Memory nodes in which to allow execution (0-3, 0,1)"),
    memory: text("Memory limit", { short: "m", placeholder: "bytes" }),
    "memory-reservation": text("Memory soft limit", { placeholder: "bytes" }),
    "memory-swap": text("Memory plus swap; -1 for unlimited swap", { placeholder: "bytes" }),
    "pids-limit": integer("Tune container pids limit (-1 for unlimited)"),
    restart: text("Restart policy to apply when a container exits"),
  },
  args: { min: 1 },
  async run({ flags, given, args, client }, io) {
    if (given.size === 0)
      throw new EngineError("invalid", "you must provide one or more flags when using this command");
    const body = {
      BlkioWeight: flags["blkio-weight"] ?? 0,
      CpuPeriod: flags["cpu-period"] ?? 0,
      CpuQuota: flags["cpu-quota"] ?? 0,
      CpuShares: flags["cpu-shares"] ?? 0,
      NanoCpus: nanoCpus(flags.cpus),
      CpusetCpus: flags["cpuset-cpus"],
      CpusetMems: flags["cpuset-mems"],
      Memory: bytesOf("memory", flags.memory),
      MemoryReservation: bytesOf("memory-reservation", flags["memory-reservation"]),
      MemorySwap: bytesOf("memory-swap", flags["memory-swap"]),
      ...(flags["pids-limit"] !== undefined && { PidsLimit: flags["pids-limit"] }),
      ...(flags.restart && { RestartPolicy: restartPolicy(flags.restart) }),
    };
    return each(io, args, async (name) => {
      const { Warnings } = await client.json<{ Warnings?: string[] }>({
        method: "POST",
        path: at(name, "/update"),
        body,
      });
      for (const warning of Warnings ?? []) await write(io.stderr, `WARNING: ${warning}\n`);
      return name;
    });
  },
});

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth container inspect -f '{{.State.Status}}' web"],
  flags: {
    format: text("Format output using a Go template", { short: "f" }),
    size: bool("Display total file sizes", { short: "s" }),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    return inspectAll(io, args, {
      format: flags.format,
      get: (name) => client.json({ method: "GET", path: at(name, "/json"), query: { size: flags.size } }),
    });
  },
});

const changeLetters = ["C", "A", "D"] as const;

export const diff = command({
  name: "diff",
  summary: "Inspect changes to files or directories on a container's filesystem",
  usage: "CONTAINER",
  examples: ["berth diff web"],
  flags: {},
  args: { min: 1, max: 1 },
  async run({ args: [name = ""], client }, io) {
    const changes = await client.json<FilesystemChange[] | null>({ method: "GET", path: at(name, "/changes") });
    await print(io, (changes ?? []).map(({ Kind, Path }) => `${changeLetters[Kind]} ${Path}\n`).join(""));
    return 0;
  },
});

export const top = command({
  name: "top",
  summary: "Display the running processes of a container",
  usage: "CONTAINER [ps OPTIONS]",
  examples: ["berth top web", "berth top web -eo pid,comm"],
  flags: {},
  args: { min: 1 },
  interspersed: false,
  async run({ args: [name = "", ...options], client }, io) {
    const query = { ps_args: options.join(" ") || undefined };
    const { Titles, Processes } = await client.json<TopAnswer>({ method: "GET", path: at(name, "/top"), query });
    const columns = Titles.map((title, index) => ({
      name: title,
      heading: title,
      value: (row: readonly string[]) => row[index] ?? "",
    }));
    await print(io, renderList(Processes, { columns, shown: Titles, format: "" }));
    return 0;
  },
});

export const port = command({
  name: "port",
  summary: "List port mappings or a specific mapping for the container",
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  examples: ["berth port web", "berth port web 80"],
  flags: {},
  args: { min: 1, max: 2 },
  async run({ args: [name = "", wanted], client }, io) {
    const { NetworkSettings } = await client.json<ContainerInspect>({ method: "GET", path: at(name, "/json") });
    const key = wanted === undefined || wanted.includes("/") ? wanted : `${wanted}/tcp`;
    const text = (ip: string, host: string) => `${ip.includes(":") ? `[${ip}]` : ip}:${host}`;
    if (key !== undefined) {
      const bindings = NetworkSettings.Ports[key];
      if (!bindings?.length) throw new EngineError("not-found", `no public port '${wanted}' published for ${name}`);
      await print(io, bindings.map(({ HostIp, HostPort }) => `${text(HostIp, HostPort)}\n`).join(""));
      return 0;
    }
    const lines = Object.entries(NetworkSettings.Ports).flatMap(([inside, bindings]) =>
      (bindings ?? []).map(({ HostIp, HostPort }) => `${inside} -> ${text(HostIp, HostPort)}\n`),
    );
    await print(io, lines.sort().join(""));
    return 0;
  },
});

export const commit = command({
  name: "commit",
  summary: "Create a new image from a container's changes",
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  examples: ["berth commit -c 'CMD [\"sh\"]' web web:saved"],
  flags: {
    author: text('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', { short: "a" }),
    change: list("Apply Dockerfile instruction to the created image", { short: "c" }),
    message: text("Commit message", { short: "m" }),
    pause: bool("Pause container during commit", { short: "p", initial: true }),
  },
  args: { min: 1, max: 2 },
  async run({ flags, args: [container = "", target = ""], client }, io) {
    const colon = target.lastIndexOf(":");
    const tagged = colon > target.lastIndexOf("/");
    const query = {
      container,
      repo: tagged ? target.slice(0, colon) : target,
      tag: tagged ? target.slice(colon + 1) : undefined,
      author: flags.author || undefined,
      comment: flags.message || undefined,
      changes: flags.change,
      pause: flags.pause,
    };
    const { Id } = await client.json<{ Id: string }>({ method: "POST", path: "/commit", query, body: {} });
    await print(io, `${Id}\n`);
    return 0;
  },
});

export const prune = command({
  name: "prune",
  summary: "Remove all stopped containers",
  usage: "[OPTIONS]",
  examples: ["berth container prune -f"],
  flags: {
    filter: list('Provide filter values (e.g. "until=<timestamp>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    if (!flags.force) await confirm(io, "WARNING! This will remove all stopped containers.");
    const answer = await client.json<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }>({
      method: "POST",
      path: "/containers/prune",
      query: { filters: filtersOf(flags.filter) },
    });
    const deleted = answer.ContainersDeleted ?? [];
    if (deleted.length > 0) await print(io, `Deleted Containers:\n${deleted.join("\n")}\n\n`);
    await print(io, `Total reclaimed space: ${binarySize(answer.SpaceReclaimed)}\n`);
    return 0;
  },
});
