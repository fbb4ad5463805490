import { expect, test } from "bun:test";
import { compareListings, packListing } from "./listing.ts";
import { reasons, type StepParts } from "./reasons.ts";

const run: StepParts = {
  parent: "a",
  parts: { args: ["/bin/sh", "-c", "make"], env: ["A=1", "B=2"], user: "", mounts: [["bind", "/src", true, "x"]] },
};

function why(change: Record<string, unknown>, parent = "a"): string[] {
  return reasons({ before: run, now: { parent, parts: { ...run.parts, ...change } } });
}

test("a step that never ran, and one whose result is gone", () => {
  expect(reasons({ now: run })).toEqual(["it has not run before"]);
  expect(why({})).toEqual(["its result was removed from the cache"]);
});

test("every part is told by its name", () => {
  expect(why({}, "b")).toEqual(["a step before it ran"]);
  const now = { ...run, parent: "b" };
  expect(reasons({ before: run, now, standsOn: "image" })).toEqual(["its base image changed"]);
  expect(why({ args: ["/bin/sh", "-c", "make all"] })).toEqual(['the command changed from "/bin/sh -c make"']);
  expect(why({ env: ["A=1", "B=3"] })).toEqual(['argument or variable B changed from "2" to "3"']);
  expect(why({ env: ["A=1", "C=3"] })).toEqual(["argument or variable B is gone", "argument or variable C is new"]);
  expect(why({ env: ["B=2", "A=1"] })).toEqual(["the order of its variables changed"]);
  expect(why({ user: "x".repeat(100) })).toEqual([`user changed from "" to "${"x".repeat(79)}…"`]);
  expect(why({ mounts: [["bind", "/src", true, "y"]] })).toEqual(["the mount at /src (bind) changed"]);
  expect(why({ mounts: [] })).toEqual(["a mount is gone"]);
});

test("files: changed, new and gone, a few by their names", () => {
  const before = packListing(["1 a", "2 b c", "3 gone"]);
  const files = compareListings(before, packListing(["1 a", "9 b c", "4 n\xc3\xa9w"]));
  expect(files).toEqual({ changed: ["b c"], added: ["néw"], removed: ["gone"] });
  const now = { parent: "a", parts: { content: "2" } };
  const copy = { before: { parent: "a", parts: { content: "1" } }, now, files };
  expect(reasons(copy)).toEqual(["changed: b c", "new: néw", "gone: gone"]);
  expect(reasons({ ...copy, files: { changed: [], added: [], removed: [] } })).toEqual([
    "the content of what it reads changed",
  ]);
  const many = { ...files, changed: ["1", "2", "3", "4", "5", "6", "7"] };
  expect(reasons({ ...copy, files: many })[0]).toBe("changed: 1, 2, 3, 4, 5 and 2 more");
  expect(compareListings(before, before)).toEqual({ changed: [], added: [], removed: [] });
  expect(compareListings(packListing([]), before).added).toHaveLength(3);
});
