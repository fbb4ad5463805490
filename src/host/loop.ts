import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync } from "node:fs";
import { EngineError, messageOf } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import { errno, libc } from "./libc.ts";

/** linux/loop.h. LOOP_CONFIGURE, which does in one step what was two that a crash could come between: Linux 5.8. */
const LOOP = { GET_STATUS64: 0x4c05, CONFIGURE: 0x4c0a, CTL_GET_FREE: 0x4c82 } as const;
/** The file lets go of the device with its last user, so that neither a crash nor a lazy unmount leaves it attached. */
const FLAG_AUTOCLEAR = 4;
/** Past the page cache, which would hold every block twice; the kernel goes without where it cannot. */
const FLAG_DIRECT_IO = 16;
/** struct loop_info64: the device and the inode of the file come first. */
const statusSize = 232;
const infoFlags = 52;
/** struct loop_config: descriptor, block size, a loop_info64, and 64 bytes to come. */
const configSize = 8 + statusSize + 64;
const EBUSY = 16;
/** Others may take the free device that the kernel names before we do. */
const attempts = 50;

interface Loop {
  readonly path: string;
  readonly fd: number;
}

/**
 * Calls `body` with a block device whose blocks are a file's (loop(4)). It stays for as long as what was mounted from it, and no
 * longer. A file that has a device already keeps that one: two would be two caches for one file system, which destroys it.
 * Throws "unavailable" on a host without loop devices.
 */
export function withLoop<T>(image: string, body: (device: string) => T): T {
  const file = openSync(image, "r+");
  try {
    const loop = attached(file) ?? attach(file, image);
    try {
      return body(loop.path);
    } finally {
      closeSync(loop.fd);
    }
  } finally {
    closeSync(file);
  }
}

/** The device that the file has. Opened before it is looked at: from then on the kernel does not detach it. */
function attached(file: number): Loop | undefined {
  const { dev, ino } = fstatSync(file, { bigint: true });
  for (const name of readdirSync("/sys/block")) {
    if (!existsSync(`/sys/block/${name}/loop/backing_file`)) continue;
    const loop = openLoop(`/dev/${name}`);
    if (!loop) continue;
    const status = new BigUint64Array(statusSize / 8);
    if (libc.ioctl(loop.fd, LOOP.GET_STATUS64, status) === 0 && status[0] === dev && status[1] === ino) return loop;
    closeSync(loop.fd);
  }
  return undefined;
}

function attach(file: number, image: string): Loop {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const loop = openLoop(`/dev/loop${freeNumber(image)}`);
    if (!loop) throw noDevices(image, "/dev/loop* are missing");
    if (libc.ioctl(loop.fd, LOOP.CONFIGURE, configOf(file)) === 0) return loop;
    const code = errno();
    closeSync(loop.fd);
    if (code !== EBUSY) throw new EngineError("internal", `Attach ${image} to ${loop.path}: ${errnoName(code)}`);
  }
  throw new EngineError("internal", `Attach ${image}: every loop device was taken by somebody else`);
}

function configOf(file: number): Uint8Array {
  const config = new Uint8Array(configSize);
  const view = new DataView(config.buffer);
  view.setUint32(0, file, true);
  view.setUint32(8 + infoFlags, FLAG_AUTOCLEAR | FLAG_DIRECT_IO, true);
  return config;
}

function freeNumber(image: string): number {
  let control: number;
  try {
    control = openSync("/dev/loop-control", "r+");
  } catch (err) {
    throw noDevices(image, messageOf(err));
  }
  const number = libc.ioctl(control, LOOP.CTL_GET_FREE, null);
  const code = number < 0 ? errno() : 0;
  closeSync(control);
  if (code !== 0) throw noDevices(image, `LOOP_CTL_GET_FREE: ${errnoName(code)}`);
  return number;
}

/** Undefined when it is not there, or no longer. */
function openLoop(path: string): Loop | undefined {
  try {
    return { path, fd: openSync(path, constants.O_RDWR) };
  } catch {
    return undefined;
  }
}

function noDevices(image: string, why: string): EngineError {
  return new EngineError("unavailable", `Attach ${image}: this host has no loop devices (modprobe loop): ${why}`);
}
