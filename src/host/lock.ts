import { libc } from "./libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

/** flock(2), exclusive, without waiting: false while another open file description holds it. */
export function tryLock(fd: number): boolean {
  return libc.flock(fd, LOCK_EX | LOCK_NB) === 0;
}
