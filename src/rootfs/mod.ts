export { baseHostLines, extraHostLines, hostsFile, ownNames, requireExtraHosts, updatedHosts } from "./hosts.ts";
export { resolvConfFile, stubbed } from "./resolv-conf.ts";
export type * from "./rootfs.ts";
export { ownerOrRoot, resolveOwner, resolveUser } from "./users.ts";
