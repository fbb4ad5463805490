import { expect, test } from "bun:test";
import { contextName } from "./context-name.ts";

test.each([
  ["alpine", "alpine"],
  ["alpine:latest", "alpine"],
  ["docker.io/library/alpine", "alpine"],
  ["docker.io/library/alpine:3", "alpine:3"],
  ["reg.test:5000/a/b:latest", "reg.test:5000/a/b"],
  ["0", "0"],
  ["Stage One", "Stage One"],
])("the named context %s is %s", (text, name) => {
  expect(contextName(text)).toBe(name);
});
