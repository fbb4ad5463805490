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
      await builder.build(files, { ...options, registryAuth, progress, signal });
    },
  };
}
