import { lstatSync, readFileSync, realpathSync, rmdirSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { confined } from "../confined.ts";
import type { Job } from "../host.ts";
import { walk } from "./walk.ts";

/**
 * Deletes a file, or a directory with all that is in it: `rm -rf`. Trees may be deeper than PATH_MAX; symlinks are not
 * followed, and a mount at or below the path is a reason to delete nothing ("conflict"). No error when there is nothing.
 */
export const removeTree: Job<{ readonly path: string }, void> = {
  name: "removeTree",
  run: ({ path }, context) => {
    const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat?.isDirectory()) {
      refuseMounts(path);
      confined(path, () => empty(stat.dev, context.check));
      rmdirSync(path);
    } else if (stat) unlinkSync(path);
  },
};

/** The caller's abort stops it between entries. */
function empty(device: bigint, check: () => void): void {
  walk({
    entry: ({ name, stat }) => {
      check();
      if (!stat.isDirectory()) unlinkSync(name);
      else if (stat.dev !== device) throw mounted(String(name));
      return stat.isDirectory();
    },
    left: ({ name }) => rmdirSync(name),
  });
}

function refuseMounts(path: string): void {
  const real = join(realpathSync(dirname(path)), basename(path));
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const target = unescapeOctal(line.split(" ")[4] ?? "");
    if (target === real || target.startsWith(`${real}/`)) throw mounted(target);
  }
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function mounted(path: string): EngineError {
  return new EngineError("conflict", `Cannot delete ${path}: something is mounted there`);
}
