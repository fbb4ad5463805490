export { Bell } from "./bell.ts";
export { Flight } from "./flight.ts";
export { KeyedLock } from "./keyed-lock.ts";
export { Queue } from "./queue.ts";
export { Semaphore } from "./semaphore.ts";
export { aborted, after, raceAbort } from "./wait.ts";
