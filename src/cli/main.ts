import { type Client, connect } from "../client/mod.ts";
import { isKind, messageOf } from "../errors/mod.ts";
import { bool, parseFlags, text } from "../flags/mod.ts";
import { versionText } from "../version/mod.ts";
import { type Group, usageStatus } from "./command.ts";
import { type CliIo, print, processIo, tell } from "./io.ts";
import { type Found, find, unknownWord } from "./lookup.ts";
import { root } from "./tree.ts";

const globalFlags = {
  config: text("Directory of config.json, which holds logins (default: DOCKER_CONFIG, ~/.docker)", {
    placeholder: "DIR",
  }),
  host: text("Engine to connect to (default: BERTH_HOST, DOCKER_HOST, unix:///run/berth.sock)", {
    short: "H",
    placeholder: "ADDR",
  }),
  help: bool("Show help", { short: "h" }),
  version: bool("Show the version", { short: "v" }),
};

export interface CliOptions {
  readonly io?: CliIo;
  /** How to reach an engine; tests put one of their own here. */
  readonly connectTo?: (host: string) => Client;
}

/** Runs one command line and returns its exit status. Never throws. */
export async function cliMain(argv: readonly string[], options: CliOptions = {}): Promise<number> {
  const io = options.io ?? processIo();
  try {
    return await dispatch(argv, io, options.connectTo ?? connect);
  } catch (err) {
    if (!isKind(err, "canceled")) await tell(io, `${messageOf(err)}\n`);
    return 1;
  }
}

async function dispatch(argv: readonly string[], io: CliIo, connectTo: (host: string) => Client): Promise<number> {
  const parsed = globals(argv);
  if (typeof parsed === "string") return misunderstood(io, parsed);
  const { values, rest } = parsed;
  if (values.version) return print(io, `${versionText()}\n`).then(() => 0);
  const asked = rest[0] === "help";
  const found = find(root, asked ? rest.slice(1) : rest);
  const words = ["berth", ...found.words].join(" ");
  if (found.target.kind === "group") return groupAnswer(found, { target: found.target, words, io });
  const context = { io: withConfig(io, values.config), client: connectTo(hostOf(values.host, io)), words };
  return found.target.execute(asked || values.help ? ["--help"] : found.rest, context);
}

function globals(argv: readonly string[]) {
  try {
    return parseFlags(globalFlags, argv, { interspersed: false });
  } catch (err) {
    return messageOf(err);
  }
}

async function misunderstood(io: CliIo, reason: string): Promise<number> {
  await tell(io, `${reason}\n\nUsage:  berth [OPTIONS] COMMAND [ARG...]\n\nRun 'berth --help' for more information\n`);
  return usageStatus;
}

interface Asked {
  readonly target: Group;
  readonly words: string;
  readonly io: CliIo;
}

async function groupAnswer(found: Found, { target, words, io }: Asked): Promise<number> {
  const unknown = found.rest[0];
  if (unknown !== undefined && unknown !== "--help" && unknown !== "-h") {
    await tell(io, unknownWord(target, { word: unknown, words }));
    return 1;
  }
  const { groupHelp } = await import("./help.ts");
  await print(io, groupHelp(target, words, globalFlags));
  return 0;
}

function hostOf(given: string, io: CliIo): string {
  return given || io.env["BERTH_HOST"] || io.env["DOCKER_HOST"] || "unix:///run/berth.sock";
}

function withConfig(io: CliIo, directory: string): CliIo {
  if (directory === "") return io;
  const env = { value: { ...io.env, DOCKER_CONFIG: directory } };
  return Object.create(io, { env }) as CliIo; // not a copy, which would open every stream
}
