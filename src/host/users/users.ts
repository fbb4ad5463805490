import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { EngineError, wrap } from "../../errors/mod.ts";
import type { Processes } from "../host.ts";
import { bindNamespace, claimPath, removeNamespace, withProcess } from "../namespace-files.ts";
import { type IdMap, mapText, parseMap } from "./id-map.ts";

/** User namespaces (user_namespaces(7)): who is who inside and outside. */
export interface UserNamespaces {
  /**
   * A new one with these ids, bound at `path`, without a process. Throws "conflict" when the path exists, "unavailable" where the
   * kernel has none to give; nothing is left then.
   */
  create(path: string, map: IdMap): Promise<void>;
  /** Unmounts and removes what {@link UserNamespaces.create} made. No error when it is gone. */
  remove(path: string): void;
  /** The map of a process's namespace; undefined when that is our own. Throws "conflict" when there is no such process. */
  mapOf(pid: number): IdMap | undefined;
  /** Whether two processes are in the same one. Throws as {@link UserNamespaces.mapOf}. */
  same(pid: number, other: number): boolean;
}

export function createUserNamespaces(processes: Pick<Processes, "spawn">): UserNamespaces {
  return {
    create: (path, map) => create(processes, path, map),
    remove: removeNamespace,
    mapOf,
    same: (pid, other) => nameOf(pid) === nameOf(other),
  };
}

async function create(processes: Pick<Processes, "spawn">, path: string, map: IdMap): Promise<void> {
  claimPath(path);
  try {
    await withProcess(processes, ["unshare", "--user", "--", "cat"], (pid) => {
      // Each may be written once, in one piece, by somebody privileged in the namespace above.
      writeFileSync(`/proc/${pid}/uid_map`, mapText(map.uids));
      writeFileSync(`/proc/${pid}/gid_map`, mapText(map.gids));
      bindNamespace(`/proc/${pid}/ns/user`, path);
    });
  } catch (err) {
    removeNamespace(path);
    throw wrap(err, `Create a user namespace at ${path}`);
  }
}

function mapOf(pid: number): IdMap | undefined {
  if (nameOf(pid) === nameOf("self")) return undefined;
  const read = (file: string) => parseMap(ofProcess(pid, () => readFileSync(`/proc/${pid}/${file}`, "utf8")));
  return { uids: read("uid_map"), gids: read("gid_map") };
}

function nameOf(pid: number | "self"): string {
  return ofProcess(pid, () => readlinkSync(`/proc/${pid}/ns/user`));
}

function ofProcess(pid: number | "self", read: () => string): string {
  try {
    return read();
  } catch (err) {
    throw new EngineError("conflict", `The process ${pid} is not running`, { cause: err });
  }
}
