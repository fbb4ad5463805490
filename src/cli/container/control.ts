import type { Client } from "../../client/mod.ts";
import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import { bool, integer, text } from "../../flags/mod.ts";
import type { WaitAnswer } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { type CliIo, tell } from "../io.ts";
import { each } from "../session/each.ts";
import { containerPath } from "./path.ts";
import { parseGoal } from "./ready/goal.ts";
import { untilReady } from "./ready/ready.ts";
import { withStopWarning } from "./stop-warning.ts";

/** Commands that ask the engine to do one thing to each container named. */

const stopFlags = {
  signal: text("Signal to send to the container", { short: "s" }),
  timeout: integer("Seconds to wait before killing the container", { short: "t" }),
  time: integer("The same as --timeout"),
};

const stopping = (name: "stop" | "restart", summary: string, examples: readonly string[]) =>
  command({
    name,
    summary,
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    examples,
    flags: stopFlags,
    args: { min: 1 },
    run({ flags, args, client }, io) {
      const query = { signal: flags.signal || undefined, t: flags.timeout ?? flags.time };
      return each(io, args, async (one) => {
        const ask = () => client.status({ method: "POST", path: containerPath(one, `/${name}`), query });
        await withStopWarning({ name: one, timeout: query.t }, { io, client }, ask);
        return one;
      });
    },
  });

export const stop = stopping("stop", "Stop one or more running containers", ["berth stop web", "berth stop -t 30 db"]);
export const restart = stopping("restart", "Restart one or more containers", ["berth restart web"]);

export const kill = command({
  name: "kill",
  summary: "Kill one or more running containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth kill web", "berth kill -s HUP web"],
  flags: { signal: text("Signal to send to the container", { short: "s" }) },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const query = { signal: flags.signal || undefined };
    return each(io, args, async (name) => {
      await client.status({ method: "POST", path: containerPath(name, "/kill"), query });
      return name;
    });
  },
});

const plain = (name: "pause" | "unpause", summary: string) =>
  command({
    name,
    summary,
    usage: "CONTAINER [CONTAINER...]",
    examples: [`berth ${name} web`],
    flags: {},
    args: { min: 1 },
    run: ({ args, client }, io) =>
      each(io, args, async (one) => {
        await client.status({ method: "POST", path: containerPath(one, `/${name}`) });
        return one;
      }),
  });

export const pause = plain("pause", "Pause all processes within one or more containers");
export const unpause = plain("unpause", "Unpause all processes within one or more containers");

export const rm = command({
  name: "rm",
  summary: "Remove one or more containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth rm web", "berth rm -f $(berth ps -aq)"],
  flags: {
    force: bool("Force the removal of a running container (uses SIGKILL)", { short: "f" }),
    link: bool("Remove the specified link", { short: "l" }),
    volumes: bool("Remove anonymous volumes associated with the container", { short: "v" }),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const query = { force: flags.force, v: flags.volumes, link: flags.link };
    return each(io, args, async (name) => {
      try {
        await client.status({ method: "DELETE", path: flags.link ? linkPath(name) : containerPath(name), query });
        return name;
      } catch (err) {
        // `rm -f` is what clean-up scripts call: that it is not there is what they want.
        if (!flags.force || !isKind(err, "not-found")) throw err;
        await tell(io, `${messageOf(err)}\n`);
        return undefined;
      }
    });
  },
});

/** A link is removed under the name of the container that has it: `web/db`. */
function linkPath(name: string): string {
  const parts = name.split("/").filter((part) => part !== "");
  return `/containers/${parts.map(encodeURIComponent).join("/")}`;
}

/** Conditions that are an exit's, which the API has; their answer is its code. */
const exits: readonly string[] = ["not-running", "next-exit", "removed"];

interface Engine {
  readonly io: CliIo;
  readonly client: Client;
}

async function untilExit(name: string, condition: string, { client }: Engine): Promise<string> {
  const query = condition === "not-running" ? {} : { condition };
  const answer = await client.json<WaitAnswer>({ method: "POST", path: containerPath(name, "/wait"), query });
  if (answer.Error) throw new EngineError("internal", answer.Error.Message);
  return String(answer.StatusCode);
}

async function untilGoal(name: string, condition: string, engine: Engine): Promise<string> {
  await untilReady({ name, goals: [parseGoal(condition)], timeout: 0 }, engine);
  return "0";
}

export const wait = command({
  name: "wait",
  summary: "Block until one or more containers stop, then print their exit codes",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth wait job", "berth wait --condition healthy web db"],
  flags: {
    condition: text("What to wait for: not-running, next-exit, removed, running, healthy, port:N or log:REGEX", {
      initial: "not-running",
    }),
  },
  args: { min: 1 },
  run({ flags: { condition }, args, client }, io) {
    const wait = exits.includes(condition) ? untilExit : untilGoal;
    return each(io, args, (name) => wait(name, condition, { io, client }));
  },
});

export const rename = command({
  name: "rename",
  summary: "Rename a container",
  usage: "CONTAINER NEW_NAME",
  examples: ["berth rename web old-web"],
  flags: {},
  args: { min: 2, max: 2 },
  async run({ args: [name = "", next = ""], client }) {
    await client.status({ method: "POST", path: containerPath(name, "/rename"), query: { name: next } });
    return 0;
  },
});
