import { readFile, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Build } from "../context.ts";
import type { ExecOp } from "../graph/vertex.ts";
import type { BuildRoot } from "../root.ts";
import type { StepMount } from "./exec-mounts.ts";

/** The network of one RUN, and the files that tell it. */
export interface StepNetwork extends AsyncDisposable {
  /** "host", or the path of a network namespace. */
  readonly namespace: string;
  readonly mounts: readonly StepMount[];
}

/** By the instruction's --network, else by the build's: the default bridge, a network by name, the host's, or loopback alone. */
export async function openNetwork(build: Build, { op, root }: { op: ExecOp; root: BuildRoot }): Promise<StepNetwork> {
  const mode = op.network === "default" ? build.options.networkMode || "default" : op.network;
  await using undo = new AsyncDisposableStack();
  const { namespace, address } =
    mode === "host" ? { namespace: "host", address: undefined } : await sandbox(build, { mode, root, undo });
  const mounts = await networkFiles(build, { root, address, isHost: mode === "host" });
  const owned = undo.move();
  return { namespace, mounts, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Sandboxed {
  readonly mode: string;
  readonly root: BuildRoot;
  readonly undo: AsyncDisposableStack;
}

async function sandbox(
  { context }: Build,
  { mode, root, undo }: Sandboxed,
): Promise<{ namespace: string; address?: string }> {
  const holder = `build-${root.id}`;
  const { path } = await context.networks.openSandbox(holder);
  undo.defer(() => context.networks.closeSandbox(holder));
  if (mode === "none") return { namespace: path };
  const name = mode === "default" ? "bridge" : mode;
  const { address } = await context.networks.connect(name, { holder, name: root.id.slice(0, 12) });
  return { namespace: path, address };
}

interface FilesOptions {
  readonly root: BuildRoot;
  readonly address: string | undefined;
  readonly isHost: boolean;
}

async function networkFiles(build: Build, { root, address, isHost }: FilesOptions): Promise<StepMount[]> {
  const hostname = root.id.slice(0, 12);
  const texts = {
    hosts: hostsText({ hostname, address, extraHosts: build.options.extraHosts }),
    hostname: `${hostname}\n`,
    "resolv.conf": resolvText(await hostFile("/etc/resolv.conf"), { dns: build.context.config.dns, isHost }),
  };
  return Promise.all(
    Object.entries(texts).map(async ([name, text]): Promise<StepMount> => {
      const source = join(root.directory, name);
      await writeFile(source, text, { mode: 0o644 });
      return { destination: `/etc/${name}`, type: "bind", source, options: ["bind", "rw"] };
    }),
  );
}

async function hostFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return ""; // a host without one has no name servers
  }
}

export interface HostsOptions {
  readonly hostname: string;
  readonly address: string | undefined;
  /** `NAME:ADDRESS`. */
  readonly extraHosts: readonly string[];
}

export function hostsText({ hostname, address, extraHosts }: HostsOptions): string {
  const extra = extraHosts.map((entry) => {
    const [, name = "", to = ""] = /^([^:=]+)[:=](.*)$/.exec(entry) ?? [];
    return `${to.replace(/^\[(.*)\]$/, "$1")}\t${name}`;
  });
  const local = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"];
  return `${[...local, ...extra, ...(address ? [`${address}\t${hostname}`] : [])].join("\n")}\n`;
}

/** The host's file; outside of the host's network without servers on loopback, which nobody there reaches. */
export function resolvText(host: string, { dns, isHost }: { dns: readonly string[]; isHost: boolean }): string {
  if (dns.length === 0 && isHost) return host;
  const lines = host.split("\n").map((line) => line.trim());
  const kept = lines.filter((line) => /^(?:search|options|domain)\s/.test(line));
  const own = lines.flatMap((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
  const reachable = own.filter((server) => isIP(server.split("%")[0] ?? "") !== 0 && !/^127\.|^::1$/.test(server));
  const chosen = dns.length > 0 ? dns : reachable.length > 0 ? reachable : fallback;
  return `${[...chosen.map((server) => `nameserver ${server}`), ...kept].join("\n")}\n`;
}

/** As dockerd falls back (libnetwork `resolvconf`). */
const fallback = ["8.8.8.8", "8.8.4.4"];
