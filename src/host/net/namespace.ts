import { ptr } from "bun:ffi";
import { openSync, rmSync, writeFileSync } from "node:fs";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { systemError } from "../errno.ts";
import { cString, libc } from "../libc.ts";
import { insideCalls } from "./inside.ts";
import { Netlink, NetlinkError, protocols } from "./netlink.ts";
import { defaultRoute, linkIndex, linkUp } from "./route.ts";

const MNT_DETACH = 2;

/** What `ip netns add` does, without its processes. */
export function createNamespace(path: string): void {
  claim(path);
  try {
    const result = insideCalls().create_namespace(ptr(cString(path)));
    if (result < 0) throw systemError(`Create a network namespace at ${path}`, -result);
    using netlink = netlinkIn(path);
    netlink.request([linkUp(linkIndex(netlink, "lo"))]);
  } catch (err) {
    removeNamespace(path);
    throw err;
  }
}

export function removeNamespace(path: string): void {
  libc.umount2(ptr(cString(path)), MNT_DETACH);
  rmSync(path, { force: true });
}

export function addDefaultRoute(namespace: string, gateway: string): void {
  using netlink = netlinkIn(namespace);
  try {
    netlink.request([defaultRoute(gateway)]);
  } catch (err) {
    if (err instanceof NetlinkError && err.errno === "EEXIST") return;
    throw new EngineError("internal", `Add a default route by ${gateway}: ${messageOf(err)}`, { cause: err });
  }
}

/** A route socket that speaks to another namespace. */
export function netlinkIn(namespace: string): Netlink {
  return new Netlink(protocols.route, (domain, type, protocol) => {
    const fd = insideCalls().socket_inside(ptr(cString(namespace)), domain, type, protocol);
    if (fd < 0) throw systemError(`Enter network namespace ${namespace}`, -fd);
    return fd;
  });
}

export function openNamespace(path: string): number {
  try {
    return openSync(path, "r");
  } catch (err) {
    throw new EngineError("not-found", `Network namespace ${path} not found`, { cause: err });
  }
}

function claim(path: string): void {
  try {
    writeFileSync(path, "", { flag: "wx", mode: 0o600 });
  } catch (err) {
    const exists = (err as NodeJS.ErrnoException).code === "EEXIST";
    throw new EngineError(exists ? "conflict" : "internal", `Create ${path}: ${messageOf(err)}`, { cause: err });
  }
}
