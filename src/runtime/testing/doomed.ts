/** A daemon for the tests that starts a container and an exec and is then killed; its plan comes on stdin. */
import { readFileSync } from "node:fs";
import { createCgroups, createMounts, createProcesses } from "../../host/mod.ts";
import { nullLog } from "../../log/mod.ts";
import { openRuntime, type RuntimeOptions } from "../open.ts";
import type { Bundle, ExecRequest } from "../runtime.ts";

interface Plan {
  readonly options: Pick<RuntimeOptions, "execRoot" | "cgroupParent" | "runtime">;
  readonly bundle: Bundle;
  readonly exec: ExecRequest;
}

const plan = JSON.parse(readFileSync(0, "utf8")) as Plan;
const host = { processes: createProcesses(), cgroups: createCgroups(), mounts: createMounts() };
const runtime = await openRuntime({ ...plan.options, host, log: nullLog });
await runtime.create(plan.bundle);
await runtime.start(plan.bundle.id);
await runtime.exec(plan.exec);
process.kill(process.pid, "SIGKILL");
