import { copyJob } from "./copy.ts";
import { receiveJob } from "./receive.ts";
import { selectJob } from "./select.ts";
import { stubsJob } from "./stubs.ts";
import { workdirJob } from "./workdir.ts";

/** For `src/worker.ts`. */
export const builderJobs = [copyJob, receiveJob, selectJob, stubsJob, workdirJob] as const;
