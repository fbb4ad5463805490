import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Filters } from "./filters.ts";
import { ociSpec } from "./spec.ts";
import { Lab, plainInput } from "./testing/lab.ts";

const key = "run.oci.seccomp_bpf_data";

test("a filter is learnt from a container's state, by profile, and never put over the caller's own", () => {
  const state = mkdtempSync(join(tmpdir(), "berth-filters-"));
  mkdirSync(join(state, "a"));
  writeFileSync(join(state, "a/seccomp.bpf"), "bpf");
  const filters = new Filters();
  const spec = ociSpec(plainInput);
  filters.learn(spec, { paths: { state }, id: "gone" });
  expect(filters.apply(spec)).toBe(spec);
  filters.learn(spec, { paths: { state }, id: "a" });
  expect(filters.apply(spec).annotations).toEqual({ [key]: Buffer.from("bpf").toString("base64") });
  const other = ociSpec({ ...plainInput, capDrop: ["SYS_CHROOT"] });
  expect(filters.apply(other)).toBe(other);
  const open = ociSpec({ ...plainInput, seccomp: "unconfined" });
  filters.learn(open, { paths: { state }, id: "a" });
  expect(filters.apply(open)).toBe(open);
  const own = ociSpec({ ...plainInput, annotations: { [key]: "own" } });
  expect(filters.apply(own)).toBe(own);
  rmSync(state, { recursive: true });
});

test("crun takes the second container's filter from the first", async () => {
  await using lab = await Lab.open("crun");
  for (const expected of [false, true]) {
    const bundle = lab.bundle(["/bin/true"]);
    await lab.runtime.create(bundle);
    const config = await Bun.file(join(bundle.directory, "config.json")).json();
    expect(config.annotations[key] !== undefined).toBe(expected);
    await lab.runtime.delete(bundle.id);
  }
});
