import { readdirSync, readFileSync, rmSync } from "node:fs";
import type { Engine } from "./engine.ts";
import { until } from "./until.ts";

/**
 * What a power failure leaves of a daemon: its data root. Its processes, mounts, links, tables and everything below its
 * execution root are gone; then it starts again.
 */
export async function reboot(engine: Engine): Promise<void> {
  const tag = await engine.tag();
  await engine.stop("SIGKILL");
  await until("its processes are gone", () => {
    const left = processesOf(engine.directory);
    for (const pid of left) process.kill(pid, "SIGKILL");
    return left.length === 0;
  });
  for (const target of mountsBelow(engine.directory)) Bun.spawnSync(["umount", "-l", target]);
  Bun.spawnSync(["ip", "link", "delete", `berth${tag}`]);
  for (const family of ["ip", "ip6"]) Bun.spawnSync(["nft", "delete", "table", family, `berth_${tag}`]);
  rmSync(`${engine.directory}/exec`, { recursive: true, force: true });
  await engine.start();
}

/** Monitors and what runs below them: a monitor's arguments name its directories. */
function processesOf(directory: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const read = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "utf8");
    } catch {
      return ""; // it has ended
    }
  };
  const isZombie = (pid: string) => /^State:\s+Z/m.test(read(pid, "status"));
  const monitors = pids.filter((pid) => read(pid, "cmdline").includes(`${directory}/exec`) && !isZombie(pid));
  const parents = new Set(monitors);
  const children = pids.filter((pid) => parents.has(/^PPid:\s+(\d+)/m.exec(read(pid, "status"))?.[1] ?? ""));
  return [...children.filter((pid) => !isZombie(pid)), ...monitors].map(Number);
}

function mountsBelow(directory: string): string[] {
  const lines = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[1] ?? "").filter((target) => target.startsWith(`${directory}/exec/`));
}
