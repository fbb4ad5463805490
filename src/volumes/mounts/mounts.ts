import { lookup } from "node:dns/promises";
import { existsSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import {
  type MountInfo,
  type MountRefusal,
  mountAside,
  mountDisk,
  unmountAside,
  type Workers,
} from "../../host/mod.ts";
import { diskPaths } from "../sized/disk.ts";
import { limitOf } from "../sized/size.ts";
import type { VolumeRow } from "../table.ts";
import { type DriverOptions, hostToResolve, needsMount } from "./options.ts";

export interface VolumeMountsOptions {
  /** Where the volumes' directories are. */
  readonly root: string;
  /** Threads that a server which does not answer may keep waiting. */
  readonly workers: Workers;
  readonly list: () => MountInfo[];
}

/**
 * Who uses which volume, and what is mounted on those that have options: a file system is mounted for its first user and
 * unmounted with its last. Users are known by this process only: after a restart `recover` is told who they are, and clears the
 * rest. The caller holds the volume's lock.
 */
export class VolumeMounts {
  readonly #options: VolumeMountsOptions;
  readonly #users = new Map<string, Set<string>>();
  readonly #mounted = new Set<string>();

  constructor(options: VolumeMountsOptions) {
    this.#options = { ...options, root: realpathSync(options.root) };
  }

  /** Containers that run with it, and operations of this program. */
  usersOf(name: string): string[] {
    return [...(this.#users.get(name) ?? [])];
  }

  usedBy(user: string): string[] {
    return [...this.#users].filter(([, users]) => users.has(user)).map(([name]) => name);
  }

  /** Throws "internal" in Docker's words when it cannot be mounted. */
  async use({ name, options }: Pick<VolumeRow, "name" | "options">, user: string): Promise<void> {
    const sized = limitOf(options) > 0;
    if (sized && !this.#isThere(name)) this.#mounted.delete(name);
    if (needsMount(options) && !this.#mounted.has(name)) {
      await (sized ? this.#mountDisk({ name, options }) : this.#mount(this.#target(name), options));
      this.#mounted.add(name);
    }
    this.#users.set(name, new Set([...this.usersOf(name), user]));
  }

  /** Of a disk, which never keeps one waiting. Somebody may have unmounted it by hand: what is then written is soon hidden again. */
  #isThere(name: string): boolean {
    const target = this.#target(name);
    return statSync(target).dev !== statSync(join(this.#options.root, name)).dev;
  }

  /** Whether something is mounted for those who use it. */
  isMounted(name: string): boolean {
    return this.#mounted.has(name);
  }

  /** Nothing happens when it is no user. */
  async leave(name: string, user: string): Promise<void> {
    const users = this.#users.get(name);
    if (!users?.delete(user) || users.size > 0) return;
    this.#users.delete(name);
    if (this.#mounted.delete(name)) await this.#unmount(this.#target(name));
  }

  /** After a restart: keeps what is mounted for these users of each volume, and takes down everything else below the root. */
  async recover(live: ReadonlyMap<string, readonly string[]>): Promise<void> {
    this.#users.clear();
    this.#mounted.clear();
    for (const [name, users] of live) if (users.length > 0) this.#users.set(name, new Set(users));
    for (const target of this.#found("")) {
      const [name = ""] = target.slice(this.#options.root.length + 1).split("/");
      const data = this.#target(name);
      if (!this.#users.has(name) || !isWithin(target, data)) await this.#unmount(target);
      else if (target === data) this.#mounted.add(name);
    }
  }

  /** Takes down what an operation that a crash interrupted has mounted in a volume's directory, beside its files. */
  async clearBeside(name: string): Promise<void> {
    const data = this.#target(name);
    for (const target of this.#found(name)) if (!isWithin(target, data)) await this.#unmount(target);
  }

  /** Before a directory is deleted: whatever is mounted on or in it goes, so that none of it is deleted. */
  async clear(name: string): Promise<void> {
    this.#users.delete(name);
    this.#mounted.delete(name);
    for (const target of this.#found(name)) await this.#unmount(target);
  }

  /** The innermost first. */
  #found(name: string): string[] {
    const prefix = `${join(this.#options.root, name)}/`;
    return this.#options
      .list()
      .map(({ target }) => target)
      .filter((target) => target.startsWith(prefix))
      .reverse();
  }

  #target(name: string): string {
    return join(this.#options.root, name, "_data");
  }

  async #unmount(target: string): Promise<void> {
    await this.#options.workers.run(unmountAside, { target }, { waits: true });
  }

  async #mountDisk({ name, options }: Pick<VolumeRow, "name" | "options">): Promise<void> {
    const { disk: image, data: target } = diskPaths(join(this.#options.root, name));
    if (!existsSync(image)) {
      throw new EngineError("unavailable", `${image} is missing: it is made when the daemon starts, if it can be`);
    }
    await this.#options.workers.run(mountDisk, { image, target, limit: limitOf(options) }, { waits: true });
  }

  async #mount(target: string, given: DriverOptions): Promise<void> {
    const { type = "", device = "", o = "" } = await resolved(given);
    const input = { source: device, target, type, options: o };
    const refusal = await this.#options.workers.run(mountAside, input, { waits: true });
    if (refusal)
      throw new EngineError("internal", `failed to mount local volume: ${text(refusal, { device, target })}`);
  }
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

async function resolved(options: DriverOptions): Promise<DriverOptions> {
  const named = hostToResolve(options);
  if (!named) return options;
  try {
    // IPv4 first, as Go's resolver, which Docker asks.
    const four = await lookup(named.host, { family: 4 }).catch(() => undefined);
    return named.with((four ?? (await lookup(named.host))).address);
  } catch (err) {
    const why = `error resolving passed in network volume address: lookup ${named.host}: ${messageOf(err)}`;
    throw new EngineError("internal", why, { cause: err });
  }
}

/** As moby's mount errors read. Passwords are nobody's business. */
function text(
  { step, flags, data, why }: MountRefusal,
  { device, target }: { device: string; target: string },
): string {
  const what = step === "mount" && device !== "" ? `${device}:${target}` : target;
  const shown = data.replace(/(^|,)(password2?|pass)=[^,]*/g, "$1$2=********");
  const parts = [flags !== 0 && `flags: 0x${flags.toString(16)}`, shown !== "" && `data: ${shown}`];
  return `${[`${step} ${what}`, ...parts.filter(Boolean)].join(", ")}: ${why}`;
}
