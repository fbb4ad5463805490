export { extraHostLines, hostsFile, requireExtraHosts } from "./hosts.ts";
export { resolvConfFile } from "./resolv-conf.ts";
export type * from "./rootfs.ts";
export { resolveOwner, resolveUser } from "./users.ts";
