import { text } from "../../flags/mod.ts";
import { commit, version as ownVersion } from "../../version/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { formatted } from "../output/format.ts";

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

const client = {
  Version: ownVersion,
  ApiVersion: "1.51",
  GitCommit: commit,
  Os: process.platform,
  Arch: process.arch === "x64" ? "amd64" : process.arch,
};

export const version = command({
  name: "version",
  summary: "Show the version of client and daemon",
  usage: "[OPTIONS]",
  examples: ["berth version -f '{{.Server.Version}}'"],
  flags: { format: text("Format output: json, or a Go template", { short: "f" }) },
  args: { min: 0, max: 0 },
  async run({ flags, client: engine }, io) {
    if (!flags.format) await print(io, section("Client", ownRows()));
    const server = await engine.json<ServerVersion>({ method: "GET", path: "/version" });
    await print(
      io,
      flags.format
        ? formatted({ Client: client, Server: server }, flags.format)
        : `\n${section("Server", serverRows(server))}`,
    );
    return 0;
  },
});

type Row = readonly [name: string, value: string];

function ownRows(): Row[] {
  return [
    ["Version", client.Version],
    ["API version", client.ApiVersion],
    ["Git commit", client.GitCommit],
    ["OS/Arch", `${client.Os}/${client.Arch}`],
  ];
}

function serverRows({ Components = [], ...server }: ServerVersion): Row[] {
  return [
    ["Version", server.Version],
    ["API version", `${server.ApiVersion} (minimum version ${server.MinAPIVersion})`],
    ["Git commit", server.GitCommit],
    ["OS/Arch", `${server.Os}/${server.Arch}`],
    ["Kernel", server.KernelVersion],
    ...Components.slice(1).map(({ Name, Version }): Row => [Name, Version]), // the first is the engine itself
  ];
}

function section(name: string, rows: readonly Row[]): string {
  return `${name}:\n${rows.map(([key, value]) => ` ${`${key}:`.padEnd(18)}${value}\n`).join("")}`;
}
