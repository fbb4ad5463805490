import { EngineError } from "../errors/mod.ts";
import type { RootedFs } from "../host/mod.ts";
import { type Account, accountsOf, type Group, groupsOf } from "./accounts.ts";
import type { Owner, ResolvedUser } from "./rootfs.ts";

const largestId = 2 ** 31 - 1;

/**
 * Who `USER[:GROUP]` is, as moby's and runc's `user.GetExecUser` decide: what looks like a number is one, whatever the names
 * are, and needs no entry; without a user it is root. A group that is given takes the place of all groups that have the
 * user as a member; `groupAdd` (names or numbers) comes on top. The main group is one of the further ones, too, as moby has it
 * since CVE-2022-36109: a process that gives it up must not lose what it denies. Throws "invalid" in Docker's words.
 */
export function resolveUser(
  root: RootedFs,
  { user, groupAdd = [] }: { readonly user: string; readonly groupAdd?: readonly string[] },
): ResolvedUser {
  const wanted = split(user);
  const groups = groupsOf(root);
  const { account, uid } = findUser(accountsOf(root), wanted.user || "0");
  const gid = wanted.group === "" ? (account?.gid ?? 0) : groupId(groups, wanted.group);
  const own = wanted.group === "" ? groups.filter(({ members }) => account && members.includes(account.name)) : [];
  const further = [...own.map((group) => group.gid), ...groupAdd.map((group) => groupId(groups, group))];
  return { uid, gid, additionalGids: [...new Set([gid, ...further])], home: account?.home || "/" };
}

/**
 * Whom `--chown=USER[:GROUP]` names: a name alone is also in its own group, a number alone is the group's number, too.
 * Throws "invalid" in the classic builder's words.
 */
export function resolveOwner(root: RootedFs, text: string): Owner {
  const { user, group } = split(text);
  const number = user === "" && group !== "" ? 0 : numberOf(user);
  const account = number === undefined ? accountsOf(root).find(({ name }) => name === user) : undefined;
  const uid = number === undefined ? account?.uid : inRange(number);
  if (uid === undefined) throw unconverted(`uid for user ${user}: no such user: ${user}`);
  if (group === "") return { uid, gid: account?.gid ?? uid };
  const gid = findGroup(groupsOf(root), group);
  if (gid === undefined) throw unconverted(`gid for group ${group}: no such group: ${group}`);
  return { uid, gid };
}

/** Like {@link resolveOwner}, but who is not known is root (BuildKit's `readUser`). Throws "invalid" for numbers out of range. */
export function ownerOrRoot(root: RootedFs, text: string): Owner {
  const { user, group } = split(text);
  const number = numberOf(user);
  const account = number === undefined ? accountsOf(root).find(({ name }) => name === user) : undefined;
  const uid = number === undefined ? (account?.uid ?? 0) : inRange(number);
  const own = account?.gid ?? uid;
  return { uid, gid: group === "" ? own : (findGroup(groupsOf(root), group) ?? own) };
}

function unconverted(what: string): EngineError {
  return new EngineError("invalid", `unable to convert uid/gid chown string to host mapping: can't find ${what}`);
}

function findUser(accounts: readonly Account[], wanted: string): { account?: Account; uid: number } {
  const number = numberOf(wanted);
  const account = accounts.find(({ name, uid }) => (number === undefined ? name === wanted : uid === number));
  if (account) return { account, uid: account.uid };
  if (number !== undefined) return { uid: inRange(number) };
  throw new EngineError("invalid", `unable to find user ${wanted}: no matching entries in passwd file`);
}

function groupId(groups: readonly Group[], wanted: string): number {
  const gid = findGroup(groups, wanted);
  if (gid !== undefined) return gid;
  throw new EngineError("invalid", `unable to find group ${wanted}: no matching entries in group file`);
}

function findGroup(groups: readonly Group[], wanted: string): number | undefined {
  const number = numberOf(wanted);
  return number === undefined ? groups.find(({ name }) => name === wanted)?.gid : inRange(number);
}

function numberOf(text: string): number | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
}

function inRange(id: number): number {
  if (id >= 0 && id <= largestId) return id;
  throw new EngineError("invalid", `uids and gids must be in range 0-${largestId}`);
}

function split(text: string): { user: string; group: string } {
  const [user = "", group = ""] = text.split(":", 2);
  return { user, group };
}
