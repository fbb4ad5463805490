import { expect, test } from "bun:test";
import { Hints } from "./hints.ts";

test("a name that is near is found", () => {
  expect(new Hints().likely("VERSOIN", new Set(["VERSION", "PATH"]))).toBe("VERSION");
});

test("thousands of misspelt names are compared with a thousand others only so often", () => {
  const hints = new Hints();
  let looks = 0;
  const names = new Set(Array.from({ length: 1000 }, (_, at) => `NAME${at}`));
  const counted = Object.assign(new Set(names), {
    keys: () => {
      looks++;
      return names.keys();
    },
  });
  for (let at = 0; at < 5000; at++) hints.likely("NAMES00", counted);
  expect(looks).toBeGreaterThan(500);
  expect(looks).toBeLessThan(1000);
});
