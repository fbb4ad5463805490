import { expect, test } from "bun:test";
import { DetachFilter, parseDetachKeys } from "./mod.ts";

test("detach keys are held back until they are complete", () => {
  const filter = new DetachFilter(parseDetachKeys("ctrl-p,ctrl-q"));
  expect(filter.feed(Uint8Array.of(97, 16))).toEqual({ pass: Uint8Array.of(97), detached: false });
  expect(filter.feed(Uint8Array.of(98))).toEqual({ pass: Uint8Array.of(16, 98), detached: false });
  expect(filter.feed(Uint8Array.of(16, 16, 17, 99))).toEqual({ pass: Uint8Array.of(16), detached: true });
});

test("their names", () => {
  expect([...parseDetachKeys("ctrl-@,a,ctrl-_,ctrl-z,DEL, ")]).toEqual([0, 97, 31, 26, 127, 32]);
  for (const bad of ["ctrl-1", "ab", "", "a,", "é", "ctrl-A"])
    expect(() => parseDetachKeys(bad)).toThrow(`Invalid detach keys (${bad}) provided`);
});
