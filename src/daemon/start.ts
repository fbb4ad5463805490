import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { apiErrors, apiHeaders, apiMissing, apiRoutes, apiVersion } from "../api/mod.ts";
import { createBuildKit } from "../buildkit/mod.ts";
import { type Server, serve } from "../http/mod.ts";
import type { Log } from "../log/mod.ts";
import { version } from "../version/mod.ts";
import { createBuildKitEngine, createBuildService } from "./build-service.ts";
import type { DaemonConfig } from "./config.ts";
import { openEngine } from "./engine.ts";
import { socketGroup } from "./group.ts";
import { holdLock } from "./lock.ts";
import { createSystemService } from "./system.ts";

export interface Daemon extends AsyncDisposable {
  /** Where it listens, with real ports. */
  readonly addresses: readonly string[];
}

/**
 * Builds the engine in layer order, recovers what an earlier daemon left, and listens last, so that nobody is answered before
 * the rows are true. Disposing goes the other way; containers go on running. Throws "conflict" while another daemon has one
 * of the roots.
 */
export async function startDaemon(config: DaemonConfig, log: Log): Promise<Daemon> {
  await using undo = new AsyncDisposableStack();
  for (const root of [config.dataRoot, config.execRoot]) {
    await mkdir(root, { recursive: true, mode: 0o711 });
    undo.use(holdLock(join(root, "lock")));
  }
  undo.defer(() => rm(config.pidfile, { force: true }));
  const engine = undo.use(await openEngine(config, log));
  const buildKit = createBuildKit(createBuildKitEngine(engine, config), engine);
  const routes = apiRoutes({
    ...engine,
    build: createBuildService(engine, config, buildKit),
    buildKit,
    system: createSystemService(engine, config),
  });
  const servers: Server[] = [];
  for (const listen of config.hosts) {
    const socket = { mode: 0o660, gid: socketGroup(config.group) };
    const common = { routes, onError: apiErrors(log), onMissing: apiMissing, headers: apiHeaders(version) };
    const { http2 } = buildKit;
    servers.push(undo.use(await serve({ listen, ...common, http2, versioned: { newest: apiVersion }, socket })));
    if (listen.startsWith("tcp:"))
      log.warn("Listening without TLS: whoever reaches this address is root here", { listen });
  }
  const rest = undo.move();
  return { addresses: servers.map(({ address }) => address), [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
