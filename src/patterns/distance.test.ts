import { expect, test } from "bun:test";
import { editDistance } from "./mod.ts";

test("the edit distance counts insertions, deletions and replacements", () => {
  const pairs = [
    ["RUN", "RUN", 0],
    ["", "abc", 3],
    ["kitten", "sitting", 3],
    ["COPPY", "COPY", 1],
    ["ab", "ba", 2],
  ] as const;
  for (const [a, b, expected] of pairs) expect([editDistance(a, b), editDistance(b, a)]).toEqual([expected, expected]);
});
