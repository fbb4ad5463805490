import { existsSync, readFileSync } from "node:fs";

/** Whether this host has the one tree of cgroup v2. */
export const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");

/** A file's name on cgroup v1, whose first word is the controller, and on v2. */
export interface CgroupFile {
  readonly v1: string;
  readonly v2: string;
}

/** What is in a file of the cgroup that a process is in. */
export async function cgroupFile(pid: number, { v1, v2 }: CgroupFile): Promise<string> {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
  const controller = v1.split(".")[0] ?? "";
  const line = lines.find((one) => one.split(":")[1]?.split(",").includes(controller));
  const path = line
    ? `/sys/fs/cgroup/${controller}${line.split(":")[2]}/${v1}`
    : `/sys/fs/cgroup${lines.find((one) => one.startsWith("0::"))?.slice(3)}/${v2}`;
  return readFileSync(path, "utf8").trim();
}
