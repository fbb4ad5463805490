import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { hostsFile, resolvConfFile, stubbed } from "../../rootfs/mod.ts";
import type { Build, BuilderContext } from "../context.ts";
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
  if (mode === "host" && root.users) {
    throw new EngineError("invalid", "cannot share the host's network namespace when user namespaces are enabled");
  }
  const { namespace, address } =
    mode === "host" ? { namespace: "host", address: undefined } : await sandbox(build, { mode, root, undo });
  const mounts = await networkFiles(build, { root, address, mode });
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
  const { path } = await context.networks.openSandbox(holder, root.users?.path);
  undo.defer(() => close(context, holder));
  if (mode === "none") return { namespace: path };
  const name = mode === "default" ? "bridge" : mode;
  const { address } = await context.networks.connect(name, { holder, name: root.id.slice(0, 12) });
  return { namespace: path, address };
}

/** Milliseconds until closing a network is tried again. */
const patience = 2000;

/** While a step's cache mount fills the disk no row can be deleted: it is tried until one can, or the next daemon does it. */
async function close(context: BuilderContext, holder: string): Promise<void> {
  try {
    await context.networks.closeSandbox(holder);
  } catch (err) {
    context.log.warn("cannot close the network of a build step yet", { holder, error: messageOf(err) });
    setTimeout(() => close(context, holder), patience).unref();
  }
}

interface FilesOptions {
  readonly root: BuildRoot;
  readonly address: string | undefined;
  readonly mode: string;
}

async function networkFiles(
  { context: { config, networks }, options: { extraHosts } }: Build,
  { root, address, mode }: FilesOptions,
): Promise<StepMount[]> {
  const hostGateway = () => config.hostGateway ?? networks.hostAddress(mode) ?? networks.hostAddress("bridge");
  const hostname = root.id.slice(0, 12);
  const resolver = networks.resolver(mode);
  const behind = await hostFile(stubbed);
  const server = { ...(resolver !== undefined && { resolver }), dns: config.dns, hostNetwork: mode === "host" };
  const texts = {
    hosts: hostsFile({ hostname, domainname: "", addresses: address ? [address] : [], extraHosts, hostGateway }),
    hostname: `${hostname}\n`,
    "resolv.conf": resolvConfFile({ host: await hostFile("/etc/resolv.conf"), behind, ...server }),
  };
  return Promise.all(
    Object.entries(texts).map(async ([name, text]): Promise<StepMount> => {
      const source = join(root.directory, name);
      await writeFile(source, text, { mode: 0o644 });
      return { destination: `/etc/${name}`, type: "bind", source, options: ["bind", "rw"], owned: true };
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
