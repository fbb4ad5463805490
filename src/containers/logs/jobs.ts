import type { AnyJob } from "../../host/mod.ts";
import { packLog } from "./pack.ts";

/** What worker threads do for containers. */
export const containersJobs: readonly AnyJob[] = [packLog];
