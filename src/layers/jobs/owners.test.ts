import { expect, test } from "bun:test";
import { nobody } from "../../host/mod.ts";
import { Owners } from "./owners.ts";

const owners = new Owners({
  uids: [
    { inside: 0, outside: 100_000, size: 10 },
    { inside: 10, outside: 300_000, size: 10 },
  ],
  gids: [{ inside: 0, outside: 200_000, size: 20 }],
});
const of = "here";
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex");
const capability = "security.capability";
const second = "0100000201000000000000000000000000000000";
const third = (root: string) => `0100000301000000000000000000000000000000${root}`;
const from = (text: string) => Buffer.from(text, "hex");

test("owners", () => {
  expect(owners.inside({ uid: 300_001, gid: 200_003 })).toEqual({ uid: 11, gid: 3 });
  expect(owners.inside({ uid: 0, gid: 300_001 })).toEqual({ uid: nobody, gid: nobody });
  expect(owners.outside({ uid: 11, gid: 3 }, of)).toEqual({ uid: 300_001, gid: 200_003 });
  for (const wrong of [
    { uid: 20, gid: 0 },
    { uid: 0, gid: 20 },
  ])
    expect(() => owners.outside(wrong, of)).toThrow("here: container ID 20 cannot be mapped to a host ID");
});

test("capabilities count for the namespace's root, but for those that a root of another one gave", () => {
  expect(hex(owners.attributeOutside(capability, from(second), { of }))).toBe(third("a0860100"));
  expect(hex(owners.attributeOutside(capability, from(third("05000000")), { of }))).toBe(third("a5860100"));
  expect(hex(owners.attributeInside(capability, from(third("a0860100"))))).toBe(second);
  expect(hex(owners.attributeInside(capability, from(third("a5860100"))))).toBe(third("05000000"));
  expect(owners.attributeInside(capability, from(third("00120000")))).toBeUndefined();
  expect(hex(owners.attributeInside(capability, from(second)))).toBe(second);
  expect(() => owners.attributeOutside(capability, from(third("14000000")), { of })).toThrow("container ID 20");
  expect(hex(owners.attributeOutside(capability, from("0100"), { of }))).toBe("0100");
});

test("access lists name users and groups; the others' ids are none", () => {
  const list = (user: string, group: string) =>
    `0200000001000700ffffffff02000500${user}04000400ffffffff08000500${group}`;
  const key = "system.posix_acl_default";
  expect(hex(owners.attributeOutside(key, from(list("0b000000", "03000000")), { of }))).toBe(
    list("e1930400", "430d0300"),
  );
  expect(hex(owners.attributeInside(key, from(list("e1930400", "430d0300"))))).toBe(list("0b000000", "03000000"));
  expect(hex(owners.attributeInside(key, from(list("00000000", "00000000"))))).toBe(list("feff0000", "feff0000"));
  expect(() => owners.attributeOutside(key, from(list("14000000", "00000000")), { of })).toThrow(
    "here: container ID 20",
  );
  // Cut off: no entry is read beyond the end.
  expect(hex(owners.attributeOutside(key, from("020000000200"), { of }))).toBe("020000000200");
});

test("other attributes stay", () => {
  expect(hex(owners.attributeInside("user.x", from("0102")))).toBe("0102");
  expect(hex(owners.attributeOutside("user.x", from("0102"), { of }))).toBe("0102");
});
