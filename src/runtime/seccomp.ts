import { EngineError } from "../errors/mod.ts";
import type { HostLimits, SpecInput } from "./runtime.ts";
import defaultProfile from "./seccomp-default.json";

/** Docker's profile format: the OCI one, with conditions on capabilities, architecture and kernel. */
interface Profile {
  readonly defaultAction?: string;
  readonly defaultErrnoRet?: number;
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[];
  readonly architectures?: readonly string[];
  readonly listenerPath?: string;
  readonly syscalls?: readonly ProfileRule[];
}

interface ProfileRule {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly object[] | null;
  readonly includes?: Condition;
  readonly excludes?: Condition;
}

interface Condition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly object[];
}

const EPERM = 1;
const ENOSYS = 38;

const machines: Readonly<Record<string, { readonly docker: string; readonly seccomp: string }>> = {
  x64: { docker: "amd64", seccomp: "SCMP_ARCH_X86_64" },
  arm64: { docker: "arm64", seccomp: "SCMP_ARCH_AARCH64" },
};

/** System calls that Docker's profile denies by not naming them at all. */
const unnamed =
  "add_key create_module get_kernel_syms kexec_file_load kexec_load keyctl migrate_pages move_pages nfsservctl pivot_root query_module request_key swapoff swapon sysfs _sysctl uselib userfaultfd ustat vm86 vm86old".split(
    " ",
  );

/**
 * linux.seccomp of the OCI spec, undefined when nothing is filtered. A privileged container is filtered only by a profile that
 * was asked for by name (moby `daemon/seccomp_linux.go`).
 */
export function seccompOf(input: SpecInput, capabilities: readonly string[]): object | undefined {
  if (input.seccomp === "unconfined") return undefined;
  if (input.seccomp === "default") {
    return input.privileged
      ? undefined
      : convert(defaultProfile as Profile, { ...input.limits, granted: capabilities });
  }
  return convert(input.seccomp as Profile, { ...input.limits, granted: capabilities });
}

type Surroundings = Pick<HostLimits, "runtime" | "kernel" | "machine"> & { readonly granted: readonly string[] };
type Placed = Surroundings & { readonly arch: string };

function convert(profile: Profile, around: Surroundings): object {
  const machine = machines[around.machine];
  if (!machine) throw new EngineError("not-implemented", `Seccomp profiles are not supported on ${around.machine}`);
  if (typeof profile.defaultAction !== "string") throw invalid("defaultAction is missing");
  const placed = { ...around, arch: machine.docker };
  const all = listOf<ProfileRule>(profile.syscalls, "syscalls").map(checked);
  const chosen = all.filter((rule) => included(rule.includes, placed) && !excluded(rule.excludes, placed)).map(toRule);
  const architectures = profile.architectures ?? architecturesOf(profile, machine.seccomp);
  const base = { defaultAction: profile.defaultAction, architectures };
  if (
    around.runtime === "crun" &&
    profile.defaultAction === "SCMP_ACT_ERRNO" &&
    (profile.defaultErrnoRet ?? EPERM) === EPERM
  ) {
    return { ...base, defaultErrnoRet: ENOSYS, syscalls: [...chosen, ...denials(all, chosen)] };
  }
  const errno = profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet };
  return { ...base, ...errno, syscalls: chosen };
}

/**
 * runc answers ENOSYS to system calls that are newer than the profile, so that C libraries fall back to older ones; crun 1.8
 * gives them the default EPERM, and they do not. For crun the default is turned round: ENOSYS, and EPERM by name for what
 * the profile means to deny. What is left over: an allowed call with refused arguments answers ENOSYS too.
 */
function denials(all: readonly ProfileRule[], chosen: readonly Rule[]): Rule[] {
  const taken = new Set(chosen.flatMap((rule) => rule.names));
  const named = all.flatMap(namesOf).concat(unnamed);
  const denied = [...new Set(named)].filter((name) => !taken.has(name));
  const families = [38, 40].map((family) => ({ index: 0, value: family, op: "SCMP_CMP_EQ" }));
  const sockets = chosen.some((rule) => rule.names.includes("socket") && rule.args?.length) ? families : [];
  return [
    { names: denied, action: "SCMP_ACT_ERRNO", errnoRet: EPERM },
    ...sockets.map((family) => ({ names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: EPERM, args: [family] })),
  ];
}

/** All of what the condition names must be there. */
function included(condition: Condition | undefined, around: Placed): boolean {
  if (!condition) return true;
  const { caps = [], arches = [], minKernel } = condition;
  if (!caps.every((name) => around.granted.includes(name))) return false;
  if (arches.length > 0 && !arches.includes(around.arch)) return false;
  return !minKernel || atLeast(around.kernel, minKernel);
}

/** Any of what the condition names is enough. */
function excluded(condition: Condition | undefined, around: Placed): boolean {
  if (!condition) return false;
  const { caps = [], arches = [], minKernel } = condition;
  if (caps.some((name) => around.granted.includes(name)) || arches.includes(around.arch)) return true;
  return minKernel !== undefined && minKernel !== "" && atLeast(around.kernel, minKernel);
}

function atLeast(kernel: string, minimum: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  const [needMajor = 0, needMinor = 0] = minimum.split(".").map(Number);
  return major > needMajor || (major === needMajor && minor >= needMinor);
}

function toRule(rule: ProfileRule): Rule {
  return {
    names: namesOf(rule),
    action: rule.action,
    ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args?.length ? { args: rule.args } : {}),
  };
}

function namesOf(rule: ProfileRule): readonly string[] {
  return rule.name ? [rule.name] : (rule.names ?? []);
}

/** A user's file: anything may be anywhere. */
function checked(rule: ProfileRule): ProfileRule {
  if (typeof rule?.action !== "string") throw invalid("a rule without names or action");
  texts(rule.name === undefined ? rule.names : [rule.name], "names");
  if (namesOf(rule).length === 0) throw invalid("a rule without names or action");
  for (const condition of [rule.includes, rule.excludes]) {
    texts(condition?.caps, "caps");
    texts(condition?.arches, "arches");
    if (condition?.minKernel !== undefined && typeof condition.minKernel !== "string")
      throw invalid("minKernel is no text");
  }
  listOf(rule.args, "args");
  return rule;
}

function listOf<T>(value: readonly T[] | null | undefined, name: string): readonly T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${name} is no list`);
  return value;
}

function texts(value: readonly string[] | null | undefined, name: string): void {
  if (listOf(value, name).some((one) => typeof one !== "string")) throw invalid(`${name} holds what is no text`);
}

function architecturesOf(profile: Profile, native: string): readonly string[] {
  const entry = listOf(profile.archMap, "archMap").find((candidate) => candidate?.architecture === native);
  return [native, ...(entry?.subArchitectures ?? [])];
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", `Decoding seccomp profile failed: ${why}`);
}
