import { type BigIntStats, lstatSync, readdirSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { errnoName } from "../errno.ts";
import { cString, errno, libc } from "../libc.ts";

export interface Found {
  readonly name: Buffer;
  /** The directory it is in, relative to where the walk began: empty, or ending in a slash. */
  readonly directory: Buffer;
  readonly stat: BigIntStats;
}

/** Told of every entry below, with the thread's working directory being the entry's own, so that `name` opens it however deep it lies. */
export interface Visitor {
  /** A directory is entered when this returns true. */
  entry(found: Found): boolean;
  /** A directory that was entered, after all that is in it. */
  left?(found: Found): void;
}

interface Level {
  /** Undefined for the root of the walk. */
  readonly found?: Found;
  readonly stat: BigIntStats;
  readonly directory: Buffer;
  readonly names: readonly Buffer[];
  at: number;
}

const slash = Buffer.of(0x2f);

/**
 * Walks what is below the thread's working directory, in the order of names' bytes, never following a symlink, to any
 * depth. To be called inside `confined`, which also restores the working directory. What vanishes meanwhile is left out;
 * a directory that is moved elsewhere while the walk is in it fails it ("conflict").
 */
export function walk(visitor: Visitor): void {
  const stack: Level[] = [{ stat: here(), directory: Buffer.alloc(0), names: list(), at: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const name = top.names[top.at++];
    if (name) {
      const below = step(visitor, { name, level: top });
      if (below) stack.push(below);
      continue;
    }
    stack.pop();
    const parent = stack.at(-1);
    if (!parent) return;
    changeTo(Buffer.from(".."), parent.stat);
    if (top.found) visitor.left?.(top.found);
  }
}

function step(visitor: Visitor, { name, level }: { name: Buffer; level: Level }): Level | undefined {
  const stat = lstatSync(name, { bigint: true, throwIfNoEntry: false });
  if (!stat) return undefined;
  const found: Found = { name, directory: level.directory, stat };
  if (!visitor.entry(found) || !stat.isDirectory() || !changeTo(name, stat)) return undefined;
  const directory = Buffer.concat([level.directory, name, slash]);
  return { found, stat, directory, names: list(), at: 0 };
}

function here(): BigIntStats {
  return lstatSync(".", { bigint: true });
}

/** Empty for a directory that was removed meanwhile. */
function list(): Buffer[] {
  try {
    const names = readdirSync(".", { encoding: "buffer" }) as Buffer[];
    return names.sort(Buffer.compare);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw err;
  }
}

/** False when it is gone. chdir(2) follows a symlink put in the directory's place, hence the look afterwards. */
function changeTo(name: Buffer, expected: BigIntStats): boolean {
  if (libc.chdir(cString(name)) !== 0) {
    const why = errnoName(errno());
    if (why === "ENOENT" || why === "ENOTDIR") return false;
    throw new EngineError("internal", `Enter ${JSON.stringify(String(name))}: ${why}`);
  }
  const { dev, ino } = here();
  if (dev === expected.dev && ino === expected.ino) return true;
  throw new EngineError("conflict", `${JSON.stringify(String(name))} was moved while it was read`);
}
