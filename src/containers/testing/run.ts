import { storedEvents } from "../../events/testing/stored.ts";
import { collect, fromBuffer, readFrames } from "../../stream/mod.ts";
import type { LogOptions } from "../containers.ts";
import { body } from "./bodies.ts";
import type { Engine } from "./engine.ts";
import { FakeSocket } from "./socket.ts";

export const never = new AbortController().signal;
export const attachAll = { stdin: true, stdout: true, stderr: true, logs: false, stream: true };
export const allLogs: LogOptions = {
  stdout: true,
  stderr: true,
  follow: false,
  timestamps: false,
  since: 0n,
  until: 0n,
  details: false,
  signal: never,
};

export async function make(engine: Engine, ...args: Parameters<typeof body>): Promise<string> {
  return (await engine.containers.create({ body: body(...args) })).Id;
}

export async function makeAndStart(engine: Engine, ...args: Parameters<typeof body>): Promise<string> {
  const id = await make(engine, ...args);
  await engine.containers.start(id);
  return id;
}

export interface Done {
  readonly id: string;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Create, attach, wait, start, as `docker run` does; what is returned had arrived when `wait` answered. */
export async function run(engine: Engine, ...args: Parameters<typeof body>): Promise<Done> {
  const id = await make(engine, ...args);
  const socket = new FakeSocket();
  const session = await engine.containers.attach(id, attachAll);
  const served = session.serve(socket);
  const until = args[1]?.AutoRemove ? "removed" : "next-exit";
  const waiting = engine.containers.wait(id, until, never);
  await engine.containers.start(id);
  const { StatusCode } = await waiting;
  const { stdout, stderr } = await socket.streams();
  await served;
  return { id, code: StatusCode, stdout, stderr };
}

export async function logText(engine: Engine, id: string, options: Partial<LogOptions> = {}): Promise<string> {
  const { bytes } = await engine.containers.logs(id, { ...allLogs, ...options });
  let text = "";
  for await (const piece of readFrames(fromBuffer(await collect(bytes, 64 << 20))))
    text += Buffer.from(piece.bytes).toString();
  return text;
}

/** "die exitCode=3" and so on, of one container. */
export function eventsOf(engine: Engine, id: string): string[] {
  return storedEvents(engine.events, engine.db)
    .filter(({ Type, Actor }) => Type === "container" && Actor.ID === id)
    .map(({ Action, Actor }) =>
      [Action, Actor.Attributes["exitCode"] ?? Actor.Attributes["signal"]].filter(Boolean).join(" "),
    );
}
