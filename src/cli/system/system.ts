import { bool, list, text } from "../../flags/mod.ts";
import { commit, version as ownVersion } from "../../version/mod.ts";
import type { EventMessage } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { imagePath } from "../image/manage.ts";
import { print } from "../io.ts";
import { unescapeFormat } from "../output/table.ts";
import { filtersOf } from "../session/each.ts";
import { firstFound, inspectAll } from "../session/inspect.ts";
import { compileTemplate } from "../template/evaluate.ts";

const format = text("Format output: json, or a Go template", { short: "f" });

function formatted(value: unknown, given: string): string {
  return given === "json" ? `${JSON.stringify(value)}\n` : `${compileTemplate(unescapeFormat(given))(value)}\n`;
}

interface ServerVersion {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion: string;
  readonly GitCommit: string;
  readonly Os: string;
  readonly Arch: string;
  readonly KernelVersion: string;
  readonly Components?: readonly { readonly Name: string; readonly Version: string }[];
}

export const version = command({
  name: "version",
  summary: "Show the version of client and daemon",
  usage: "[OPTIONS]",
  examples: ["berth version -f '{{.Server.Version}}'"],
  flags: { format },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const Client = {
      Version: ownVersion,
      ApiVersion: "1.51",
      GitCommit: commit,
      Os: process.platform,
      Arch: process.arch === "x64" ? "amd64" : process.arch,
    };
    const lines = (name: string, rows: readonly (readonly [string, string])[]) =>
      `${name}:\n${rows.map(([key, value]) => ` ${`${key}:`.padEnd(18)}${value}\n`).join("")}`;
    const own = lines("Client", [
      ["Version", Client.Version],
      ["API version", Client.ApiVersion],
      ["Git commit", Client.GitCommit],
      ["OS/Arch", `${Client.Os}/${Client.Arch}`],
    ]);
    if (!flags.format) await print(io, own);
    const Server = await client.json<ServerVersion>({ method: "GET", path: "/version" });
    if (flags.format) return print(io, formatted({ Client, Server }, flags.format)).then(() => 0);
    const components = (Server.Components ?? []).slice(1).map((one) => [one.Name, one.Version] as const);
    const api = `${Server.ApiVersion} (minimum version ${Server.MinAPIVersion})`;
    await print(
      io,
      `\n${lines("Server", [["Version", Server.Version], ["API version", api], ["Git commit", Server.GitCommit], ["OS/Arch", `${Server.Os}/${Server.Arch}`], ["Kernel", Server.KernelVersion], ...components])}`,
    );
    return 0;
  },
});

export const info = command({
  name: "info",
  summary: "Display system-wide information",
  usage: "[OPTIONS]",
  examples: ["berth info -f '{{.CgroupVersion}}'"],
  flags: { format },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const answer = await client.json<Record<string, unknown>>({ method: "GET", path: "/info" });
    if (flags.format) return print(io, formatted(answer, flags.format)).then(() => 0);
    const rows = Object.entries(answer).filter(
      ([, value]) => value !== null && value !== "" && !(Array.isArray(value) && value.length === 0),
    );
    await print(
      io,
      rows
        .map(([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}\n`)
        .join(""),
    );
    return 0;
  },
});

export const events = command({
  name: "events",
  summary: "Get real time events from the server",
  usage: "[OPTIONS]",
  examples: ["berth events --filter type=container --filter event=die"],
  flags: {
    filter: list("Filter output based on conditions provided", { short: "f" }),
    format: text("Format output: json, or a Go template"),
    since: text("Show all events created since timestamp"),
    until: text("Stream events until this timestamp"),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const query = {
      since: flags.since || undefined,
      until: flags.until || undefined,
      filters: filtersOf(flags.filter),
    };
    const shown = flags.format ? (event: EventMessage) => formatted(event, flags.format) : eventText;
    for await (const event of client.lines<EventMessage>({ method: "GET", path: "/events", query }))
      await print(io, shown(event));
    return 0;
  },
});

function eventText({ Type, Action, Actor, time }: EventMessage): string {
  const attributes = Object.entries(Actor.Attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  return `${new Date(time * 1000).toISOString()} ${Type} ${Action} ${Actor.ID}${attributes.length > 0 ? ` (${attributes.join(", ")})` : ""}\n`;
}

const kinds = ["container", "image", "network", "volume"] as const;

export const inspect = command({
  name: "inspect",
  summary: "Return low-level information on any object",
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  examples: ["berth inspect -f '{{.NetworkSettings.IPAddress}}' web"],
  flags: {
    format: text("Format output using a Go template", { short: "f" }),
    size: bool("Display total file sizes", { short: "s" }),
    type: text("Only inspect objects of the given type"),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const paths = (name: string) => ({
      container: `/containers/${encodeURIComponent(name)}/json`,
      image: imagePath(name, "/json"),
      network: `/networks/${encodeURIComponent(name)}`,
      volume: `/volumes/${encodeURIComponent(name)}`,
    });
    const wanted = kinds.filter((kind) => !flags.type || kind === flags.type);
    const get = (name: string) =>
      firstFound(
        name,
        wanted.map(
          (kind) => () => client.json({ method: "GET", path: paths(name)[kind], query: { size: flags.size } }),
        ),
      );
    return inspectAll(io, args, { format: flags.format, get });
  },
});
