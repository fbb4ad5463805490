import { expect, test } from "bun:test";
import { words } from "./words.ts";

test("a step that failed, and a path that is not there, as BuildKit says it", () => {
  expect(words.run('/bin/sh -c echo "a"', 3)).toBe(
    'process "/bin/sh -c echo \\"a\\"" did not complete successfully: exit code: 3',
  );
  expect(words.missing("nosuch")).toMatch(
    /^failed to compute cache key: failed to calculate checksum of ref [a-z0-9]{25}::[a-z0-9]{25}: "\/nosuch": not found$/,
  );
});

test("an image that cannot be had", () => {
  const why = (reason: string) => words.image({ name: "x", ref: "docker.io/library/x:latest", reason });
  const resolving = "x: failed to resolve source metadata for docker.io/library/x:latest:";
  const refused = 'Head "https://r/v2/x/manifests/latest": dial tcp r: connect: connection refused';
  expect(why(refused)).toBe(`${resolving} failed to do request: ${refused}`);
  expect(why("manifest for x:latest not found: manifest unknown: m")).toBe(
    `${resolving} docker.io/library/x:latest: not found`,
  );
  expect(why("pull access denied for x")).toBe(`${resolving} pull access denied for x`);
});
