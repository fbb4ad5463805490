import { readFileSync } from "node:fs";

/** The type of the file system that a path is on: the mount with the longest path above it. */
export function backing(path: string): string {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const above = mounts.filter(([, target = ""]) => target === "/" || path === target || path.startsWith(`${target}/`));
  return above.toSorted((a, b) => (b[1]?.length ?? 0) - (a[1]?.length ?? 0))[0]?.[2] ?? "unknown";
}
