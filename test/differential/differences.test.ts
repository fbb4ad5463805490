import { expect, test } from "bun:test";
import { compare } from "./compare.ts";
import { Differences } from "./differences.ts";
import { normalise } from "./normalise.ts";

const list = new Differences(`
[words]
in a/*:one b/two:*
- out| old *
+ out| new [x]
cli 20
- out| only there
cli any
+ out| everywhere
`);

test("listed differences pass, at their places, with their CLI; others do not", () => {
  const golden = ["out| old word", "out| same", "exit 0"];
  const answer = ["out| new [x]", "out| same", "exit 0"];
  expect(list.unlisted("a/file:one", { cli: "28", golden, answer })).toEqual([]);
  expect(list.unlisted("a/file:other", { cli: "28", golden, answer })).toEqual(["- out| old word", "+ out| new [x]"]);
  const only = { golden: ["out| only there"], answer: [] };
  expect(list.unlisted("b/two:x", { cli: "28", ...only })).toEqual(["- out| only there"]);
});

test("what is listed and has not been seen is stale, with the CLI that it is for", () => {
  expect(list.stale("28")).toEqual(["[words] + out| everywhere"]);
  expect(list.stale("20")).toEqual(["[words] - out| only there", "[words] + out| everywhere"]);
});

test("every reason has a row in the document", () => {
  expect(list.undocumented("| words | a | b | why |")).toEqual([]);
  expect(list.undocumented("| other words | a | b | why |")).toEqual(["words"]);
});

test("a line that is not understood is an error", () => {
  expect(() => new Differences("* x")).toThrow("not understood: * x");
});

test("changes are a shortest edit, in order", () => {
  expect(compare(["a", "b", "c"], ["a", "x", "c", "d"])).toEqual(["- b", "+ x", "+ d"]);
  expect(compare([], ["a"])).toEqual(["+ a"]);
  expect(compare(["a"], ["a"])).toEqual([]);
});

test("what no two runs have in common is made up; the rest stays", () => {
  const made = { root: "/var/lib/x", workdir: "/tmp/cwd" };
  const id = "0123456789abcdef".repeat(4);
  expect(normalise(`${id} ${id.slice(0, 12)} /var/lib/x/f /tmp/cwd/g`, made)).toBe("<id> <short> <root>/f <cwd>/g");
  expect(normalise("Up 2 seconds, 0.0.0.0:49153->80/tcp, 0001-01-01T00:00:00Z", made)).toBe(
    "Up <ago>, 0.0.0.0:<port>->80/tcp, 0001-01-01T00:00:00Z",
  );
  expect(normalise("2026-01-02T03:04:05.678Z Exited (137) 1.5MB (virtual 2GB)", made)).toBe(
    "<time> Exited (137) <size>",
  );
});
