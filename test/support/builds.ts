import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Answer, call } from "./api.ts";
import type { Engine } from "./engine.ts";
import { kernelObjects } from "./leaks.ts";
import { type Entry, tar } from "./tar.ts";
import { until } from "./until.ts";

export interface Built extends Answer {
  /** What the build said, as the lines that a person sees, its error last. */
  readonly said: string;
}

/** A build of a context that is written as it is told, also one that no client would send; `query` as `&dockerfile=x`. */
export async function buildOf(engine: Engine, entries: readonly Entry[], query = ""): Promise<Built> {
  const answer = await call(engine, `POST /build?nocache=1${query}`, tar(...entries));
  const lines = answer.text.split("\n").filter((line) => line !== "");
  return { ...answer, said: lines.map(textOf).join("") };
}

function textOf(line: string): string {
  const { stream, error, message } = JSON.parse(line) as { stream?: string; error?: string; message?: string };
  return stream ?? error ?? message ?? "";
}

/** Where an engine keeps what belongs to running builds alone. */
const places = (engine: Pick<Engine, "directory">) => [
  ...["work", "contexts"].map((name) => `${engine.directory}/data/builds/${name}`),
  `${engine.directory}/exec/builds`,
];

/** The one network namespace that the engine keeps ready for the next container. */
const madeAhead = /\/exec\/netns\/\+/;

async function left(engine: Engine): Promise<string[]> {
  const files = places(engine).flatMap((path) =>
    existsSync(path) ? readdirSync(path).map((one) => `${path}/${one}`) : [],
  );
  const cgroups = (await kernelObjects(await engine.tag())).cgroups.filter((path) => path.includes("/build-"));
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const ours = mounts.filter((line) => line.includes(engine.directory) && !madeAhead.test(line));
  return [...files, ...ours, ...cgroups];
}

/** No step of a build has left a file, a mount, a process or a cgroup (which the kernel keeps while a process is in it). */
export async function nothingIsLeftOfBuilds(engine: Engine): Promise<void> {
  let found: string[] = [];
  await until(
    () => `nothing is left of builds: ${found.join("\n")}`,
    async () => {
      found = await left(engine);
      return found.length === 0;
    },
  );
}

export interface Answering {
  /** Milliseconds that the daemon was silent at worst. */
  readonly silence: number;
}

/** Asks the daemon all the time whether it is there while `work` goes on. */
export async function whileAnswering<T>(engine: Engine, work: Promise<T>): Promise<T & Answering> {
  let [silence, over] = [0, false];
  const asking = (async () => {
    while (!over) {
      const asked = performance.now();
      await call(engine, "GET /_ping");
      silence = Math.max(silence, performance.now() - asked);
      await Bun.sleep(10);
    }
  })();
  const result = await work.finally(() => {
    over = true;
  });
  await asking;
  return { ...result, silence };
}

/** What a hostile context must not make. */
export const outside = "/tmp/berth-hostile-build";
