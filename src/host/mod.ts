export { createCgroups } from "./cgroups.ts";
export { confined } from "./confined.ts";
export type {
  Cgroups,
  CgroupUsage,
  Child,
  Host,
  Job,
  JobContext,
  JobOptions,
  Mount,
  MountInfo,
  Mounts,
  PacketSocket,
  Processes,
  RootedFs,
  RootedStat,
  RunOptions,
  RunResult,
  SpawnOptions,
  Workers,
} from "./host.ts";
export { createMounts } from "./mounts.ts";
export { createProcesses } from "./processes.ts";
export { rooted } from "./rooted.ts";
export { type AnyJob, serveJobs } from "./serve-jobs.ts";
export { createWorkers, type WorkersOptions } from "./workers.ts";
