/** The worker threads of these tests: only the jobs that containers lead to. */
import { hostJobs, serveJobs } from "../../host/mod.ts";
import { layersJobs } from "../../layers/mod.ts";
import { networkJobs } from "../../network/mod.ts";
import { containersJobs } from "../logs/jobs.ts";

serveJobs([...hostJobs, ...layersJobs, ...networkJobs, ...containersJobs]);
