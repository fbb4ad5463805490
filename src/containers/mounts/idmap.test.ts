import { expect, test } from "bun:test";
import { parseBind } from "../bind.ts";
import { planMounts } from "../mount-plan.ts";
import { emptyHostConfig } from "../testing/bodies.ts";
import { parseIdmap } from "./idmap.ts";

test("the owner's, or ranges as podman writes them", () => {
  expect(parseIdmap("owner")).toBe("owner");
  expect(parseIdmap("uids=1000-0-1#5-6-10;gids=100-0-1")).toEqual({
    uids: [
      { disk: 1000, inside: 0, count: 1 },
      { disk: 5, inside: 6, count: 10 },
    ],
    gids: [{ disk: 100, inside: 0, count: 1 }],
  });
  const one = [{ disk: 1, inside: 2, count: 3 }];
  expect(parseIdmap("uids=1-2-3")).toEqual({ uids: one, gids: one });
  expect(parseIdmap("gids=1-2-3")).toEqual({ uids: one, gids: one });
});

test.each([
  ["", "must be uids="],
  ["uids", "must be uids="],
  ["uids=", "must be uids="],
  ["uids=1-2-3;uids=1-2-3", "must be uids="],
  ["@uids=1-2-3", "must be uids="],
  ["uids=1-2", "'1-2' is not DISK-CONTAINER-COUNT"],
  ["uids=1-2-0", "'1-2-0' is not DISK-CONTAINER-COUNT"],
  ["uids=1-2-3#", "'' is not DISK-CONTAINER-COUNT"],
  ["uids=4294967295-0-1", "is not DISK-CONTAINER-COUNT"],
  ["uids=0-4294967294-2", "is not DISK-CONTAINER-COUNT"],
  ["uids=0-0-10#9-20-1", "an id has two places"],
  ["uids=0-0-10#20-9-1", "an id has two places"],
])("%j is refused", (text, why) => {
  expect(() => parseIdmap(text)).toThrow(`invalid idmap '${text}': `);
  expect(() => parseIdmap(text)).toThrow(why);
});

const bound = (spec: string) =>
  planMounts({ hostConfig: { ...emptyHostConfig, Binds: [spec] }, volumes: {}, inherited: [] })[0];

test("-v: one word among the others", () => {
  expect(parseBind("/a:/b:idmap")).toMatchObject({ idmap: "owner", mode: "idmap" });
  expect(bound("/a:/b:ro,idmap=uids=1-2-3")).toMatchObject({ rw: false, idmap: parseIdmap("uids=1-2-3") });
  expect(bound("vol:/b:idmap")).toMatchObject({ type: "volume", idmap: "owner" });
  expect(() => bound("/a:/b:idmap,idmap=uids=1-2-3")).toThrow("invalid mode: idmap,idmap=uids=1-2-3");
  expect(() => bound("/a:/b:idmapped")).toThrow("invalid mode: idmapped");
  expect(() => bound("/a:/b:idmap=nope")).toThrow("invalid idmap 'nope'");
  expect(() => bound("/a:/b:idmap,rshared")).toThrow("mount options conflict: idmap and propagation mode rshared");
});

test("--mount: of binds and volumes only", () => {
  const asked = (Type: string, more: object = {}) =>
    planMounts({
      hostConfig: { ...emptyHostConfig, Mounts: [{ Type, Target: "/b", IDMap: "owner", ...more }] },
      volumes: {},
      inherited: [],
    })[0];
  expect(asked("bind", { Source: "/a" })?.idmap).toBe("owner");
  expect(asked("volume", { Source: "vv" })?.idmap).toBe("owner");
  expect(() => asked("tmpfs")).toThrow("field IDMap must not be specified");
  expect(() => asked("image", { Source: "i" })).toThrow("field IDMap must not be specified");
});
