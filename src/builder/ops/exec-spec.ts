import { posix } from "node:path";
import type { ResolvedUser } from "../../rootfs/mod.ts";
import type { SpecInput } from "../../runtime/mod.ts";
import type { Build } from "../context.ts";
import type { ExecOp } from "../graph/vertex.ts";
import type { BuildRoot } from "../root.ts";
import type { StepMount } from "./exec-mounts.ts";

export interface SpecParts {
  readonly op: ExecOp;
  readonly root: BuildRoot;
  readonly user: ResolvedUser;
  readonly mounts: readonly StepMount[];
  /** Variables that mounts bring, such as a secret. */
  readonly mountEnv: readonly string[];
  /** "host" or a path. */
  readonly network: string;
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A RUN step has docker's default rights; what it is given beyond comes from the build's options. */
export function specInput(build: Build, parts: SpecParts): SpecInput {
  const { op, root, user: who, mounts, mountEnv, network } = parts;
  const { options, context } = build;
  const { limits, cgroupParent } = context.config;
  return {
    id: `build-${root.id}`,
    rootfs: root.path,
    readonlyRootfs: false,
    process: {
      args: op.args,
      env: environment({ ...op, env: [...op.env, ...mountEnv] }, who),
      cwd: op.cwd,
      terminal: false,
      uid: who.uid,
      gid: who.gid,
      additionalGids: who.additionalGids,
    },
    hostname: root.id.slice(0, 12),
    domainname: "",
    mounts,
    shmSize: options.shmSize || 64 * 1024 * 1024,
    ...rights,
    ...(limits.apparmorProfile !== undefined && { apparmorProfile: limits.apparmorProfile }),
    namespaces: { pid: "private", ipc: "private", uts: "private", network, cgroup: "private", ...userNamespace(root) },
    ...(root.users && { idMap: root.users.map }),
    cgroupPath: posix.join("/", options.cgroupParent || cgroupParent, `build-${root.id}`),
    resources: { ...resourcesOf(options.resources), pidsLimit: processLimit(options.ulimits) },
    rlimits: options.ulimits.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
    limits,
  };
}

function userNamespace({ users }: BuildRoot): { user?: string } {
  return users ? { user: users.path } : {};
}

const rights = {
  privileged: false,
  capAdd: [],
  capDrop: [],
  noNewPrivileges: false,
  seccomp: "default",
  sysctls: {},
  devices: [],
  deviceCgroupRules: [],
  oomScoreAdj: 0,
  annotations: {},
} as const;

function resourcesOf(given: Build["options"]["resources"]): Omit<SpecInput["resources"], "pidsLimit"> {
  const none = { memoryReservation: 0, oomKillDisable: false, nanoCpus: 0, blkioWeight: 0, throttle: [] };
  return { ...none, ...given };
}

/** Processes and threads of a step. No build tool starts so many, and a fork bomb with as many is killed in seconds. */
const mostProcesses = 4096;

/**
 * What `--ulimit nproc` says, for the step as a whole: the kernel holds no root to it, and counts other users' processes
 * over the whole host. Unlimited is -1.
 */
function processLimit(ulimits: Build["options"]["ulimits"]): number {
  const asked = ulimits.find(({ Name }) => Name === "nproc")?.Hard ?? mostProcesses;
  return asked === 0 ? 1 : asked;
}

/** Later ones win; PATH and HOME are there in any case. */
export function environment(op: Pick<ExecOp, "env" | "hiddenEnv">, { home }: Pick<ResolvedUser, "home">): string[] {
  const values = new Map<string, string>([["PATH", defaultPath]]);
  for (const entry of [...op.hiddenEnv, ...op.env]) {
    values.set(entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1));
  }
  if (!values.has("HOME")) values.set("HOME", home);
  return [...values].map(([name, value]) => `${name}=${value}`);
}
