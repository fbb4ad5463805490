import type { Client } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { ContainerInspect, PortBinding, PublishAnswer } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { type CliIo, print, tell } from "../io.ts";
import { containerPath } from "./path.ts";
import { portSpecs } from "./ports.ts";

export const port = command({
  name: "port",
  summary: "List port mappings of a container; publish and unpublish ports while it runs",
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]  |  add CONTAINER PORT...  |  rm CONTAINER HOST_PORT[/PROTO]...",
  examples: ["berth port web", "berth port web 80", "berth port add web 8080:80", "berth port rm web 8080"],
  flags: {},
  args: { min: 1 },
  async run({ args, client }, io) {
    const [first = "", container = "", ...ports] = args;
    if (first === "add" && ports.length > 0) return add({ client, container, ports }, io);
    if (first === "rm" && ports.length > 0) return remove({ client, container, ports });
    if (args.length > 2)
      throw new EngineError("invalid", `to change ports say "port add" or "port rm", not "port ${first}"`);
    return show({ client, name: first, wanted: args[1] }, io);
  },
});

interface Change {
  readonly client: Client;
  readonly container: string;
  readonly ports: readonly string[];
}

/** Kept over restarts; prints what is published now. */
async function add({ client, container, ports }: Change, io: CliIo): Promise<number> {
  const body = { PortBindings: portSpecs(ports, []).bindings };
  const path = containerPath(container, "/publish");
  const { Ports, Warnings } = await client.json<PublishAnswer>({ method: "POST", path, body });
  await print(io, allPorts(Ports));
  for (const warning of Warnings) await tell(io, `WARNING: ${warning}\n`);
  return 0;
}

async function remove({ client, container, ports }: Change): Promise<number> {
  for (const one of ports) {
    const at = one.lastIndexOf(":");
    const [ip, port] = at < 0 ? [undefined, one] : [one.slice(0, at).replace(/^\[(.*)\]$/, "$1"), one.slice(at + 1)];
    await client.status({ method: "POST", path: containerPath(container, "/unpublish"), query: { port, ip } });
  }
  return 0;
}

interface Wanted {
  readonly client: Client;
  readonly name: string;
  readonly wanted: string | undefined;
}

async function show({ client, name, wanted }: Wanted, io: CliIo): Promise<number> {
  const { NetworkSettings } = await client.json<ContainerInspect>({
    method: "GET",
    path: containerPath(name, "/json"),
  });
  const ports = NetworkSettings.Ports ?? {};
  await print(io, wanted === undefined ? allPorts(ports) : onePort(ports, { name, wanted }));
  return 0;
}

type Published = Readonly<Record<string, readonly PortBinding[] | null>>;

function allPorts(ports: Published): string {
  const byNumber = Object.entries(ports).sort(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  return byNumber.flatMap(([inside, found]) => (found ?? []).map((one) => `${inside} -> ${hostText(one)}\n`)).join("");
}

function onePort(ports: Published, { name, wanted }: { name: string; wanted: string }): string {
  const [number = "", protocol = "tcp"] = wanted.split("/");
  const found = ports[`${number}/${protocol}`];
  if (!found?.length) throw new EngineError("not-found", `no public port '${wanted}' published for ${name}`);
  return found.map((one) => `${hostText(one)}\n`).join("");
}

function hostText({ HostIp, HostPort }: PortBinding): string {
  return `${HostIp.includes(":") ? `[${HostIp}]` : HostIp}:${HostPort}`;
}
