import { describe, expect, test } from "bun:test";
import type { RootedFs } from "../host/mod.ts";
import { chownOwner, runUser } from "./user.ts";

const files: Readonly<Record<string, string>> = {
  "/etc/passwd":
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:\nops:x:1001:50::/:\nbad:x:-1:0::/:\ngarbage\n",
  "/etc/group": "root:x:0:\nstaff:x:50:app,other\napp:x:1000:\nbad:x:no:app\n",
};
const root: RootedFs = {
  readFile: (path) => (files[path] === undefined ? undefined : Buffer.from(files[path])),
  stat: () => undefined,
  resolve: () => undefined,
  mkdirs: () => undefined,
};

describe("USER", () => {
  const cases: Record<string, object> = {
    "": { uid: 0, gid: 0, additionalGids: [], home: "/root" },
    app: { uid: 1000, gid: 1000, additionalGids: [50], home: "/home/app" },
    "1000": { uid: 1000, gid: 1000, additionalGids: [50] },
    "app:staff": { uid: 1000, gid: 50, additionalGids: [] },
    "ops:77": { uid: 1001, gid: 77 },
    "4321": { uid: 4321, gid: 0, additionalGids: [], home: "/" },
  };
  test.each(Object.entries(cases))("%j", (text, expected) => {
    expect(runUser(root, text)).toMatchObject(expected);
  });

  test("unknown names are refused", () => {
    expect(() => runUser(root, "stranger")).toThrow("unable to find user stranger: no matching entries in passwd file");
    expect(() => runUser(root, "bad")).toThrow("unable to find user bad");
    expect(() => runUser(root, "app:strangers")).toThrow("unable to find group strangers");
    expect(() => runUser(root, "99999999999")).toThrow("unable to find user");
  });
});

describe("--chown", () => {
  const cases: Record<string, object> = {
    app: { uid: 1000, gid: 1000 },
    ops: { uid: 1001, gid: 50 },
    "1000": { uid: 1000, gid: 1000 },
    "1234": { uid: 1234, gid: 1234 },
    "0:7": { uid: 0, gid: 7 },
    "app:staff": { uid: 1000, gid: 50 },
  };
  test.each(Object.entries(cases))("%s", (text, expected) => {
    expect(chownOwner(root, text)).toEqual(expected as { uid: number; gid: number });
  });

  test("unknown names are refused", () => {
    expect(() => chownOwner(root, "stranger")).toThrow("can't find uid for user stranger: no such user: stranger");
    expect(() => chownOwner(root, "app:strangers")).toThrow("can't find gid for group strangers");
  });
});
