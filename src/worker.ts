/** The entry of worker threads: every job that runs off the main thread is listed here. */
import { builderJobs } from "./builder/mod.ts";
import { containersJobs } from "./containers/mod.ts";
import { hostJobs, serveJobs } from "./host/mod.ts";
import { layersJobs } from "./layers/mod.ts";
import { networkJobs } from "./network/mod.ts";

serveJobs([...hostJobs, ...layersJobs, ...containersJobs, ...builderJobs, ...networkJobs]);
