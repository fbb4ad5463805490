import { describe, expect, test } from "bun:test";
import type { RootedFs } from "../host/mod.ts";
import { ownerOrRoot, resolveOwner, resolveUser } from "./mod.ts";

const passwd = `root:x:0:0:root:/root:/bin/sh
app:x:1000:1000::/home/app:
ops:x:1001:50::/:
4000:x:0:0::/root:
#off:x:1500:1500::/:
nogroup:x:1002:
nobody:x:4294967294:4294967294::/:
bad:x:-1:0::/:
none:x:4294967295:0::/:
badgroup:x:1003:no::/:
garbage
`;
const group = "root:x:0:\nstaff:x:50:app,other,app\napp:x:1000:\nbad:x:no:app\n77:x:0:\n\nwheel:x:10:1000,4321,,\n";

function rootOf(files: Readonly<Record<string, string>>): RootedFs {
  return {
    readFile: (path) => (files[path] === undefined ? undefined : Buffer.from(files[path])),
    stat: () => undefined,
    resolve: () => undefined,
    mkdirs: () => undefined,
  };
}
const root = rootOf({ "/etc/passwd": passwd, "/etc/group": group });
const range = "uids and gids must be in range 0-2147483647";

describe("a process's user", () => {
  const cases: Record<string, object> = {
    "": { uid: 0, gid: 0, additionalGids: [0], home: "/root" },
    ":staff": { uid: 0, gid: 50, additionalGids: [50] },
    app: { uid: 1000, gid: 1000, additionalGids: [1000, 50], home: "/home/app" },
    "1000": { uid: 1000, gid: 1000, additionalGids: [1000, 50] },
    "app:staff": { uid: 1000, gid: 50, additionalGids: [50] },
    "ops:88": { uid: 1001, gid: 88 },
    "4321": { uid: 4321, gid: 0, additionalGids: [0], home: "/" },
    "1500": { uid: 1500, gid: 0 },
    nogroup: { uid: 1002, gid: 0, home: "/" },
    nobody: { uid: 4294967294, gid: 4294967294 },
    "2147483647": { uid: 2147483647 },
  };
  test.each(Object.entries(cases))("%j", (user, expected) => {
    expect(resolveUser(root, { user })).toMatchObject(expected);
  });

  test("a name made of digits never stands for another number", () => {
    expect(resolveUser(root, { user: "4000" })).toMatchObject({ uid: 4000, gid: 0, home: "/" });
    expect(resolveUser(root, { user: "app:77" })).toMatchObject({ uid: 1000, gid: 77 });
  });

  test("groups are added by name and number, each once", () => {
    expect(resolveUser(root, { user: "app", groupAdd: ["wheel", "50", "99"] }).additionalGids).toEqual([
      1000, 50, 10, 99,
    ]);
    expect(resolveUser(root, { user: "app:app", groupAdd: ["staff"] }).additionalGids).toEqual([1000, 50]);
    expect(() => resolveUser(root, { user: "", groupAdd: ["nope"] })).toThrow("unable to find group nope");
  });

  test("a root without the files knows numbers only", () => {
    expect(resolveUser(rootOf({}), { user: "" })).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: "/" });
    expect(resolveUser(rootOf({}), { user: "7:8" })).toMatchObject({ uid: 7, gid: 8 });
    expect(() => resolveUser(rootOf({}), { user: "root" })).toThrow("unable to find user root");
  });

  test("what is unknown or out of range is refused", () => {
    const refusals = {
      stranger: "unable to find user stranger: no matching entries in passwd file",
      "app:strangers": "unable to find group strangers: no matching entries in group file",
      "app:bad": "unable to find group bad",
      "99999999999": range,
      "-1": range,
      "app:2147483648": range,
    };
    for (const [user, words] of Object.entries(refusals)) expect(() => resolveUser(root, { user })).toThrow(words);
    for (const user of ["bad", "none", "badgroup", "off", "#off", "garbage"])
      expect(() => resolveUser(root, { user })).toThrow(`unable to find user ${user}: no matching entries`);
  });
});

describe("a file's owner", () => {
  const cases: Record<string, object> = {
    app: { uid: 1000, gid: 1000 },
    ops: { uid: 1001, gid: 50 },
    "1000": { uid: 1000, gid: 1000 },
    "1234": { uid: 1234, gid: 1234 },
    "4000": { uid: 4000, gid: 4000 },
    "0:7": { uid: 0, gid: 7 },
    "app:staff": { uid: 1000, gid: 50 },
    ":staff": { uid: 0, gid: 50 },
  };
  test.each(Object.entries(cases))("%s", (text, expected) => {
    expect(resolveOwner(root, text)).toEqual(expected as { uid: number; gid: number });
  });

  test("where nobody minds, who is not known is root", () => {
    const owners = ["stranger", "stranger:staff", "app", "app:strangers", "4000", "4000:7"].map((text) =>
      ownerOrRoot(root, text),
    );
    expect(owners.map(({ uid, gid }) => `${uid}:${gid}`)).toEqual([
      "0:0",
      "0:50",
      "1000:1000",
      "1000:1000",
      "4000:4000",
      "4000:7",
    ]);
    expect(() => ownerOrRoot(root, "99999999999")).toThrow(range);
  });

  test("what is unknown or out of range is refused", () => {
    expect(() => resolveOwner(root, "stranger")).toThrow("can't find uid for user stranger: no such user: stranger");
    expect(() => resolveOwner(root, "app:strangers")).toThrow("can't find gid for group strangers");
    expect(() => resolveOwner(root, "99999999999")).toThrow(range);
  });
});
