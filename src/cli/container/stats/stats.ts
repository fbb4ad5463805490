import { after } from "../../../async/mod.ts";
import type { Client } from "../../../client/mod.ts";
import { isKind, messageOf } from "../../../errors/mod.ts";
import { bool, text } from "../../../flags/mod.ts";
import type { ContainerStats } from "../../../wire/mod.ts";
import { command } from "../../command.ts";
import { type CliIo, colours, tell } from "../../io.ts";
import { formatHelp } from "../../output/format.ts";
import { renderList, showList } from "../../output/table.ts";
import { containerPath } from "../path.ts";
import { columns, type Measured, shown } from "./figures.ts";
import { keepUp, listed, Watched } from "./watched.ts";

export const stats = command({
  name: "stats",
  summary: "Display a live stream of container(s) resource usage statistics",
  usage: "[OPTIONS] [CONTAINER...]",
  examples: ["berth stats", "berth stats --no-stream --format '{{.Name}} {{.CPUPerc}}' web db"],
  flags: {
    all: bool("Show all containers (default shows just running)", { short: "a" }),
    format: text(formatHelp),
    "no-stream": bool("Disable streaming stats and only pull the first result"),
    "no-trunc": bool("Do not truncate output"),
  },
  args: { min: 0 },
  async run({ flags, args, client }, io) {
    const full = flags["no-trunc"];
    const view = { columns: columns(full), shown, format: flags.format, full };
    const names = [...new Set(args)];
    if (flags["no-stream"]) return once(io, { client, names, all: flags.all, view });
    return follow(io, { client, names, all: flags.all, view });
  },
});

type View = Parameters<typeof showList<Measured>>[2];

interface Asked {
  readonly client: Client;
  /** None: whatever runs. */
  readonly names: readonly string[];
  readonly all: boolean;
  readonly view: View;
}

async function once(io: CliIo, { client, names, all, view }: Asked): Promise<number> {
  const wanted = names.length > 0 ? names : await listed(client, all);
  const answers = await Promise.allSettled(wanted.map((name) => measure(client, name)));
  const found = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = answers.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
  // One that was removed since it was listed is nobody's mistake.
  const errors = names.length > 0 ? failed : failed.filter((err) => !isKind(err, "not-found"));
  if (errors.length === 0) return showList(io, found, view);
  await tell(io, errors.map((err) => `${messageOf(err)}\n`).join(""));
  return 1;
}

async function measure(client: Client, container: string): Promise<Measured> {
  const query = { stream: false };
  const stats = await client.json<ContainerStats>({ method: "GET", path: containerPath(container, "/stats"), query });
  return { container, stats };
}

/** Milliseconds from one picture to the next: a screen shows what is new soon, a pipe gets each sample about once. */
const refresh = { screen: 500, pipe: 1000 } as const;

async function follow(io: CliIo, asked: Asked): Promise<number> {
  const { client, names, all } = asked;
  const watched = new Watched(client);
  const stop = new AbortController();
  try {
    if (names.length > 0) await Promise.all(names.map((name) => watched.add(name)));
    else await watchAll(watched, { client, all, signal: stop.signal });
    for (;;) {
      watched.check();
      if (names.length > 0 && watched.size === 0) return 0;
      await draw(io, watched.measured(), asked.view);
      await after(io.stdout.isTTY ? refresh.screen : refresh.pipe, stop.signal);
    }
  } finally {
    stop.abort();
    watched.stop();
  }
}

/** News is listened to before the list is asked for, so that nobody who comes in between is missed. */
async function watchAll(
  watched: Watched,
  { client, all, signal }: { readonly client: Client; readonly all: boolean; readonly signal: AbortSignal },
): Promise<void> {
  keepUp(watched, { client, all, signal }).catch((err) => watched.fail(err));
  const ids = await listed(client, all);
  await Promise.allSettled(ids.map((id) => watched.add(id)));
}

/** On a terminal over the picture before, with as many lines as fit; elsewhere one after the other. */
async function draw(io: CliIo, rows: readonly Measured[], view: View): Promise<void> {
  const { isTTY, columns: width, rows: height } = io.stdout;
  const picture = renderList(rows, { ...view, width: view.full ? undefined : width, bold: colours(io) });
  if (!isTTY) return io.stdout.write(picture);
  const lines = picture
    .split("\n")
    .slice(0, -1)
    .slice(0, Math.max(1, (height ?? 24) - 1));
  await io.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
}
