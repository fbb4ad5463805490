import { expect, test } from "bun:test";
import { createLog } from "./mod.ts";

test("lines carry their fields, quoted where they must be, and levels below are left out", () => {
  const lines: string[] = [];
  const log = createLog("info", (line) => lines.push(line)).with({ container: "ab" });
  log.debug("not said");
  log.warn("two words", { error: new Error('say "no"'), none: undefined, n: 3 });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^time=\S+Z level=warn msg="two words" container=ab error="say \\"no\\"" n=3\n$/);
});
