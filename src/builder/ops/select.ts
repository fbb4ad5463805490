import { EngineError } from "../../errors/mod.ts";
import type { Build } from "../context.ts";
import { missingPath } from "../files/select.ts";
import { type SelectInput, type SelectOutput, selectJob } from "../jobs/select.ts";

/** Finds what the sources of a step name. What is not there is told in the client's words, if it has any. */
export async function selectFiles({ context, options, signal }: Build, input: SelectInput): Promise<SelectOutput> {
  try {
    return await context.host.workers.run(selectJob, input, { signal });
  } catch (err) {
    const path = missingPath(err);
    if (path === undefined || !options.words) throw err;
    throw new EngineError("not-found", options.words.missing(path), { cause: err });
  }
}
