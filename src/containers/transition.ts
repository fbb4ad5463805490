import { EngineError, type ErrorKind } from "../errors/mod.ts";

/**
 * How far a container's row says that it got. `creating` and `removing` are seen by others only after a crash or for the
 * moment that the step takes; everything else is Docker's word.
 */
export const phases = ["creating", "created", "running", "paused", "restarting", "exited", "removing", "dead"] as const;
export type Phase = (typeof phases)[number];

/** What can be asked of a container. `exited` is the kernel's word, all others are a user's or the engine's. */
export const steps = [
  "prepared",
  "start",
  "exited",
  "retry",
  "stop",
  "kill",
  "pause",
  "unpause",
  "exec",
  "attach",
  "remove",
  "forceRemove",
  "commit",
] as const;
export type Step = (typeof steps)[number];

export interface Who {
  readonly id: string;
  readonly name: string;
}

interface Refusal {
  readonly kind: ErrorKind;
  readonly say: (who: Who) => string;
}

type Outcome = Phase | Refusal;

const no = (kind: ErrorKind, say: (who: Who) => string): Refusal => ({ kind, say });
const notRunning = no("conflict", ({ id }) => `container ${id} is not running`);
const already = no("not-modified", ({ id }) => `container ${id} is in that state already`);
const notPaused = no("conflict", ({ id }) => `Container ${id} is not paused`);
const marked = no("conflict", ({ id }) => `container ${id} is marked for removal and cannot be started`);
const gone = no("not-found", ({ id }) => `No such container: ${id}`);
const beingRemoved = no("conflict", ({ id }) => `removal of container ${id} is already in progress`);
const removal = (state: string, advice: string) =>
  no("conflict", ({ name }) => `cannot remove container "/${name}": container is ${state}${advice}`);
const stopFirst = ": stop the container before removing or force remove";
const restarting = no("conflict", ({ id }) => `Container ${id} is restarting, wait until the container is running`);

/** The rows for a container that has no process. */
const still = { stop: already, kill: notRunning, pause: notRunning, unpause: notPaused, exec: notRunning } as const;
const unborn = { start: gone, stop: gone, kill: gone, pause: gone, unpause: gone, exec: gone, attach: gone } as const;

const table: Readonly<Record<Phase, Partial<Readonly<Record<Step, Outcome>>>>> = {
  creating: { ...unborn, prepared: "created", remove: "removing", forceRemove: "removing" },
  created: {
    ...still,
    start: "running",
    exited: "created",
    attach: "created",
    remove: "removing",
    forceRemove: "removing",
    commit: "created",
  },
  running: {
    start: already,
    exited: "exited",
    stop: "running",
    kill: "running",
    pause: "paused",
    unpause: notPaused,
    exec: "running",
    attach: "running",
    remove: removal("running", stopFirst),
    forceRemove: "running",
    commit: "running",
  },
  paused: {
    start: no("conflict", () => "cannot start a paused container, try unpause instead"),
    exited: "exited",
    stop: "paused",
    kill: "paused",
    pause: no("conflict", ({ id }) => `Container ${id} is already paused`),
    unpause: "running",
    exec: no("conflict", ({ id }) => `Container ${id} is paused, unpause the container before exec`),
    attach: no("conflict", ({ id }) => `container ${id} is paused, unpause the container before attach`),
    remove: removal("paused and must be unpaused first", ""),
    forceRemove: "paused",
    commit: "paused",
  },
  restarting: {
    start: "running",
    stop: "exited",
    kill: "exited",
    pause: restarting,
    unpause: notPaused,
    exec: restarting,
    attach: no("conflict", ({ id }) => `container ${id} is restarting, wait until the container is running`),
    remove: removal("restarting", stopFirst),
    forceRemove: "removing",
    commit: "restarting",
  },
  exited: {
    ...still,
    start: "running",
    retry: "restarting",
    attach: "exited",
    remove: "removing",
    forceRemove: "removing",
    commit: "exited",
  },
  removing: {
    ...still,
    start: marked,
    attach: marked,
    remove: beingRemoved,
    forceRemove: beingRemoved,
    commit: no("conflict", ({ id }) => `You cannot commit container ${id} which is being removed`),
  },
  dead: {
    ...still,
    start: marked,
    attach: marked,
    remove: "removing",
    forceRemove: "removing",
    commit: no("conflict", ({ id }) => `You cannot commit container ${id} which is Dead`),
  },
};

/**
 * The phase that a step leads to: the only place that says which step is legal when. Throws the refusal's kind with
 * Docker's words ("not-modified" for what is so already), "internal" for a step that the engine must never take there.
 */
export function transition(phase: Phase, step: Step, who: Who): Phase {
  const outcome = table[phase][step];
  if (outcome === undefined) throw new EngineError("internal", `Container ${who.id}: no step ${step} from ${phase}`);
  if (typeof outcome === "string") return outcome;
  throw new EngineError(outcome.kind, outcome.say(who));
}

/** True while there is a process: `docker inspect` calls it Running. */
export function isLive(phase: Phase): boolean {
  return phase === "running" || phase === "paused";
}
