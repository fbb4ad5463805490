import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { openParent } from "./rooted.ts";

const directoryFlags = 0o10000000 | constants.O_DIRECTORY;
/** A process whose root lies deeper than this in its container is not looked for. */
const deepest = 1000;

export interface ProcessRoot extends Disposable {
  /** For `confined`, until it is disposed of. */
  readonly path: string;
}

/**
 * The root of a process's mount namespace with all that is mounted there, which stays as long as this does, although the
 * process may end. `expected` says which directory that must be: a process's number may have passed to another process. A
 * process that has another root (chroot(2)) is led up from there: `..` ends only at the asking thread's own root, or where
 * nothing is above. undefined when there is no such process or its root is another. The namespace is not entered: threads
 * that the JavaScript runtime starts meanwhile would stay in it for ever.
 */
export function openProcessRoot(
  pid: number,
  expected: { readonly dev: bigint; readonly ino: bigint },
): ProcessRoot | undefined {
  const root = ifThere(() => openSync(`/proc/${pid}/root`, directoryFlags));
  if (root === undefined) return undefined;
  const found = climb(root, expected);
  if (found === undefined) return undefined;
  const namespace = ifThere(() => openSync(`/proc/${pid}/ns/mnt`, constants.O_RDONLY));
  const close = () => {
    closeSync(found);
    if (namespace !== undefined) closeSync(namespace);
  };
  if (namespace !== undefined) return { path: `/proc/self/fd/${found}`, [Symbol.dispose]: close };
  close();
  return undefined;
}

/** Takes over the descriptor. */
function climb(from: number, { dev, ino }: { readonly dev: bigint; readonly ino: bigint }): number | undefined {
  let at = from;
  for (let steps = 0; steps < deepest; steps++) {
    const here = fstatSync(at, { bigint: true });
    if (here.dev === dev && here.ino === ino) return at;
    const above = openParent(at);
    closeSync(at);
    if (above < 0) return undefined;
    at = above;
  }
  closeSync(at);
  return undefined;
}

function ifThere<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (err) {
    if (["ENOENT", "ESRCH"].includes((err as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw err;
  }
}
