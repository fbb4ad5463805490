import type { DoctorCheck } from "../../wire/mod.ts";
import { ok, problem, warning } from "./check.ts";

export interface MachineFacts {
  readonly dataRoot: string;
  /** Type of the file system that it is on, as /proc/mounts has it. */
  readonly fileSystem: string;
  /** Bytes, and inodes; a file system that has as many as it needs says 0 for all of them. */
  readonly space: { readonly free: number; readonly all: number };
  readonly inodes: { readonly free: number; readonly all: number };
  /** Milliseconds since 1970: now, and the youngest file of the system that is older than every truth. */
  readonly now: number;
  readonly notBefore: number;
  /** What the daemon listens on. */
  readonly sockets: readonly Socket[];
  /** Soft limit of open files. */
  readonly openFiles: number;
}

export interface Socket {
  /** unix:///PATH or tcp://HOST:PORT. */
  readonly address: string;
  /** Permission bits of a unix socket; undefined for others, and for one that is gone. */
  readonly mode?: number;
}

export function machineChecks(facts: MachineFacts): DoctorCheck[] {
  return [dataRoot(facts), disk(facts), clock(facts), openFiles(facts), ...facts.sockets.map(socket)];
}

/** What overlayfs takes for an upper layer (Documentation/filesystems/overlayfs.rst). */
const good: ReadonlySet<string> = new Set(["ext4", "xfs", "btrfs", "tmpfs", "f2fs", "zfs", "bcachefs"]);

function dataRoot({ dataRoot, fileSystem }: MachineFacts): DoctorCheck {
  if (good.has(fileSystem)) return ok("data root", `${dataRoot} is on ${fileSystem}`);
  const advice = "move --data-root to a disk with ext4, xfs or btrfs";
  if (fileSystem === "overlay" || /^(nfs|cifs|smb|fuse|9p|ecryptfs|vfat)/.test(fileSystem))
    return problem("data root", `${dataRoot} is on ${fileSystem}, where no container's layer can be`, advice);
  return warning("data root", `${dataRoot} is on ${fileSystem}, which nobody tried`, advice);
}

const [little, tooLittle] = [5 * 2 ** 30, 2 ** 30];
const scarce = 0.05;

function disk({ space, inodes }: MachineFacts): DoctorCheck {
  const says = `${gigabytes(space.free)} of ${gigabytes(space.all)} are free`;
  const advice = "berth system prune removes what nobody uses; berth system df shows what takes the room";
  if (inodes.all > 0 && inodes.free < inodes.all * scarce) {
    return problem("disk", `${says}, but only ${inodes.free} of ${inodes.all} inodes`, advice);
  }
  if (space.free < Math.min(tooLittle, space.all * scarce)) return problem("disk", says, advice);
  return space.free < Math.min(little, space.all * scarce * 2) ? warning("disk", says, advice) : ok("disk", says);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

function clock({ now, notBefore }: MachineFacts): DoctorCheck {
  const shown = new Date(now).toISOString();
  if (now >= notBefore) return ok("clock", shown);
  const says = `it is ${shown} here, before the system was installed: certificates of registries are not valid yet`;
  return problem("clock", says, "set it: timedatectl set-ntp true");
}

const fewFiles = 4096;

function openFiles({ openFiles }: MachineFacts): DoctorCheck {
  if (openFiles >= fewFiles) return ok("open files", `${openFiles} at most`);
  const says = `the daemon may open ${openFiles} files: every container takes some, and every published port`;
  return warning("open files", says, "LimitNOFILE=1048576 in its systemd unit, or ulimit -n before it starts");
}

function socket({ address, mode }: Socket): DoctorCheck {
  const name = `socket ${address}`;
  if (address.startsWith("unix:")) {
    if (mode === undefined) return problem(name, "its file is gone: nobody new can connect", "start the daemon again");
    if (mode & 0o006)
      return problem(name, "everybody may connect to it, and is root then", `chmod 660 ${address.slice(7)}`);
    return ok(name, `for root and its group (mode ${(mode & 0o777).toString(8)})`);
  }
  if (/^tcp:\/\/(127\.|localhost|\[::1\])/.test(address)) {
    return warning(name, "without TLS: every user of this host who connects is root", "use the unix socket");
  }
  const says = "without TLS: whoever reaches this address is root here";
  return problem(name, says, "listen on the unix socket alone, and reach it from elsewhere by ssh -L");
}
