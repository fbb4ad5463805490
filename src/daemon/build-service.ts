import { join } from "node:path";
import type { BuildService } from "../api/mod.ts";
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
  return {
    compare: (key, { context: bytes, signal }) => builder.contexts.compare(key, { bytes, signal }),
    async build({ query, context, registryAuth, progress, signal }) {
      const { remote, dockerfile, context: known, ...options } = query;
      const { workers, processes } = host;
      const receive: ReceiveOptions = {
        directory: join(config.dataRoot, "builds"),
        workers,
        processes,
        dockerfile,
        signal,
      };
      const given = async () => {
        if (known !== undefined) return builder.contexts.complete(known, { bytes: context, dockerfile, signal });
        return remote === undefined ? receiveContext(context, receive) : fetchContext(remote, { ...receive, fetchUrl });
      };
      const files = await given();
      const observer = query.steps ? { observer: stepEvents(progress) } : {};
      await builder.build(files, { ...options, ...observer, registryAuth, progress, signal });
    },
  };
}
