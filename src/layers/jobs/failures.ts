import { EngineError, wrap } from "../../errors/mod.ts";
import { type LayerPath, show } from "./paths.ts";

/** What an archive, not this machine, is to blame for. */
const archiveFaults = ["ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "EINVAL", "EEXIST", "EPERM", "EMLINK"];
const noRoom = ["ENOSPC", "EDQUOT"];

/** An error of a file system call while an entry is unpacked, with the entry's name and the kind that it deserves. */
export function describe(err: unknown, path: LayerPath): unknown {
  if (err instanceof EngineError) return wrap(err, `entry ${show(path)}`);
  const code = (err as NodeJS.ErrnoException).code ?? "";
  const text = `entry ${show(path)}: ${code || String(err)}`;
  if (noRoom.includes(code)) return new EngineError("unavailable", `${text}: no space left on device`, { cause: err });
  return new EngineError(archiveFaults.includes(code) ? "invalid" : "internal", text, { cause: err });
}

export function existed(err: unknown): boolean {
  return (err as NodeJS.ErrnoException).code === "EEXIST";
}
