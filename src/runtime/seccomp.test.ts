import { describe, expect, test } from "bun:test";
import type { SpecInput } from "./runtime.ts";
import { ociSpec } from "./spec.ts";
import { plainInput } from "./testing/lab.ts";

interface Made {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly {
    names: readonly string[];
    action: string;
    errnoRet?: number;
    args?: readonly object[];
  }[];
}

function seccomp(change: Partial<SpecInput>): Made | undefined {
  return ociSpec({ ...plainInput, ...change }).linux["seccomp"] as Made | undefined;
}

const withRunc = { ...plainInput.limits, runtime: "runc" } as const;
const actionOf = (made: Made | undefined, name: string) =>
  made?.syscalls.filter((rule) => rule.names.includes(name)).map((rule) => rule.action.replace("SCMP_ACT_", ""));

describe("Docker's default profile", () => {
  test("for runc: as it is, with the architecture's own and its 32-bit ones", () => {
    const made = seccomp({ limits: withRunc });
    expect(made).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
    expect(made?.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    expect(actionOf(made, "read")).toEqual(["ALLOW"]);
    expect(actionOf(made, "arch_prctl")).toEqual(["ALLOW"]);
    expect(actionOf(made, "riscv_flush_icache")).toEqual([]);
    expect(actionOf(made, "ptrace")).toEqual(["ALLOW"]);
    expect(actionOf(made, "chroot")).toEqual(["ALLOW"]);
  });

  test("for crun: unknown calls are ENOSYS, denied ones EPERM by name", () => {
    const made = seccomp({});
    expect(made?.defaultErrnoRet).toBe(38);
    const denial = made?.syscalls.find((rule) => rule.names.includes("kexec_load"));
    expect(denial).toMatchObject({ action: "SCMP_ACT_ERRNO", errnoRet: 1 });
    expect(denial?.names).toContain("mount");
    expect(denial?.names).not.toContain("read");
    const families = made?.syscalls.filter((rule) => rule.names.includes("socket") && rule.action === "SCMP_ACT_ERRNO");
    expect(families?.map((rule) => rule.args)).toEqual([
      [{ index: 0, value: 38, op: "SCMP_CMP_EQ" }],
      [{ index: 0, value: 40, op: "SCMP_CMP_EQ" }],
    ]);
  });

  test("capabilities open what they are for", () => {
    expect(actionOf(seccomp({ limits: withRunc }), "mount")).toEqual([]);
    expect(actionOf(seccomp({ limits: withRunc }), "clone3")).toEqual(["ERRNO"]);
    const admin = seccomp({ limits: withRunc, capAdd: ["SYS_ADMIN"] });
    expect(actionOf(admin, "mount")).toEqual(["ALLOW"]);
    expect(actionOf(admin, "clone3")).toEqual(["ALLOW"]);
    expect(admin?.syscalls.find((rule) => rule.names.includes("clone"))?.args).toBeUndefined();
  });

  test("an old kernel has fewer, another machine has its own", () => {
    expect(actionOf(seccomp({ limits: { ...withRunc, kernel: "4.7.9-x" } }), "ptrace")).toEqual([]);
    const arm = seccomp({ limits: { ...withRunc, machine: "arm64" } });
    expect(arm?.architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
    expect(actionOf(arm, "arch_prctl")).toEqual([]);
    expect(() => seccomp({ limits: { ...withRunc, machine: "mips" } })).toThrow("not supported on mips");
  });
});

test("privileged and unconfined have none, but a profile that was asked for stays", () => {
  expect(seccomp({ seccomp: "unconfined" })).toBeUndefined();
  expect(seccomp({ privileged: true })).toBeUndefined();
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ name: "chmod", action: "SCMP_ACT_ERRNO", args: [] }],
  };
  expect(seccomp({ privileged: true, seccomp: profile })).toEqual({
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [{ names: ["chmod"], action: "SCMP_ACT_ERRNO" }],
  });
});

test("a broken profile is refused", () => {
  expect(() => seccomp({ seccomp: {} })).toThrow("Decoding seccomp profile failed: defaultAction is missing");
  const nameless = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ action: "SCMP_ACT_ERRNO" }] };
  expect(() => seccomp({ seccomp: nameless })).toThrow("a rule without names or action");
});
