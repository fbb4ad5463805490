import { expect, test } from "bun:test";
import { EngineError } from "../../errors/mod.ts";
import type { DoctorReport } from "../../wire/mod.ts";
import { cli } from "../testing/fake.ts";

const ok = { Name: "kernel", Verdict: "ok", Message: "Linux 6.18" } as const;
const warning = { Name: "firewall", Verdict: "warning", Message: "drops all", Advice: "let it through" } as const;
const problem = { Name: "disk", Verdict: "problem", Message: "full", Advice: "berth system prune" } as const;
const report = (...Checks: DoctorReport["Checks"]): DoctorReport => ({ Version: "0.1.0", Checks });
const answering = (...checks: DoctorReport["Checks"]) => ({ answers: { "GET /system/doctor": report(...checks) } });

test("a line for each check with what to do, and a sum", async () => {
  const ran = await cli(["doctor"], answering(ok, warning, problem));
  expect(ran).toMatchObject({ status: 1, err: "" });
  expect(ran.out).toBe(`ok       kernel    Linux 6.18
warning  firewall  drops all
                   → let it through
problem  disk      full
                   → berth system prune

1 ok, 1 warning, 1 problem
`);
});

test("only a problem is a failure", async () => {
  expect((await cli(["doctor"], answering(ok, warning))).status).toBe(0);
  expect((await cli(["system", "doctor", "--json"], answering(problem))).status).toBe(1);
});

test("--quiet leaves out what is in order", async () => {
  expect((await cli(["doctor", "-q"], answering(ok, warning))).out).toStartWith("warning  firewall");
  expect((await cli(["doctor", "-q"], answering(ok))).out).toBe("1 ok, 0 warnings, 0 problems\n");
});

test("--json is the report", async () => {
  const { out } = await cli(["doctor", "--json"], answering(ok, problem));
  expect(JSON.parse(out)).toEqual(report(ok, problem));
});

test("colours on a terminal, unless NO_COLOR says not to", async () => {
  const options = { ...answering(ok), terminal: 80 };
  expect((await cli(["doctor"], options)).out).toContain("\x1b[32mok     \x1b[0m  kernel");
  expect((await cli(["doctor"], { ...options, env: { NO_COLOR: "1" } })).out).not.toContain("\x1b[");
});

test("without a daemon it says how to start one", async () => {
  const refused = new EngineError("unavailable", "Cannot connect … (start one with: berth daemon)");
  const ran = await cli(["doctor"], { answers: { "GET /system/doctor": refused } });
  expect(ran).toMatchObject({ status: 1, out: "", err: expect.stringContaining("berth daemon") });
});
