/** The entry of worker threads: every job that runs off the main thread is listed here. */
import { serveJobs } from "./host/mod.ts";

serveJobs([]);
