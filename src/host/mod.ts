export { diskSpace, limitDisk, mountDisk } from "./aside/disk.ts";
export { createCgroups } from "./cgroups.ts";
export { changeDirectory, confined, withFileIds } from "./confined.ts";
export { createHost, type HostOptions } from "./create.ts";
export { type Feed, fed, feedJob } from "./feed-job.ts";
export { unreadBytes } from "./fifo.ts";
export type {
  CgroupControls,
  CgroupLimit,
  Cgroups,
  CgroupUsage,
  Child,
  Graft,
  Host,
  Job,
  JobContext,
  JobOptions,
  Mount,
  MountInfo,
  Mounts,
  PacketSocket,
  Processes,
  Pty,
  RootedFs,
  RunOptions,
  RunResult,
  SpawnOptions,
  Workers,
} from "./host.ts";
export { bindInside, hostJobs, type MountRefusal, mountAside, removeTree, unmountAside } from "./jobs.ts";
export { tryLock } from "./lock.ts";
export { createMounts } from "./mounts.ts";
export type { ElementChange, NftTable } from "./net/elements.ts";
export { insideNamespace } from "./net/namespace.ts";
export { createNet, type HostRoute, type InsidePlan, type Net, type VlanKind } from "./net/net.ts";
export { PortError, type PortGroup, type PortRequest, widenReceiveBuffer } from "./net/port.ts";
export { openProcessRoot, type ProcessRoot } from "./process-root.ts";
export { createProcesses } from "./processes.ts";
export { openBelow, RegularFiles, rooted } from "./rooted.ts";
export { sealedCopy } from "./sealed.ts";
export { type AnyJob, serveJobs } from "./serve-jobs.ts";
export { type Flow, FlowWriter, type StreamJobOptions, streamJob } from "./stream-job.ts";
export { rawTerminal } from "./terminal.ts";
export {
  deviceParts,
  type FilePath,
  hardLink,
  makeNode,
  readXattr,
  readXattrs,
  setTimes,
  setXattr,
} from "./tree/attributes.ts";
export { copyData, copyTree, dataRanges, type TreeCopy } from "./tree/copy.ts";
export { type TreeUsage, usageOf } from "./tree/usage.ts";
export { type Found, type Visitor, walk } from "./tree/walk.ts";
export { type InterfaceCounters, interfaceCounters, type ProcessorTime, processorTime } from "./usage.ts";
export { type IdMap, type IdRange, insideId, nobody, type Owner, outsideId } from "./users/id-map.ts";
export { createUserNamespaces, type UserNamespaces } from "./users/users.ts";
export { createWorkers, type WorkersOptions } from "./workers.ts";
