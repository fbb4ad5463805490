import { join } from "node:path";
import type { BuildRequest, BuildService } from "../api/mod.ts";
import { type BuildObserver, fetchContext, type ReceiveOptions, receiveContext } from "../builder/mod.ts";
import type { BuildStepEvent, ProgressSink } from "../wire/mod.ts";
import type { DaemonConfig } from "./config.ts";
import type { Engine } from "./engine.ts";
import { fetchUrl } from "./fetch.ts";

function stepEvents(progress: ProgressSink): BuildObserver {
  const tell = (aux: BuildStepEvent) => progress({ aux });
  return {
    steps: (steps) => tell({ Steps: steps.map(({ id, text }) => ({ Id: id, Text: text })) }),
    started: (id) => tell({ Step: { Id: id, Event: "started" } }),
    output: (id, text) => tell({ Step: { Id: id, Event: "output", Text: text } }),
    ended: (id, how) => {
      if (how.kind === "failed") tell({ Step: { Id: id, Event: how.kind, Text: how.message } });
      else tell({ Step: { Id: id, Event: how.kind } });
    },
  };
}

/** The classic build: the context as it comes in, then the builder. */
export function createBuildService({ builder, host }: Engine, config: DaemonConfig): BuildService {
  const received = ({ query, context, signal }: Pick<BuildRequest, "query" | "context" | "signal">) => {
    const { workers, processes } = host;
    const directory = join(config.dataRoot, "builds");
    const receive: ReceiveOptions = { directory, workers, processes, dockerfile: query.dockerfile, signal };
    const { remote, context: known, dockerfile } = query;
    if (known !== undefined) return builder.contexts.complete(known, { bytes: context, dockerfile, signal });
    return remote === undefined ? receiveContext(context, receive) : fetchContext(remote, { ...receive, fetchUrl });
  };
  return {
    compare: (key, { context: bytes, signal }) => builder.contexts.compare(key, { bytes, signal }),
    async build({ query, context, registryAuth, progress, signal }) {
      const files = await received({ query, context, signal });
      const observer = query.steps ? { observer: stepEvents(progress) } : {};
      await builder.build(files, { ...query, ...observer, registryAuth, progress, signal });
    },
    async check({ query, context, signal }) {
      return builder.check(await received({ query, context, signal }), query);
    },
  };
}
