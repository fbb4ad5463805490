import { EngineError } from "../errors/mod.ts";
import type { RootedFs } from "../host/mod.ts";

/** Users and groups by an image's own /etc/passwd and /etc/group; both are hostile input. */
export interface BuildUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const fileLimit = 64 * 1024 * 1024;

/** Who USER names: numbers need no entry, a name alone brings all its groups (runc `libcontainer/user`, `GetExecUser`). Throws "invalid". */
export function runUser(root: RootedFs, text: string): BuildUser {
  const { user, group } = split(text);
  const groups = groupsOf(root);
  const account = accountOf(root, user || "0");
  const uid = account?.uid ?? idOf(user || "0");
  if (uid === undefined)
    throw new EngineError("invalid", `unable to find user ${user}: no matching entries in passwd file`);
  const gid = group === "" ? (account?.gid ?? 0) : groupId(groups, group);
  if (gid === undefined)
    throw new EngineError("invalid", `unable to find group ${group}: no matching entries in group file`);
  const name = account?.name ?? user;
  const further = group === "" ? groups.filter((one) => one.members.includes(name)).map((one) => one.gid) : [];
  return { uid, gid, additionalGids: [...new Set(further)], home: account?.home || "/" };
}

/** Who --chown names: a number alone is also the group's number. Throws "invalid" in the classic builder's words. */
export function chownOwner(root: RootedFs, text: string): { uid: number; gid: number } {
  const { user, group } = split(text);
  const account = idOf(user) === undefined ? accountOf(root, user) : undefined;
  const uid = idOf(user) ?? account?.uid;
  if (uid === undefined) throw unknown(`uid for user ${user}: no such user: ${user}`);
  if (group === "") return { uid, gid: account?.gid ?? uid };
  const gid = groupId(groupsOf(root), group);
  if (gid === undefined) throw unknown(`gid for group ${group}: no such group: ${group}`);
  return { uid, gid };
}

function unknown(what: string): EngineError {
  return new EngineError("invalid", `unable to convert uid/gid chown string to host mapping: can't find ${what}`);
}

function split(text: string): { user: string; group: string } {
  const [user = "", group = ""] = text.split(":", 2);
  return { user, group };
}

function accountOf(root: RootedFs, user: string): Account | undefined {
  const accounts = lines(root, "/etc/passwd").map(
    ([name = "", , uid, gid, , home = ""]): Account => ({ name, uid: idOf(uid) ?? -1, gid: idOf(gid) ?? 0, home }),
  );
  const id = idOf(user);
  const valid = accounts.filter((account) => account.uid >= 0);
  return valid.find(({ name }) => name === user) ?? valid.find(({ uid }) => uid === id);
}

function groupsOf(root: RootedFs): Group[] {
  return lines(root, "/etc/group").flatMap(([name = "", , gid, members = ""]) => {
    const id = idOf(gid);
    return id === undefined ? [] : [{ name, gid: id, members: members.split(",").filter((member) => member !== "") }];
  });
}

function groupId(groups: readonly Group[], text: string): number | undefined {
  return groups.find(({ name }) => name === text)?.gid ?? idOf(text);
}

function idOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 31 ? Number(text) : undefined;
}

function lines(root: RootedFs, path: string): string[][] {
  const text = Buffer.from(root.readFile(path, fileLimit) ?? []).toString("utf8");
  return text.split("\n").map((line) => line.trim().split(":"));
}
