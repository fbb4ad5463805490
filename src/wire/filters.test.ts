import { expect, test } from "bun:test";
import { filterFlag, filterUntil, hasLabel, labelTest, requireFilters } from "./mod.ts";

test("keys that are not known are refused by name", () => {
  requireFilters(new Map([["label", []]]), ["label", "until"]);
  expect(() => requireFilters(new Map([["x", []]]), ["label"])).toThrow("invalid filter 'x'");
});

test("flags", () => {
  const flag = (...values: string[]) => filterFlag(new Map([["dangling", values]]), "dangling");
  expect([flag(), flag("1"), flag("true"), flag("0"), flag("false", "0")]).toEqual([
    undefined,
    true,
    true,
    false,
    false,
  ]);
  expect(filterFlag(new Map(), "dangling")).toBeUndefined();
  expect(() => flag("maybe")).toThrow("invalid filter 'dangling=[maybe]'");
  expect(() => flag("true", "false")).toThrow("invalid filter 'dangling=[true false]'");
});

test("until: a duration back from now, Unix seconds, a date; of several the earliest", () => {
  const until = (...values: string[]) => filterUntil(new Map([["until", values]]), 10_000_000);
  expect(until("1h30m")).toBe(10_000_000 - 5_400_000);
  expect([until("100"), until("1970-01-02"), until("1970-01-01T00:00:01Z")]).toEqual([100_000, 86_400_000, 1000]);
  expect(until("100", "2s", "200")).toBe(100_000);
  expect(filterUntil(new Map())).toBe(Number.POSITIVE_INFINITY);
  expect(() => until("soon")).toThrow("invalid filter 'until=[soon]'");
});

test("labels", () => {
  const labels = { a: "1", b: "", c: "x=y" };
  const found = ["a", "a=1", "b", "b=", "c=x=y"].filter((wanted) => hasLabel(labels, wanted));
  expect(found).toEqual(["a", "a=1", "b", "b=", "c=x=y"]);
  expect(["a=", "a=2", "d", "d=", "toString"].filter((wanted) => hasLabel(labels, wanted))).toEqual([]);
  const matches = labelTest(
    new Map([
      ["label", ["a", "b"]],
      ["label!", ["c"]],
    ]),
  );
  expect([matches({ a: "", b: "" }), matches({ a: "" }), matches(labels)]).toEqual([true, false, false]);
  expect(labelTest(new Map())({})).toBe(true);
});
