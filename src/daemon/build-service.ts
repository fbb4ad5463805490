import { join } from "node:path";
import type { BuildService } from "../api/mod.ts";
import { fetchContext, type ReceiveOptions, receiveContext } from "../builder/mod.ts";
import type { DaemonConfig } from "./config.ts";
import type { Engine } from "./engine.ts";
import { fetchUrl } from "./fetch.ts";

/** The classic build: the context as it comes in, then the builder. */
export function createBuildService({ builder, host }: Engine, config: DaemonConfig): BuildService {
  return {
    async build({ query, context, registryAuth, progress, signal }) {
      const { remote, dockerfile, ...options } = query;
      const { workers, processes } = host;
      const receive: ReceiveOptions = {
        directory: join(config.dataRoot, "builds"),
        workers,
        processes,
        dockerfile,
        signal,
      };
      const files =
        remote === undefined
          ? await receiveContext(context, receive)
          : await fetchContext(remote, { ...receive, fetchUrl });
      await builder.build(files, { ...options, args: fromEnvironment(options.args), registryAuth, progress, signal });
    },
  };
}

/** `--build-arg NAME` without a value asks for the daemon's own, where the client had none. */
function fromEnvironment(args: Readonly<Record<string, string | null>>): Record<string, string | null> {
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, value ?? process.env[name] ?? null]));
}
