import { join } from "node:path";
import type { BuildRequest, BuildService } from "../api/mod.ts";
import { fetchContext, type ReceiveOptions, receiveContext } from "../builder/mod.ts";
import type { DaemonConfig } from "./config.ts";
import type { Engine } from "./engine.ts";
import { fetchUrl } from "./fetch.ts";

/** The classic build: the context as it comes in, then the builder. */
export function createBuildService({ builder, host }: Engine, config: DaemonConfig): BuildService {
  const received = ({ query, context, signal }: Pick<BuildRequest, "query" | "context" | "signal">) => {
    const { workers, processes } = host;
    const directory = join(config.dataRoot, "builds");
    const receive: ReceiveOptions = { directory, workers, processes, dockerfile: query.dockerfile, signal };
    const { remote } = query;
    return remote === undefined ? receiveContext(context, receive) : fetchContext(remote, { ...receive, fetchUrl });
  };
  return {
    async build({ query, context, registryAuth, progress, signal }) {
      const files = await received({ query, context, signal });
      await builder.build(files, { ...query, registryAuth, progress, signal });
    },
    async check({ query, context, signal }) {
      return builder.check(await received({ query, context, signal }), query);
    },
  };
}
