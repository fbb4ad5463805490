import { join } from "node:path";
import type { ContainersConfig } from "./context.ts";

/** Where a container's things are; pure, so that a restart finds them again. */
export interface ContainerPaths {
  readonly home: string;
  readonly log: string;
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
  /** An empty file whose presence tells programs that they are in a container. */
  readonly dockerenv: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly shm: string;
  /** What is mounted for a user namespace until the runtime has it. */
  readonly staged: string;
  /** Holds mounts that the runtime mounts into the container: images, parts of volumes. */
  readonly sources: string;
  readonly execs: string;
}

export function pathsOf(config: ContainersConfig, id: string): ContainerPaths {
  const home = join(config.directory, id);
  return {
    home,
    log: join(home, "container.log"),
    hosts: join(home, "hosts"),
    hostname: join(home, "hostname"),
    resolvConf: join(home, "resolv.conf"),
    dockerenv: join(home, "dockerenv"),
    bundle: join(config.execRoot, "bundles", id),
    rootfs: join(config.execRoot, "rootfs", id),
    shm: join(config.execRoot, "shm", id),
    staged: join(config.execRoot, "staged", id),
    sources: join(config.execRoot, "sources", id),
    execs: join(config.execRoot, "execs", id),
  };
}

/** The key of the container's own layer in the snapshot store. */
export function snapshotKey(id: string): string {
  return `container/${id}`;
}
