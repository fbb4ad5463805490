import { createCgroups } from "./cgroups.ts";
import type { Host } from "./host.ts";
import { createMounts } from "./mounts.ts";
import { createNet } from "./net/net.ts";
import { createProcesses } from "./processes.ts";
import { rooted } from "./rooted.ts";
import { createUserNamespaces } from "./users/users.ts";
import { createWorkers, type WorkersOptions } from "./workers.ts";

export interface HostOptions {
  readonly workers?: WorkersOptions;
}

/** This machine. Its owner disposes of `workers` when all who use the host are done. */
export function createHost(options: HostOptions = {}): Host {
  const processes = createProcesses();
  return {
    mounts: createMounts(),
    processes,
    cgroups: createCgroups(),
    net: createNet(processes),
    users: createUserNamespaces(processes),
    rooted,
    workers: createWorkers(options.workers),
  };
}
