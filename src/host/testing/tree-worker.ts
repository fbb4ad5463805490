/** Worker entry for tests of modules that keep directories. */
import { serveJobs } from "../serve-jobs.ts";
import { copyTree } from "../tree/copy.ts";
import { removeTree } from "../tree/remove.ts";
import { usageOf } from "../tree/usage.ts";

serveJobs([copyTree, removeTree, usageOf]);
