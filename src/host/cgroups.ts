import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { controlsOf } from "./cgroup-controls.ts";
import { flatKeys, numberIn, readV1Usage, readV2Usage } from "./cgroup-files.ts";
import { liftLimit, readLimits, writeLimits } from "./cgroup-limits.ts";
import { MoveAhead } from "./cgroup-moves.ts";
import type { Cgroups, CgroupUsage } from "./host.ts";

/**
 * Cgroups below `root`, with whatever version is mounted there: v2 alone, v1 hierarchies alone, or v1 with a v2 tree
 * beside them that holds no limits ("hybrid"). Reads a few small kernel files a call; a limit that is not set is Infinity.
 */
export function createCgroups(root = "/sys/fs/cgroup"): Cgroups {
  const version = detect(root);
  const ahead = new MoveAhead(root);
  const hierarchies = version === "v2" ? [root] : hierarchiesOf(root);
  /** Where each of the paths lives: any one that knows the process list will do for pids, all of them for removal. */
  const directories = (path: string) =>
    hierarchies.map((top) => join(top, checked(path))).filter((at) => existsSync(at));
  const at = (path: string) => ({ root, version, path: checked(path) });
  return {
    version,
    controllers: controllersOf(root, version),
    get controls() {
      return controlsOf(root, version);
    },
    pids: (path) => [...new Set(directories(path).flatMap(pidsBelow))],
    oomKilled: (path) => oomKills({ root, version, path: checked(path) }) > 0,
    remove(path) {
      for (const directory of directories(path)) removeTree(directory);
    },
    usage: (path): CgroupUsage => (version === "v2" ? readV2Usage : readV1Usage)(root, checked(path)),
    limits: (path) => readLimits(at(path)),
    restore: (path, limits) => writeLimits(at(path), limits),
    lift: (path, limit) => liftLimit(at(path), limit),
    expectMove: () => ahead.begin(),
  };
}

function detect(root: string): Cgroups["version"] {
  if (existsSync(join(root, "cgroup.controllers"))) return "v2";
  return existsSync(join(root, "unified/cgroup.controllers")) ? "hybrid" : "v1";
}

/** Mounted hierarchies, named ones and the unified one too; links such as cpu -> cpu,cpuacct are left out. */
function hierarchiesOf(root: string): string[] {
  return list(root)
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name))
    .filter((directory) => existsSync(join(directory, "cgroup.procs")));
}

function controllersOf(root: string, version: Cgroups["version"]): ReadonlySet<string> {
  if (version === "v2") return new Set(words(read(join(root, "cgroup.controllers"))));
  const names = hierarchiesOf(root).flatMap((path) => path.slice(path.lastIndexOf("/") + 1).split(","));
  return new Set(names.filter((name) => name !== "unified" && name !== "systemd"));
}

function oomKills(at: { root: string; version: Cgroups["version"]; path: string }): number {
  const file =
    at.version === "v2"
      ? join(at.root, at.path, "memory.events")
      : join(at.root, "memory", at.path, "memory.oom_control");
  return numberIn(flatKeys(file), "oom_kill");
}

function pidsBelow(directory: string): number[] {
  const own = words(read(join(directory, "cgroup.procs"))).map(Number);
  return [...own, ...children(directory).flatMap(pidsBelow)];
}

function removeTree(directory: string): void {
  for (const child of children(directory)) removeTree(child);
  try {
    rmdirSync(directory);
  } catch (err) {
    const code = (err as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENODEV") return;
    throw new EngineError("internal", `Remove cgroup ${directory}: ${code}`, { cause: err });
  }
}

function children(directory: string): string[] {
  return list(directory)
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(directory, entry.name));
}

/** Empty when it has gone meanwhile, as cgroups do. */
function list(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

/** The root of a hierarchy and what lies outside it are nobody's to count or remove. */
function checked(path: string): string {
  const parts = path.split("/").filter((part) => part !== "");
  if (!path.startsWith("/") || parts.length === 0 || parts.includes("..") || parts.includes(".")) {
    throw new EngineError("invalid", `Bad cgroup path ${JSON.stringify(path)}`);
  }
  return path;
}
