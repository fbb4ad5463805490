import type { BuildStepEvent, ProgressMessage } from "../../../wire/mod.ts";
import type { CliIo, Output } from "../../io.ts";
import { showProgress, withoutProgress } from "../../session/progress.ts";
import type { BuildFlags } from "../build-flags.ts";
import { LiveBuild } from "./live.ts";

/** "quiet": the image's id alone; "lines": the classic builder's; "live": all steps, redrawn; "json": every message as it came. */
export type BuildScreen = "quiet" | "lines" | "live" | "json";

export function screenOf({ quiet, progress }: Pick<BuildFlags, "quiet" | "progress">, io: CliIo): BuildScreen {
  if (quiet) return "quiet";
  switch (progress) {
    case "auto":
      return io.stdout.isTTY && io.stderr.isTTY ? "live" : "lines";
    case "tty":
      return "live";
    case "plain":
      return "lines";
    case "rawjson":
      return "json";
    default:
      return progress satisfies never;
  }
}

interface Showing {
  readonly io: CliIo;
  readonly screen: BuildScreen;
  /** For lines: not standard output where the result itself goes there. */
  readonly to: Output;
}

/** Follows the build and returns the image's id. Throws what made it fail; "quiet" then shows what was built. */
export async function showBuild(lines: AsyncIterable<ProgressMessage>, { io, screen, to }: Showing): Promise<string> {
  const said: string[] = [];
  const aux = await showProgress(shown(lines, { io, screen, said }), to).catch(async (err) => {
    if (screen === "quiet") await io.stderr.print(said.join(""));
    throw err;
  });
  const id = aux.map((one) => (one as { ID?: string }).ID).findLast((one) => one !== undefined);
  const result = id ?? said.join("").trim();
  if (screen === "quiet") await to.print(`${result}\n`);
  return result;
}

/** What is left to show in lines. */
function shown(
  lines: AsyncIterable<ProgressMessage>,
  { io, screen, said }: Omit<Showing, "to"> & { said: string[] },
): AsyncIterable<ProgressMessage> {
  switch (screen) {
    case "quiet":
      return withoutProgress(heard(lines, said));
    case "lines":
      return lines;
    case "live":
      return live(lines, io);
    case "json":
      return withoutProgress(printed(lines, io));
    default:
      return screen satisfies never;
  }
}

async function* heard(lines: AsyncIterable<ProgressMessage>, said: string[]): AsyncIterable<ProgressMessage> {
  for await (const line of lines) {
    if (line.stream !== undefined) said.push(line.stream);
    yield line;
  }
}

async function* printed(lines: AsyncIterable<ProgressMessage>, io: CliIo): AsyncIterable<ProgressMessage> {
  for await (const line of lines) {
    await io.stderr.write(`${JSON.stringify(line)}\n`);
    yield line;
  }
}

/** An engine that knows no steps tells none, and is shown in lines. The last frame comes before what is said of the result. */
async function* live(lines: AsyncIterable<ProgressMessage>, io: CliIo): AsyncIterable<ProgressMessage> {
  let view: LiveBuild | undefined;
  try {
    for await (const line of lines) {
      const event = stepEvent(line);
      if (event) {
        view ??= new LiveBuild(io);
        view.apply(event);
        continue;
      }
      await view?.[Symbol.asyncDispose]();
      yield line;
    }
  } finally {
    await view?.[Symbol.asyncDispose]();
  }
}

function stepEvent({ aux }: ProgressMessage): BuildStepEvent | undefined {
  const isStep = typeof aux === "object" && aux !== null && ("Steps" in aux || "Step" in aux);
  return isStep ? (aux as BuildStepEvent) : undefined;
}
