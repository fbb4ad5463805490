import { expect, test } from "bun:test";
import { type GlobPiece, globSource, linearMatcher } from "./glob.ts";
import { deepPattern, globPattern } from "./patterns.ts";

/** The same ones in every run (xorshift32). */
let state = 20_240_607;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

const kinds: readonly GlobPiece[] = [
  ...["a", "b", "/"].map((char): GlobPiece => ({ kind: "literal", char })),
  { kind: "class", source: "[^/b]" },
  { kind: "one" },
  { kind: "any", slashes: false },
  { kind: "any", slashes: true },
  { kind: "directories" },
];
const some = <T>(of: readonly T[], most: number): T[] =>
  Array.from({ length: random(most) }, () => of[random(of.length)] as T);

test("the linear matcher finds what the regular expression finds", () => {
  let matched = 0;
  for (let turn = 0; turn < 20_000; turn++) {
    const pieces = some(kinds, 7);
    const name = some(["a", "b", "/"], 9).join("");
    const matches = new RegExp(`^${globSource(pieces)}$`, "su").test(name);
    if (matches) matched++;
    if (linearMatcher(pieces)(name) !== matches) throw new Error(`${globSource(pieces)} and ${name}`);
  }
  expect(matched).toBeGreaterThan(1000);
});

test("stars that could be divided in every way are matched all the same", () => {
  const name = "a".repeat(255);
  for (const pattern of [globPattern, deepPattern]) {
    const stars = pattern(`${"*a".repeat(40)}b`);
    expect([stars.test(name), stars.test(`${name}b`)]).toEqual([false, true]);
  }
  const deep = deepPattern(`${"**/a/".repeat(20)}b`);
  expect([deep.test("a/".repeat(1000)), deep.test(`${"a/".repeat(1000)}b`)]).toEqual([false, true]);
});

test("a range that ends before it begins is malformed", () => {
  expect(() => globPattern("[z-a]")).toThrow('syntax error in pattern "[z-a]"');
});
