import type { RootedFs } from "../host/mod.ts";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** 64 MiB: a huge file written by a container must not fill the daemon's memory. */
const fileLimit = 64 * 1024 * 1024;
/** The kernel takes 2^32 - 1 for "no id". */
const noId = 2 ** 32 - 1;

/** The lines of /etc/passwd that name a user. A line without a group's number is in group 0, as for runc; one with ids that are no numbers is passed over. */
export function accountsOf(root: RootedFs): Account[] {
  return lines(root, "/etc/passwd").flatMap(([name = "", , uid, gid, , home = ""]) => {
    const [user, group] = [idOf(uid), idOf(gid || "0")];
    return user === undefined || group === undefined ? [] : [{ name, uid: user, gid: group, home }];
  });
}

/** The lines of /etc/group that name a group. */
export function groupsOf(root: RootedFs): Group[] {
  return lines(root, "/etc/group").flatMap(([name = "", , gid, members = ""]) => {
    const id = idOf(gid);
    return id === undefined ? [] : [{ name, gid: id, members: members.split(",").filter(Boolean) }];
  });
}

function idOf(text = ""): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) < noId ? Number(text) : undefined;
}

function lines(root: RootedFs, path: string): string[][] {
  const text = Buffer.from(root.readFile(path, fileLimit) ?? []).toString("utf8");
  const kept = text.split("\n").map((line) => line.trim());
  return kept.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(":"));
}
