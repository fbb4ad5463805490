import { writeFileSync } from "node:fs";
import { messageOf } from "../errors/mod.ts";
import { createLog } from "../log/mod.ts";
import { versionText } from "../version/mod.ts";
import { daemonFlags, readConfig } from "./config.ts";
import { flagHelp } from "./help.ts";
import { preflight } from "./preflight.ts";
import { reportOnSignal, untilStopped } from "./signals.ts";
import { startDaemon } from "./start.ts";

/** `berth daemon`: runs in the foreground until it is told to stop; containers go on running. Returns the exit status. */
export async function daemonMain(argv: readonly string[]): Promise<number> {
  try {
    if (argv.includes("--help")) {
      process.stdout.write(flagHelp("berth daemon", "Run the engine in the foreground", daemonFlags));
      return 0;
    }
    const config = readConfig(argv);
    const log = createLog(config.logLevel, (line) => process.stderr.write(line));
    preflight(Bun.which);
    const stopped = untilStopped();
    reportOnSignal(log);
    await using daemon = await startDaemon(config, log);
    writeFileSync(config.pidfile, `${process.pid}\n`);
    log.info("Daemon is ready", {
      version: versionText(),
      listen: daemon.addresses.join(","),
      dataRoot: config.dataRoot,
    });
    log.info("Daemon stops; containers go on running", { signal: await stopped });
    return 0;
  } catch (err) {
    process.stderr.write(`berth daemon: ${messageOf(err)}\n`);
    return 1;
  }
}
