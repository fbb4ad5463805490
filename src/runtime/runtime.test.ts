import { execOnceSuite } from "./exec/once.suite.ts";
import { processSuite } from "./processes.suite.ts";
import { recoverSuite } from "./recovery.suite.ts";
import { streamSuite } from "./streams.suite.ts";
import { taskSuite } from "./tasks.suite.ts";

for (const name of ["crun", "runc"] as const) {
  taskSuite(name);
  streamSuite(name);
  processSuite(name);
  execOnceSuite(name);
  recoverSuite(name);
}
