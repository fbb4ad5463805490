import { expect, test } from "bun:test";
import type { MountRequest } from "../../wire/mod.ts";
import type { MountEntry } from "../mount-entry.ts";
import { parseVolumesFrom, planMounts } from "../mount-plan.ts";
import { emptyHostConfig } from "../testing/bodies.ts";
import { propagationOf, settlePropagation } from "./propagation.ts";

const plan = (request: Partial<MountRequest>): MountEntry[] =>
  planMounts({
    hostConfig: { ...emptyHostConfig, Mounts: [{ Type: "volume", Target: "/x", ...request }] },
    volumes: {},
    inherited: [],
  });

test("a mount of an image is read-only and remembers the part of it", () => {
  const ImageOptions = { Subpath: "usr/share" };
  expect(plan({ Type: "image", Source: "busybox", ImageOptions })).toMatchObject([
    { type: "image", name: "busybox", rw: false, subpath: "usr/share", destination: "/x" },
  ]);
});

test.each<[Partial<MountRequest>, string]>([
  [{ Type: "image" }, "field Source must not be empty"],
  [
    { Type: "image", Source: "i", ImageOptions: { Subpath: "../x" } },
    "subpath must be a relative path within the image",
  ],
  [{ Type: "image", Source: "i", VolumeOptions: {} }, "field VolumeOptions must not be specified"],
  [{ Type: "volume", VolumeOptions: { Subpath: "x" } }, "must not set Subpath when using anonymous volumes"],
  [
    { Type: "volume", Source: "v1", VolumeOptions: { Subpath: "/x" } },
    "subpath must be a relative path within the volume",
  ],
  [
    { Type: "volume", Source: "v1", VolumeOptions: { Subpath: "a/../../x" } },
    "subpath must be a relative path within the volume",
  ],
  [{ Type: "volume", ReadOnly: true }, "must not set ReadOnly mode when using anonymous volumes"],
  [{ Type: "volume", Source: "v1", ImageOptions: {} }, "field ImageOptions must not be specified"],
  [{ Type: "bind", Source: "/a", BindOptions: { Propagation: "loud" } }, "invalid propagation mode: loud"],
  [
    { Type: "bind", Source: "/a", BindOptions: { ReadOnlyNonRecursive: true, ReadOnlyForceRecursive: true } },
    "mount options conflict",
  ],
  [{ Type: "tmpfs", BindOptions: {} }, "field BindOptions must not be specified"],
  [{ Type: "tmpfs", TmpfsOptions: { Options: [["upperdir", "/etc"]] } }, 'invalid tmpfs option ["upperdir" "/etc"]'],
])("%j is refused", (request, why) => {
  expect(() => plan(request)).toThrow(`invalid mount config for type "${request.Type}": ${why}`);
});

test("how deep a read-only bind is", () => {
  const depth = (BindOptions: MountRequest["BindOptions"]) =>
    plan({ Type: "bind", Source: "/a", ReadOnly: true, ...(BindOptions && { BindOptions }) })[0]?.readOnlyAlone;
  expect(depth(undefined)).toBeUndefined();
  expect(depth({ ReadOnlyNonRecursive: true })).toBe(true);
  expect(depth({ ReadOnlyForceRecursive: true })).toBeUndefined();
});

test("--volumes-from in Docker's words", () => {
  expect(parseVolumesFrom("c:ro")).toEqual({ ref: "c", readOnly: true });
  expect(parseVolumesFrom("c")).toEqual({ ref: "c", readOnly: false });
  expect(() => parseVolumesFrom("")).toThrow("volumes-from specification cannot be an empty string");
  for (const mode of ["xx", "rw,ro", "z,Z"])
    expect(() => parseVolumesFrom(`c:${mode}`)).toThrow(`invalid mode: ${mode}`);
});

const entry = (source: string, propagation = ""): MountEntry => ({
  ...{ type: "bind", source, destination: "/x", rw: true, mode: "", propagation, recursive: true },
  ...{ anonymous: false, copyUp: false, createSource: false },
});

test("a bind that holds the engine's own mounts lets them go with the host's", () => {
  const roots = { directory: "/var/lib/berth/containers", execRoot: "/run/berth" };
  const settled = (source: string, propagation?: string) => settlePropagation(entry(source, propagation), roots);
  for (const source of ["/", "/var", "/var/lib/berth", "/var/lib/berth/volumes/x", "/run/berth/sources"])
    expect(settled(source).propagation).toBe("rslave");
  for (const source of ["/var/lib/berthold", "/var/lib/other", "/srv"]) expect(settled(source).propagation).toBe("");
  expect(settled("/", "rshared").propagation).toBe("rshared");
  expect(() => settled("/var", "private")).toThrow(
    'must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: "/var/lib/berth", bind mount source: "/var", propagation: "private"',
  );
});

test("propagation needs a mount of the host that is shared", () => {
  const at = (target: string, ...peers: string[]) => ({ target, type: "ext4", source: "/dev/x", peers });
  const list =
    (...peers: string[]) =>
    () => [at("/", "shared:1"), at("/tmp", ...peers), at("/tmpfoo", "shared:3")];
  expect(propagationOf(entry("/tmp", "shared"), list("shared:2"))).toBe("shared");
  expect(propagationOf(entry("/tmp", "rslave"), list("master:2"))).toBe("rslave");
  expect(propagationOf(entry("/tmp"), list())).toBe("rprivate");
  expect(() => propagationOf(entry("/tmp", "rshared"), list("master:2"))).toThrow(
    "path /tmp is mounted on /tmp but it is not a shared mount",
  );
  expect(() => propagationOf(entry("/tmp", "slave"), list())).toThrow(
    "path /tmp is mounted on /tmp but it is not a shared or slave mount",
  );
  expect(propagationOf({ ...entry("/tmp", "rslave"), quietly: true }, list())).toBe("rprivate");
});
