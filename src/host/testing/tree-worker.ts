/** Worker entry for tests of modules that keep directories. */
import { hostJobs } from "../jobs.ts";
import { serveJobs } from "../serve-jobs.ts";

serveJobs(hostJobs);
