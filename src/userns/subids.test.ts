import { describe, expect, test } from "bun:test";
import { createProcesses } from "../host/mod.ts";
import { resolveRemap } from "./remap.ts";
import { freeStart, parseSubordinate, rangesOf } from "./subids.ts";

const text = "# made by hand\nalice:100000:65536\nbob:165536:10\n1001:200000:5\n\nalice:300000:100\nbad:x:1\nbob:1\n";

describe("subuid(5)", () => {
  test("lines that are none are passed over", () => {
    expect(parseSubordinate(text).map(({ owner, start }) => [owner, start])).toEqual([
      ["alice", 100_000],
      ["bob", 165_536],
      ["1001", 200_000],
      ["alice", 300_000],
    ]);
  });

  test("several ranges follow on each other inside; the owner may be a number", () => {
    expect(rangesOf("/etc/subuid", text, ["alice", "1000"])).toEqual([
      { inside: 0, outside: 100_000, size: 65_536 },
      { inside: 65_536, outside: 300_000, size: 100 },
    ]);
    expect(rangesOf("/etc/subuid", text, ["carol", "1001"])).toEqual([{ inside: 0, outside: 200_000, size: 5 }]);
  });

  test("nobody's, the host's root, and more ids than there are", () => {
    expect(() => rangesOf("/etc/subuid", text, ["carol"])).toThrow("no range of ids for carol in /etc/subuid");
    expect(() => rangesOf("/etc/subuid", "eve:0:65536\n", ["eve"])).toThrow("is not one for containers");
    expect(() => rangesOf("/etc/subuid", "eve:100:4294967295\n", ["eve"])).toThrow("is not one for containers");
    expect(() => rangesOf("/etc/subuid", "eve:100:0\n", ["eve"])).toThrow("no range of ids");
  });

  test("a new range comes after all others and after the host's users", () => {
    expect(freeStart("", "")).toBe(100_000);
    expect(freeStart(text, "eve:400000:7\n")).toBe(400_007);
  });
});

describe("--userns-remap", () => {
  const refuses = (given: string) => expect(resolveRemap(createProcesses(), given)).rejects;

  test.each(["", ":x", "a:", "a:b:c"])("%j is malformed", (given) =>
    refuses(given).toThrow("must be default, USER[:GROUP] or UID[:GID]"),
  );

  test("who is not there, or has no ids, is refused by name", async () => {
    await refuses("nobody-of-this-name").toThrow("there is no user nobody-of-this-name");
    await refuses("--help").toThrow("there is no user --help");
    await refuses("daemon:nobody-of-this-name").toThrow("there is no group nobody-of-this-name");
    await refuses("1").toThrow("no range of ids for daemon in /etc/subuid");
  });
});
