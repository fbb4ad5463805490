import { expect, test } from "bun:test";
import { EngineError } from "../errors/mod.ts";
import { createProcesses } from "./processes.ts";
import { urgent } from "./scheduling.ts";

const { run, urgent: withKernel } = createProcesses();
/** The 41st field of proc_pid_stat(5) is the policy: 1 is SCHED_FIFO, 0 everybody's. */
const policy = "cut -d ' ' -f 41 /proc/$$/stat";
const allowed = await run(["chrt", "--fifo", "1", "true"]).then(
  ({ code }) => code === 0,
  () => false,
);

test.skipIf(!allowed)("an urgent process goes before everybody, and its children do not", async () => {
  const { stdout } = await run(await withKernel(["sh", "-c", `${policy}; sh -c "$0"; exit`, policy]));
  expect(stdout).toBe("1\n0\n");
});

test("where it is not allowed, the command line is as it was, and the kernel is asked once", async () => {
  const refused = { code: 1, stdout: "", stderr: "chrt: failed to set pid 0's policy" };
  let asked = 0;
  const refusing = urgent(async () => {
    asked++;
    return refused;
  });
  for (let again = 0; again < 2; again++) expect(await refusing(["true"])).toEqual(["true"]);
  expect(asked).toBe(1);
  const missing = urgent(() => Promise.reject(new EngineError("unavailable", "no such program")));
  expect(await missing(["true"])).toEqual(["true"]);
});
