import { EngineError } from "../../errors/mod.ts";
import { command } from "../command.ts";

/**
 * `berth daemon` and `berth registry serve` are other roles of the same program, chosen in main.ts before the command line is
 * loaded. They stand in the tree so that help and completion know them.
 */
const role = (words: string, summary: string, examples: readonly string[]) =>
  command({
    name: words.split(" ").at(-1) ?? words,
    summary,
    usage: "[OPTIONS]",
    examples,
    flags: {},
    args: { min: 0 },
    interspersed: false,
    run: () =>
      Promise.reject(
        new EngineError("invalid", `options before "${words}" are not supported: write berth ${words} first`),
      ),
  });

export const daemonHelp = role("daemon", "Run the engine in the foreground (its own --help has the options)", [
  "berth daemon",
  "berth daemon --data-root /srv/berth --exec-root /run/berth2",
]);
export const registryHelp = role("registry serve", "Serve a directory as a registry (its own --help has the options)", [
  "berth registry serve --listen 127.0.0.1:5000 --storage /srv/registry",
]);
