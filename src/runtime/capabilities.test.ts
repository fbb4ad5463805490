import { expect, test } from "bun:test";
import { allCapabilities, allowedCapabilities, capabilitySets, defaultCapabilities } from "./capabilities.ts";

const everything = { limits: { capabilities: new Set(allCapabilities) }, privileged: false, capAdd: [], capDrop: [] };

test("add, drop and ALL as in moby", () => {
  const allowed = (change: object) => allowedCapabilities({ ...everything, ...change });
  expect(allowed({})).toEqual([...defaultCapabilities]);
  expect(allowed({ capAdd: ["NET_ADMIN"], capDrop: ["CHOWN"] })).toEqual([
    ...defaultCapabilities.slice(1),
    "CAP_NET_ADMIN",
  ]);
  expect(allowed({ capAdd: ["CAP_CHOWN"] })).toEqual([...defaultCapabilities]);
  expect(allowed({ capDrop: ["ALL"] })).toEqual([]);
  expect(allowed({ capDrop: ["ALL"], capAdd: ["KILL"] })).toEqual(["CAP_KILL"]);
  expect(allowed({ capAdd: ["ALL"], capDrop: ["KILL"] })).toEqual(
    allCapabilities.filter((name) => name !== "CAP_KILL"),
  );
  expect(allowed({ capAdd: ["ALL"], capDrop: ["ALL"] })).toEqual([...allCapabilities]);
  expect(allowed({ privileged: true, capDrop: ["ALL"] })).toEqual([...allCapabilities]);
});

test("never more than the daemon has", () => {
  const limits = { capabilities: new Set(["CAP_CHOWN"]) };
  expect(allowedCapabilities({ ...everything, limits, privileged: true })).toEqual(["CAP_CHOWN"]);
  expect(allowedCapabilities({ ...everything, limits, capAdd: ["NET_ADMIN"] })).toEqual(["CAP_CHOWN"]);
});

test("another user than root has them in the bounding set only", () => {
  expect(capabilitySets(["CAP_KILL"], 0)).toMatchObject({
    bounding: ["CAP_KILL"],
    effective: ["CAP_KILL"],
    inheritable: [],
  });
  expect(capabilitySets(["CAP_KILL"], 1000)).toMatchObject({ bounding: ["CAP_KILL"], effective: [], permitted: [] });
});
