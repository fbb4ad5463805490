import { constants, existsSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";

/** Moves this process into the cgroup where it is, which the kernel takes for a move like any other. One at a time. */
export class MoveAhead {
  readonly #root: string;
  readonly #own: string;
  #file: string | undefined;
  #busy = false;

  constructor(root: string, own = "/proc/self/cgroup") {
    this.#root = root;
    this.#own = own;
  }

  begin(): void {
    if (this.#busy) return;
    this.#file ??= processList(this.#root, this.#own);
    if (this.#file === "") return;
    this.#busy = true;
    void moveInto(this.#file).finally(() => {
      this.#busy = false;
    });
  }
}

/** Where this process is listed, in any hierarchy that is mounted below `root`; empty where there is none. */
export function processList(root: string, own: string): string {
  const lines = readFileSync(own, "utf8").split("\n");
  const files = lines.flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined || path.startsWith("/..")) return [];
    const names = controllers === "" ? ["", "unified"] : [controllers.replace(/^name=/, "")];
    return names.map((name) => join(root, name, path, "cgroup.procs"));
  });
  return files.find((file) => existsSync(file)) ?? "";
}

/** 0 is whoever writes it (cgroups(7)). What the kernel refuses, as in a threaded cgroup, is no loss. */
async function moveInto(file: string): Promise<void> {
  try {
    await using list = await open(file, constants.O_WRONLY);
    await list.write("0");
  } catch {
    return;
  }
}
