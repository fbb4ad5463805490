import { EngineError } from "../errors/mod.ts";
import type { RootedFs } from "../host/mod.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** 64 MiB: a huge file written by a container must not fill the daemon's memory. */
const fileLimit = 64 * 1024 * 1024;
const largestId = 2 ** 31 - 1;

/**
 * Who `USER[:GROUP]` is, by the container's own /etc/passwd and /etc/group, as moby's and runc's `user.GetExecUser` decide:
 * names first, numbers need no entry. Supplementary groups come from /etc/group unless a group was given.
 * Throws "invalid" in Docker's words for an unknown name.
 */
export function resolveUser(
  root: RootedFs,
  options: { readonly user: string; readonly groupAdd: readonly string[] },
): ResolvedUser {
  const passwd = parsePasswd(text(root, "/etc/passwd"));
  const groups = parseGroup(text(root, "/etc/group"));
  const [userPart = "", groupPart = ""] = cut(options.user);
  const { entry, uid } = findUser(passwd, userPart);
  const name = entry?.name ?? userPart;
  const gid = groupPart === "" ? (entry?.gid ?? 0) : groupId(groups, groupPart);
  const own = groupPart === "" ? groups.filter((group) => group.members.includes(name)).map((group) => group.gid) : [];
  const added = options.groupAdd.map((group) => groupId(groups, group));
  return { uid, gid, additionalGids: [...new Set([...own, ...added])], home: entry?.home || "/" };
}

function findUser(passwd: readonly PasswdEntry[], part: string): { entry?: PasswdEntry; uid: number } {
  const wanted = part === "" ? "0" : part;
  const number = idOf(wanted);
  const entry = passwd.find((line) => line.name === wanted) ?? passwd.find((line) => line.uid === number);
  if (entry) return { entry, uid: entry.uid };
  if (number === undefined) {
    throw new EngineError("invalid", `unable to find user ${part}: no matching entries in passwd file`);
  }
  return { uid: number };
}

function groupId(groups: readonly GroupEntry[], part: string): number {
  const number = idOf(part);
  const entry = groups.find((line) => line.name === part);
  if (entry) return entry.gid;
  if (number === undefined) {
    throw new EngineError("invalid", `unable to find group ${part}: no matching entries in group file`);
  }
  return number;
}

export function parsePasswd(content: string): PasswdEntry[] {
  return lines(content).flatMap(([name = "", , uid = "", gid = "", , home = ""]) => {
    const ids = [idOf(uid), idOf(gid)];
    return ids[0] === undefined || ids[1] === undefined ? [] : [{ name, uid: ids[0], gid: ids[1], home }];
  });
}

export function parseGroup(content: string): GroupEntry[] {
  return lines(content).flatMap(([name = "", , gid = "", members = ""]) => {
    const id = idOf(gid);
    return id === undefined ? [] : [{ name, gid: id, members: members.split(",").filter(Boolean) }];
  });
}

function lines(content: string): string[][] {
  return content
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}

function idOf(part: string): number | undefined {
  const id = /^\d{1,10}$/.test(part) ? Number(part) : -1;
  return id >= 0 && id <= largestId ? id : undefined;
}

function text(root: RootedFs, path: string): string {
  const bytes = root.readFile(path, fileLimit);
  return bytes ? Buffer.from(bytes).toString("utf8") : "";
}

function cut(user: string): [string, string?] {
  const at = user.indexOf(":");
  return at < 0 ? [user] : [user.slice(0, at), user.slice(at + 1)];
}
