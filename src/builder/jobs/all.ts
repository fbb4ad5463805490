import { sbomJob } from "../attest/job.ts";
import { compareContextJob } from "./compare-context.ts";
import { compareListingsJob } from "./compare-listings.ts";
import { completeContextJob } from "./complete-context.ts";
import { copyJob } from "./copy.ts";
import { layerJob } from "./layer.ts";
import { receiveJob } from "./receive.ts";
import { selectJob } from "./select.ts";
import { squashJob } from "./squash.ts";
import { stubsJob } from "./stubs.ts";
import { takeCheckoutJob } from "./take-checkout.ts";
import { unpackContextJob } from "./unpack-context.ts";
import { workdirJob } from "./workdir.ts";

/** For `src/worker.ts`. */
export const builderJobs = [
  compareContextJob,
  compareListingsJob,
  completeContextJob,
  copyJob,
  layerJob,
  receiveJob,
  sbomJob,
  selectJob,
  squashJob,
  stubsJob,
  takeCheckoutJob,
  unpackContextJob,
  workdirJob,
] as const;
