import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { contentMigrations, openContent } from "../content/mod.ts";
import { openDb } from "../db/mod.ts";
import { EngineError, messageOf } from "../errors/mod.ts";
import { parseFlags } from "../flags/mod.ts";
import { openCollector } from "../gc/mod.ts";
import { type Server, serve } from "../http/mod.ts";
import { createLog, type Log } from "../log/mod.ts";
import {
  noSuchPath,
  openTagStore,
  problemOf,
  registryMigrations,
  registryRoots,
  registryRoutes,
} from "../registry-server/mod.ts";
import { flagHelp } from "./help.ts";
import { holdLock } from "./lock.ts";
import { registryFlags } from "./registry-flags.ts";
import { untilStopped } from "./signals.ts";

/** `berth registry serve`: runs until it is told to stop; returns the exit status. */
export async function registryMain(argv: readonly string[]): Promise<number> {
  try {
    const { values, rest } = parseFlags(registryFlags, argv, { interspersed: true });
    if (values.help) {
      process.stdout.write(
        flagHelp("berth registry serve", "Serve a directory as a registry (OCI distribution)", registryFlags),
      );
      return 0;
    }
    if (rest[0] !== undefined) throw new EngineError("invalid", `unknown argument ${JSON.stringify(rest[0])}`);
    if (/^[a-z0-9]+:\/\//.test(values.storage)) {
      throw new EngineError(
        "not-implemented",
        `storage ${values.storage} is not implemented yet: --storage takes a directory`,
      );
    }
    const log = createLog(values["log-level"], (line) => process.stderr.write(line));
    await using server = await startRegistry({ listen: values.listen, storage: resolve(values.storage), log });
    log.info("Registry is ready", { listen: server.address, storage: values.storage });
    log.info("Registry stops", { signal: await untilStopped() });
    return 0;
  } catch (err) {
    process.stderr.write(`berth registry: ${messageOf(err)}\n`);
    return 1;
  }
}

export interface RegistryOptions {
  /** `HOST:PORT`; port 0 chooses one. */
  readonly listen: string;
  readonly storage: string;
  readonly log: Log;
}

/** A registry on a directory of its own. Throws "conflict" while another process serves the same directory. */
export async function startRegistry({ listen, storage, log }: RegistryOptions): Promise<Server> {
  await using undo = new AsyncDisposableStack();
  await mkdir(storage, { recursive: true, mode: 0o700 });
  undo.use(holdLock(join(storage, "lock")));
  const stopping = new AbortController();
  const db = undo.use(openDb(join(storage, "registry.db"), [...contentMigrations, ...registryMigrations]));
  const content = await openContent({ db, directory: join(storage, "content") });
  const collector = openCollector({ db, content, owners: ["registry"] });
  collector.register("registry", registryRoots);
  const tags = openTagStore(db);
  const server = await serve({
    listen: listen.includes("://") ? listen : `tcp://${listen}`,
    routes: registryRoutes({ content, tags, leases: collector, collector, log, signal: stopping.signal }),
    onError: (err, request) => {
      log.debug("Request failed", { ...request, error: err });
      return problemOf(err);
    },
    onMissing: noSuchPath,
  });
  undo.use(server);
  undo.defer(() => stopping.abort());
  const rest = undo.move();
  return { address: server.address, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
