import { type Dirent, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import type { DeviceNode, SpecInput } from "./runtime.ts";

type Device = SpecInput["devices"][number];

/** What every container gets by itself, or has made by the runtime (pts, shm, mqueue), or must not see. */
const notForContainers = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console", "ptmx"]);

/**
 * Reads the nodes at the devices' host paths; a directory stands for all devices below it, as for Docker.
 * Throws "invalid" in Docker's words when there is no device, and for a directory that is too large to be one of devices.
 */
export function resolveDevices(devices: readonly Device[]): Device[] {
  return devices.flatMap((device) => {
    const found = below({ device, stat: read(device.hostPath) }, { left: mostEntries });
    if (found.length > 0) return found;
    throw new EngineError(
      "invalid",
      `error gathering device information while adding custom device "${device.hostPath}": not a device node`,
    );
  });
}

/** Every device of the host, for --privileged (moby `oci/devices_linux.go`). */
export function allHostDevices(root = "/dev"): Device[] {
  const device = { hostPath: root, containerPath: "/dev", permissions: "rwm" };
  return below({ device, stat: read(root) }, { left: mostEntries });
}

/** The main thread does not walk through a whole file system: /dev of a large host has some thousands. */
const mostEntries = 10_000;

interface Candidate {
  readonly device: Device;
  readonly stat: Stats;
}

function below({ device, stat }: Candidate, budget: { left: number }): Device[] {
  budget.left--;
  if (budget.left < 0)
    throw new EngineError("invalid", `${device.hostPath} has too many files around it to be a device`);
  if (!stat.isDirectory()) {
    const node = nodeOf(stat);
    return node ? [{ ...device, node }] : [];
  }
  const names = entriesOf(device.hostPath)
    .filter((entry) => !notForContainers.has(entry.name))
    .filter((entry) => entry.isDirectory() || entry.isCharacterDevice() || entry.isBlockDevice())
    .map((entry) => entry.name);
  const at = (name: string) => ({
    hostPath: join(device.hostPath, name),
    containerPath: join(device.containerPath, name),
  });
  return names.flatMap((name) => {
    const child = { ...device, ...at(name) };
    const stat = statSync(child.hostPath, { throwIfNoEntry: false });
    return stat ? below({ device: child, stat }, budget) : []; // gone meanwhile
  });
}

/** What cannot be read has no devices, as for moby's `DevicesFromPath`. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

function read(path: string): Stats {
  try {
    return statSync(path);
  } catch (err) {
    const why = `error gathering device information while adding custom device "${path}": no such file or directory`;
    throw new EngineError("invalid", why, { cause: err });
  }
}

/** The number's layout is glibc's makedev(3): 12 bits of major around 8+12 bits of minor. */
function nodeOf(stat: Stats): DeviceNode | undefined {
  const type = stat.isCharacterDevice() ? "c" : stat.isBlockDevice() ? "b" : undefined;
  if (!type) return undefined;
  const number = BigInt(stat.rdev);
  const major = Number((number >> 8n) & 0xfffn);
  const minor = Number((number & 0xffn) | ((number >> 12n) & 0xfff00n));
  return { type, major, minor, mode: stat.mode & 0o777, uid: stat.uid, gid: stat.gid };
}
